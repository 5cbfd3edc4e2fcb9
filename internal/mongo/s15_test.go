package mongo

import (
	"context"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// A drop is told only when the copy has ended and everything of it that was
// handed out is acked; what was read of it but not handed out never is.
func TestS15CopyEndsBeforeTheDrop(t *testing.T) {
	s := bareSource(t, Options{})
	s.stream.know(scriptedNS, "")
	s.copies.schedule(scriptedNS, false)
	c := s.copies.find(scriptedNS)
	c.phase = phaseCopying
	ch := &chunk{stage: stageReading}
	c.chunks = []*chunk{ch}
	id := rawID(t, 1)
	send := func() page {
		ch.open++
		return page{batch: flow.Batch{Changes: make([]flow.Change, 1)}, copy: c, chunk: ch, lease: &lease{}, settle: ch.last.Add(&id)}
	}
	ack := s.copies.hand(send())
	late := send()
	sortEvents(t, s, scriptmongo.Insert("a.c", tick(4), withID(1)), scriptmongo.Drop("a.c", tick(5)))

	b, done, err := s.stream.Read(t.Context())
	if err != nil || len(b.Changes) != 1 {
		t.Fatal(b, err)
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if b, _, err := s.stream.Read(now); err == nil {
		t.Fatalf("%+v comes while a batch of the copy is in flight", b.Control)
	}
	if c.ctx.Err() == nil || s.copies.find(scriptedNS) != nil {
		t.Error("the copy goes on")
	}
	if s.copies.hand(late) != nil {
		t.Error("a page of the ended copy is handed out")
	}
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b, _, err = s.stream.Read(now)
	if err != nil || b.Control == nil || b.Control.Kind != flow.ControlDropped {
		t.Fatal(b, err)
	}
	_ = done
}

// A rename between two followed names is two controls: until both are
// settled, the position stays before the event, which brings both again.
func TestS15RenameComesWholeAgain(t *testing.T) {
	s := bareSource(t, Options{})
	s.stream.know(scriptedNS, "")
	items := sortEvents(t, s, scriptmongo.Insert("a.c", tick(4), withID(1)), scriptmongo.Rename("a.c", "a.other", tick(5)))
	if len(items) != 4 {
		t.Fatalf("%d items: changes, dropped, replaced, and the end are wanted", len(items))
	}
	for i, it := range items[:3] {
		if it.mark.time != tick(4) {
			t.Errorf("item %d moves the position to %v, the rename is of %v", i, it.mark.time, tick(5))
		}
	}
	if end := items[3].mark.time; end != tick(5) {
		t.Errorf("the end is at %v", end)
	}
}
