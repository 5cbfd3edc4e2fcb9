package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// repairKeys is how many keys one read of a repair asks for.
const repairKeys = 200

// errDropped ends a repair whose collection was dropped meanwhile.
var errDropped = errors.New("the collection was dropped or renamed meanwhile")

// RepairOptions say how a repair goes.
type RepairOptions struct {
	// Archived returns for each of ids, none of which ns has, where an archive
	// holds it (rule A5); nil: none does.
	Archived func(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error)
	// Leave: what MongoDB does not have stays in the index as it is.
	Leave bool
	// Write, if not nil, brings each batch to its final verdicts. Without it the
	// batches go to who reads Snapshot, which wants a source that was started.
	Write func(ctx context.Context, b flow.Batch) error
}

// Repaired is what a repair found.
type Repaired struct {
	// Written and Missing count documents that MongoDB has, and does not have.
	Written, Missing int
	// At is the time of the last read.
	At bson.Timestamp
}

// Repair is a snapshot of some keys of ns (rule S13): it reads them at a server
// time L and hands on what is there at a version just below L's own events, and
// what is missing, or outside the filter of ns, as deleted at the version of L.
// It returns when all of it has its final verdicts. When ctx ends before, what
// was handed on is settled all the same. A collection that is not followed is an
// error of class Config; one that pauses, or was dropped meanwhile, of class
// Conflict. It may be called from several goroutines.
func (s *Source) Repair(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, o RepairOptions) (Repaired, error) {
	var done Repaired
	c, end, err := s.copies.openRepair(ctx, ns, o.Write == nil)
	if err != nil {
		return done, err
	}
	defer end()
	for part := range slices.Chunk(distinct(ids), min(repairKeys, s.copies.maxDocs())) {
		if err := s.copies.repair(c, part, o, &done); err != nil {
			return done, s.copies.repairError(ctx, c, err)
		}
	}
	return done, nil
}

// openRepair makes the copy that a repair reads by; end lets it go.
func (m *copies) openRepair(ctx context.Context, ns flow.Namespace, started bool) (c *nsCopy, end func(), err error) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if err := m.mayRepair(ns, started); err != nil {
		return nil, nil, err
	}
	c = m.newCopy(ns, false)
	c.cancel()
	c.ctx, c.cancel = m.s.join(ctx)
	m.repairs[c] = struct{}{}
	return c, func() {
		c.cancel()
		m.s.mu.Lock()
		defer m.s.mu.Unlock()
		delete(m.repairs, c)
	}, nil
}

// mayRepair is the error for a namespace that can't be repaired; mu is held.
func (m *copies) mayRepair(ns flow.Namespace, started bool) error {
	_, bound := m.s.bound[ns]
	switch {
	case !m.s.sel.follows(ns) || started && !bound:
		return notFollowed(ns)
	case m.paused[ns]:
		return &flow.Error{Op: "repair", Object: ns.String(), Class: flow.Conflict, Err: errors.New("it is paused"), Hint: "resume it: it is copied again then"}
	}
	return nil
}

func notFollowed(ns flow.Namespace) error {
	return &flow.Error{Op: "look for", Object: ns.String(), Class: flow.Config, Err: errors.New("the flow follows no such collection"), Hint: "sluice status lists what it follows"}
}

// repairError tells a drop from other ends of a repair.
func (m *copies) repairError(ctx context.Context, c *nsCopy, err error) error {
	m.s.mu.Lock()
	dropped := c.dead
	m.s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case dropped:
		return &flow.Error{Op: "repair", Object: c.ns.String(), Class: flow.Conflict, Err: errDropped}
	}
	return m.s.denied(fault("read documents again of", c.ns.String(), err))
}

// repair reads some keys and waits until they are settled.
func (m *copies) repair(c *nsCopy, ids []bson.RawValue, o RepairOptions, done *Repaired) error {
	if _, err := m.s.serverTime(c.ctx); err != nil { // what was seen last may be older than a letter
		return err
	}
	at, l, concern := m.lease(c)
	b, missing, cut, err := m.readKeys(c, ids, at, concern)
	if err == nil && !cut {
		err = m.addMissing(c, &b, missing, o)
	}
	switch {
	case err != nil:
		m.release(l)
		if m.refresh(c, err) {
			return m.repair(c, ids, o, done)
		}
		return err
	case cut: // they don't fit into one reply
		m.release(l)
		half := len(ids) / 2
		if err := m.repair(c, ids[:half], o, done); err != nil {
			return err
		}
		return m.repair(c, ids[half:], o, done)
	}
	b.Repair = true
	if err := m.deliver(c, b, l, o); err != nil {
		return err
	}
	done.Missing += len(missing)
	done.Written += len(b.Changes) - len(missing)
	done.At = at
	return nil
}

