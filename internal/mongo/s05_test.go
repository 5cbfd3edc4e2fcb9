package mongo

import (
	"testing"
)

// A read counts as open from before its time is chosen until its batch is acked.
func TestS5ReadIsOpenUntilItsAck(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{Snapshot: SnapshotOptions{Parallel: 1}})
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	b, ack := nextChanges(t, s.Snapshot())
	low, open := s.OldestOpen()
	if !open || low != b.Low {
		t.Fatalf("a batch at %v is in flight, the oldest open is %v %v", b.Low, low, open)
	}
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if low, open := s.OldestOpen(); open {
		t.Errorf("%v is open after the ack", low)
	}

	s.mu.Lock()
	s.clock = tick(900)
	s.mu.Unlock()
	at, l, _ := s.copies.lease(&nsCopy{})
	_, younger, _ := s.copies.lease(&nsCopy{})
	younger.low = tick(901)
	if low, open := s.OldestOpen(); !open || low != at {
		t.Errorf("the oldest of two is %v %v, want %v", low, open, at)
	}
	s.copies.release(l)
	s.copies.release(younger)
}
