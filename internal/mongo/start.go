package mongo

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"sluice/internal/flow"
)

// Start opens the stream at pos ("" is a first run: now), then decides what is
// to be copied: what pos has not copied yet, what resync names, and collections
// that pos does not know. Only then it starts to read.
func (s *Source) Start(ctx context.Context, pos flow.Position, resync []Resync) error {
	saved, err := parsePosition(pos)
	if err != nil {
		return err
	}
	s.frozen = pos
	if saved != nil {
		if s.given = saved.Given; s.given {
			s.frozen = "" // where it was to begin is worth keeping once it was reached
		}
		m, err := saved.Stream.mark()
		if err != nil {
			return badPosition(err)
		}
		if saved.Stream.Fingerprint != idle { // else from now: what was missed is copied
			s.stream.startAt(saved.Stream.fit(m, s.fingerprint()))
		}
		s.lost = saved.Lost
	}
	ctx, done := s.join(ctx)
	defer done()
	// What exists is listed after the stream was opened: what comes into being
	// later is seen there.
	if err := s.stream.openFirst(ctx); err != nil {
		return err
	}
	now, err := s.serverTime(ctx)
	if err != nil {
		return err
	}
	if err := s.relist(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endTime = later(s.endTime, now)
	if err := s.plan(saved, resync); err != nil {
		return err
	}
	s.copies.start()
	s.related.start()
	s.wg.Go(s.heartbeat)
	return nil
}

// relist refreshes what the flow follows.
func (s *Source) relist(ctx context.Context) error {
	all, err := s.discover(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collections = all
	return nil
}

// plan fills bound and the copies; mu is held.
func (s *Source) plan(saved *position, resync []Resync) error {
	ghosts := make(map[flow.Namespace]bool, len(resync))
	for _, r := range resync {
		ghosts[r.NS] = r.Ghosts
	}
	if saved != nil {
		if err := s.takeOver(saved, ghosts); err != nil {
			return err
		}
		if err := s.related.restore(saved); err != nil {
			return err
		}
	}
	for _, c := range s.collections {
		if c.Refused != nil {
			continue
		}
		if _, known := s.bound[c.NS]; known {
			s.stream.know(c.NS, s.bound[c.NS])
			s.planAgain(c, saved, ghosts)
			continue
		}
		if s.sel.copies(c.NS) {
			s.stream.know(c.NS, c.UUID)
			s.bound[c.NS] = c.UUID
			// While the stream catches up it may bring documents of an older
			// collection of that name.
			s.copies.schedule(c.NS, ghosts[c.NS] || saved != nil)
			continue
		}
		uuid := c.UUID
		if saved != nil {
			uuid = "" // no copy makes good for a drop that is still to come
		}
		s.stream.know(c.NS, uuid)
		s.stream.announce(c.NS, uuid)
	}
	return nil
}

// planAgain decides about a namespace that the position knows.
func (s *Source) planAgain(c Collection, saved *position, ghosts map[flow.Namespace]bool) {
	g, again := ghosts[c.NS]
	missed := saved.Namespaces[c.NS.String()].Still && s.sel.streams(c.NS) && c.Kind != KindView
	switch {
	case !s.sel.copies(c.NS):
		if missed {
			s.log.Warn("its changes are followed from now on; what changed before is not in the index, for it is not copied", slog.String(flow.LogNS, c.NS.String()))
		}
		if again {
			s.stream.announce(c.NS, s.bound[c.NS])
		}
	case again:
		s.copies.schedule(c.NS, g)
	case missed:
		s.log.Info("its changes were not followed so far; it is copied again", slog.String(flow.LogNS, c.NS.String()))
		s.copies.schedule(c.NS, true)
	case s.opts.Snapshot.Repeat && !saved.Given && s.copies.find(c.NS) == nil:
		s.copies.schedule(c.NS, false)
	}
}

// takeOver restores what a position says of namespaces that are still followed.
func (s *Source) takeOver(saved *position, again map[flow.Namespace]bool) error {
	for _, name := range slices.Sorted(maps.Keys(saved.Namespaces)) {
		st := saved.Namespaces[name]
		ns, ok := flow.ParseNamespace(name)
		if !ok || !s.sel.follows(ns) {
			s.log.Warn("namespace is no longer followed; what is in the index stays as it is", slog.String(flow.LogNS, name))
			continue
		}
		s.bound[ns] = st.UUID
		s.stream.know(ns, st.UUID)
		if _, fresh := again[ns]; fresh || st.Copy == nil || !s.sel.copies(ns) {
			continue
		}
		if err := s.copies.restore(ns, st.Copy); err != nil {
			return badPosition(err)
		}
	}
	return nil
}