// readKeys reads ids at a time; cut says that not all of them fit into the reply.
func (m *copies) readKeys(c *nsCopy, ids []bson.RawValue, at bson.Timestamp, concern bson.D) (b flow.Batch, missing []bson.RawValue, cut bool, err error) {
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
	if c.filter != nil {
		filter = bson.D{{Key: "$and", Value: bson.A{filter, c.filter}}}
	}
	r, err := m.find1(c.ctx, c.ns, bson.D{
		{Key: "find", Value: c.ns.Coll},
		{Key: "filter", Value: filter},
		{Key: "limit", Value: int64(len(ids))},
		{Key: "batchSize", Value: int64(len(ids))},
		{Key: "readConcern", Value: concern},
	})
	if err != nil {
		return b, nil, false, err
	}
	if r.cursor != 0 {
		m.kill(c, r.cursor)
		if len(ids) > 1 {
			return b, nil, true, nil
		}
	}
	if b, _, err = documents(&r, c.ns, at, nil); err != nil {
		return b, nil, false, err
	}
	there := make(map[string]bool, len(b.Changes))
	var buf []byte
	for i := range b.Changes {
		buf = appendKey(buf[:0], b.Changes[i].ID.Type, b.Changes[i].ID.Value)
		there[string(buf)] = true
	}
	for _, id := range ids {
		if buf = appendKey(buf[:0], id.Type, id.Value); !there[string(buf)] {
			missing = append(missing, id)
		}
	}
	return b, missing, false, nil
}

// addMissing adds to b what is to be done about keys that are missing.
func (m *copies) addMissing(c *nsCopy, b *flow.Batch, missing []bson.RawValue, o RepairOptions) error {
	if len(missing) == 0 {
		return nil
	}
	version, err := timeOf(c.ns, b.Low)
	if err != nil {
		return err
	}
	archived := make([]*flow.Archived, len(missing))
	if o.Archived != nil && !o.Leave {
		if archived, err = o.Archived(c.ctx, c.ns, missing); err != nil {
			return err
		}
		if len(archived) != len(missing) {
			return fmt.Errorf("the archive gave %d answers for %d ids", len(archived), len(missing))
		}
	}
	for i, id := range missing {
		gone := flow.Change{Op: flow.OpDelete, NS: c.ns, ID: id, Version: version, Time: b.Low, Archived: archived[i]}
		if o.Leave {
			gone.Op = flow.OpSkip
		}
		b.Changes = append(b.Changes, gone)
		b.Bytes += len(id.Value)
	}
	return nil
}

// deliver hands a batch on and waits for its verdicts.
func (m *copies) deliver(c *nsCopy, b flow.Batch, l *lease, o RepairOptions) error {
	if o.Write != nil {
		defer m.release(l)
		return o.Write(c.ctx, b)
	}
	settled := make(chan error, 1)
	p := page{
		batch: b, copy: c, chunk: &chunk{}, lease: l, settle: func() {},
		repaired: func(err error) { settled <- err },
	}
	if err := m.send(p); err != nil {
		return err
	}
	select {
	case err := <-settled:
		return err
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// distinct returns ids, each key once.
func distinct(ids []bson.RawValue) []bson.RawValue {
	seen := make(map[string]bool, len(ids))
	out := make([]bson.RawValue, 0, len(ids))
	var buf []byte
	for _, id := range ids {
		if buf = appendKey(buf[:0], id.Type, id.Value); seen[string(buf)] {
			continue
		}
		seen[string(buf)] = true
		out = append(out, id)
	}
	return out
}

// Follows tells whether the flow is to follow ns.
func (s *Source) Follows(ns flow.Namespace) bool { return s.sel.follows(ns) }

// Document returns the document of ns with that _id as a majority has it now,
// also one outside the filter of ns; nil if there is none.
func (s *Source) Document(ctx context.Context, ns flow.Namespace, id bson.RawValue) (bson.Raw, error) {
	cmd := bson.D{
		{Key: "find", Value: ns.Coll},
		{Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: id}}}}},
		{Key: "limit", Value: int64(1)},
		{Key: "readConcern", Value: bson.D{{Key: "level", Value: "majority"}}},
	}
	raw, err := s.client.Database(ns.DB).RunCommand(ctx, cmd, options.RunCmd().SetReadPreference(s.prefs.rereads)).Raw()
	if err != nil {
		return nil, s.denied(fault("read a document of", ns.String(), err))
	}
	r, err := parseReply(raw)
	if err != nil {
		return nil, unreadable(err)
	}
	var found bson.Raw
	err = r.each(func(doc bson.Raw) error {
		found = doc
		return nil
	})
	return found, err
}
