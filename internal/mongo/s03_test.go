package mongo

import (
	"errors"
	"testing"

	"sluice/internal/testkit/scriptmongo"
)

// The position follows the acks, in order: what was given up, or is still in
// flight, holds it back.
func TestS3PositionFollowsTheAcks(t *testing.T) {
	srv := newScripted(t)
	s := follow(t, srv, "")
	srv.Stream(
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(1), withID(1))}},
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(2), withID(2))}},
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(3), withID(3))}},
	)
	_, first := nextChanges(t, s.Stream())
	before := s.Position()
	_, second := nextChanges(t, s.Stream())
	_, third := nextChanges(t, s.Stream())
	if err := second(t.Context(), nil); err != nil || s.Position() != before {
		t.Fatalf("it moved past a batch in flight: %v", err)
	}
	if err := first(t.Context(), nil); err != nil || s.Position() == before {
		t.Fatalf("it stays although all is settled: %v", err)
	}
	before = s.Position()
	if err := third(t.Context(), errors.New("given up")); err != nil || s.Position() != before {
		t.Fatalf("it moved past a batch that was given up: %v", err)
	}
}
