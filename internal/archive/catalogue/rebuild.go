package catalogue

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sluice/internal/cold"
)

// Rebuilt is the journal, as far as the bucket tells it.
type Rebuilt struct {
	// Runs are the newest first, Packs the oldest first, as the journal lists them.
	Runs       []cold.Run
	Packs      []cold.Pack
	Exceptions []cold.Exception
}

// Rebuild reads the journal anew from the bucket alone (rule A4). A pack with
// outcomes, or one that was only to be copied, is closed; one that was to be
// deleted and has no outcomes is committed: its run is open (or soaking), and who
// finishes it compares each document with MongoDB. What is only in the journal
// is not known: fences (0), errors, whether a run was complete (false), and what
// packs that never got a manifest were to hold.
func (s *Shelf) Rebuild(ctx context.Context) (Rebuilt, error) {
	var r Rebuilt
	runs := map[string]*cold.Run{}
	for it, err := range s.List(ctx, Query{}) {
		if err != nil {
			return Rebuilt{}, err
		}
		p := s.Row(it)
		r.Packs = append(r.Packs, p)
		s.addRun(runs, it, p)
		if it.Outcome.Changed+it.Outcome.Gone+it.Outcome.Unknown == 0 {
			continue
		}
		ex, err := s.exceptions(ctx, it)
		if err != nil {
			return Rebuilt{}, err
		}
		r.Exceptions = append(r.Exceptions, ex...)
	}
	for _, run := range runs {
		if run.State != cold.RunClosed {
			run.Ended = time.Time{}
		}
		r.Runs = append(r.Runs, *run)
	}
	slices.SortFunc(r.Runs, func(a, b cold.Run) int { return -cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(r.Packs, func(a, b cold.Pack) int { return cmp.Compare(a.ID, b.ID) })
	return r, nil
}

// Row is the journal's row of a pack, from an Item of List.
func (s *Shelf) Row(it Item) cold.Pack {
	h, o := it.Header, it.Outcome
	p := cold.Pack{
		ID: h.ID, Run: h.Run, Rule: h.Rule, NS: h.NS, State: cold.PackClosed, Store: s.o.Name, Object: h.Object, Manifest: it.Manifest,
		Docs: h.Docs, RawBytes: h.RawBytes, Bytes: h.Bytes, SHA256: h.SHA256, MinAge: h.MinAge, MaxAge: h.MaxAge,
		DeleteAfter: h.DeleteAfter, Deleted: o.Deleted, Changed: o.Changed, Gone: o.Gone,
		Created: h.Created, Updated: h.Created, ReadFrom: h.ReadFrom, ReadTo: h.ReadTo,
	}
	switch {
	case it.Pending():
		p.State, p.Rebuilt = cold.PackCommitted, true
	case it.Settled:
		p.Next, p.Updated = h.Docs, o.At
	}
	return p
}

func (s *Shelf) addRun(runs map[string]*cold.Run, it Item, p cold.Pack) {
	h := it.Header
	run := runs[h.Run]
	if run == nil {
		run = &cold.Run{
			ID: h.Run, Rule: h.Rule, NS: h.NS, UUID: h.UUID, State: cold.RunClosed, Field: h.Field, Kind: h.Kind, Filter: h.Filter,
			From: h.From, Floor: h.Floor, Before: h.Before, Delete: h.Delete, Shadow: h.Shadow, Started: h.Created,
		}
		runs[h.Run] = run
	}
	if h.Created.Before(run.Started) {
		run.Started = h.Created
	}
	if p.Updated.After(run.Ended) {
		run.Ended = p.Updated
	}
	run.Packs++
	run.Docs += int64(p.Docs)
	run.Bytes += p.Bytes
	run.Deleted += int64(p.Deleted)
	run.Changed += int64(p.Changed)
	run.Gone += int64(p.Gone)
	switch soaking := h.DeleteAfter.After(s.o.Now()); {
	case it.Pending() && !soaking:
		run.State = cold.RunOpen
	case it.Pending() && run.State != cold.RunOpen:
		run.State = cold.RunSoaking
	}
}

// exceptions brings the keys with them: a later run reads the changed ones again.
func (s *Shelf) exceptions(ctx context.Context, it Item) ([]cold.Exception, error) {
	o, err := s.Open(ctx, it)
	if err != nil {
		return nil, err
	}
	var all []cold.Exception
	for i, e := range o.Manifest.Entries {
		if x, ok := o.Outcome.Exceptions[i]; ok {
			all = append(all, cold.Exception{Pack: it.Header.ID, Entry: i, Outcome: x, ID: e.ID})
		}
	}
	return all, nil
}
