package mongo

import (
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// Resync copies ns again from its start, in place and with the removal of
// ghosts (rule S13), in place of a copy that is under way; the stream goes on
// meanwhile. It returns at once; the position has it from then on, so a restart
// goes on with it. Class Config: ns is not followed, or the flow copies nothing;
// Conflict: ns is paused, or the run ends.
func (s *Source) Resync(ns flow.Namespace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayCopy(ns); err != nil {
		return err
	}
	if s.copies.paused[ns] {
		return &flow.Error{Op: "copy again", Object: ns.String(), Class: flow.Conflict, Err: errors.New("it is paused"), Hint: "resume it: it is copied again then"}
	}
	s.copies.schedule(ns, true)
	return nil
}

// Pause lets ns rest while the flow's other collections go on: its changes are
// passed over, and a copy of it, with removal of ghosts, waits for Resume to
// make good for them. Drops and renames still count. The copy is part of the
// position, the pause is not: after a restart ns is copied and followed.
// What was read of ns before is still written. Pausing twice is harmless;
// errors are those of Resync.
func (s *Source) Pause(ns flow.Namespace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies.paused[ns] {
		return nil
	}
	if err := s.mayCopy(ns); err != nil {
		return err
	}
	s.copies.paused[ns] = true
	s.copies.pauses.Add(1)
	s.copies.schedule(ns, true)
	return nil
}

// Resume ends Pause: ns is copied again and followed. false: it was not paused.
func (s *Source) Resume(ns flow.Namespace) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.copies.paused[ns] {
		return false
	}
	delete(s.copies.paused, ns)
	s.copies.pauses.Add(-1)
	if c := s.copies.find(ns); c != nil {
		c.held = false
	}
	s.poke()
	return true
}

// mayCopy is the error for a namespace that can't be copied; mu is held.
func (s *Source) mayCopy(ns flow.Namespace) error {
	if _, bound := s.bound[ns]; !bound {
		return notFollowed(ns)
	}
	for _, c := range s.collections {
		if c.NS == ns && c.Refused != nil {
			return &flow.Error{Op: "copy", Object: ns.String(), Class: flow.Config, Err: c.Refused}
		}
	}
	switch {
	case s.sel.copied.none:
		return &flow.Error{Op: "copy", Object: ns.String(), Class: flow.Config, Err: errors.New("the flow copies nothing"), Hint: "snapshot.enabled in its configuration says so"}
	case !s.sel.copies(ns):
		return &flow.Error{Op: "copy", Object: ns.String(), Class: flow.Config, Err: errors.New("the flow does not copy it"), Hint: "snapshot.include and snapshot.exclude in its configuration say so"}
	case s.over:
		return &flow.Error{Op: "copy", Object: ns.String(), Class: flow.Conflict, Err: errors.New("the run is at its end")}
	}
	return nil
}

// passOver tells whether a change of ns at a time is none of the stream's
// because the copy that waits for Resume will have it.
func (s *Source) passOver(ns flow.Namespace, at bson.Timestamp) bool {
	if s.copies.pauses.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.copies.find(ns)
	if c == nil || !c.held {
		return false
	}
	// Reads take their time from this, and that copy may begin at any moment.
	s.eventTime = later(s.eventTime, at)
	return true
}
