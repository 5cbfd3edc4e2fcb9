package mongo

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// The bounds of a chunk, in documents.
const (
	minChunkDocs = 500
	maxChunkDocs = 1_000_000
	// firstChunks are smaller, so that several readers get work at once.
	firstChunks = 4
)

// defaultDocSize is what a document is taken for before any was seen.
const defaultDocSize = 1024

// hintID makes min, max and keys use the one index that every collection has.
func hintID() bson.E { return bson.E{Key: "hint", Value: bson.D{{Key: "_id", Value: 1}}} }

// sortID asks for the order of that index, which shards would mix up.
func sortID(direction int) bson.E {
	return bson.E{Key: "sort", Value: bson.D{{Key: "_id", Value: direction}}}
}

// cutAll cuts chunks ahead of the readers until the source is closed.
func (m *copies) cutAll() {
	var pause backoff
	for {
		c, changed := m.toCut()
		if c == nil && m.estimateNext() {
			continue
		}
		if c == nil {
			if m.s.wait(m.s.ctx, changed) != nil {
				return
			}
			continue
		}
		if err := m.cutOne(c); err == nil {
			pause.reset()
		} else if !m.overcome(c, &pause, "cut the snapshot of", err) {
			return
		}
	}
}

// estimateNext asks about a copy that has not begun, while there is nothing to
// cut; false if all are asked about.
func (m *copies) estimateNext() bool {
	m.s.mu.Lock()
	i := slices.IndexFunc(m.order, func(c *nsCopy) bool { return !c.asked && !c.begun && !c.view })
	if i < 0 {
		m.s.mu.Unlock()
		return false
	}
	c := m.order[i]
	c.asked = true
	m.s.mu.Unlock()
	m.estimate(c)
	return true
}

// toCut returns a copy whose readers will want another chunk, or what to wait for.
func (m *copies) toCut() (*nsCopy, <-chan struct{}) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	for _, c := range m.order {
		if c.phase != phaseCopying || c.cut {
			continue
		}
		if n, _ := c.ready(); n < m.s.opts.Snapshot.Parallel {
			return c, nil
		}
	}
	return nil, m.s.changed
}

// cutOne finds where the copy ends, or cuts one chunk off what is left.
func (m *copies) cutOne(c *nsCopy) error {
	switch {
	case c.view:
		m.addChunk(c, &chunk{}, nil)
		return nil
	case !c.begun:
		return m.findEnd(c)
	}
	docs := int64(m.chunkDocs(c))
	cmd := bson.D{
		{Key: "find", Value: c.ns.Coll},
		hintID(),
		{Key: "max", Value: bson.D{{Key: "_id", Value: *c.end}}},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "skip", Value: docs},
		{Key: "limit", Value: int64(1)},
		{Key: "readConcern", Value: bson.D{{Key: "level", Value: "majority"}}},
	}
	if c.next != nil {
		cmd = append(cmd, bson.E{Key: "min", Value: bson.D{{Key: "_id", Value: *c.next}}})
	}
	var bound *bson.RawValue
	// Below MinKey there is nothing, and an empty range is refused.
	if c.end.Type != bson.TypeMinKey {
		var err error
		if bound, _, err = m.oneID(c, cmd); err != nil {
			return err
		}
	}
	if bound == nil {
		m.addChunk(c, &chunk{min: c.next, max: c.end, tail: true, docs: c.tailDocs(docs)}, nil)
		return nil
	}
	m.addChunk(c, &chunk{min: c.next, max: bound, docs: docs}, bound)
	return nil
}

// addChunk adds ch; next is where the following one starts, nil if there is none.
func (m *copies) addChunk(c *nsCopy, ch *chunk, next *bson.RawValue) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	c.chunks = append(c.chunks, ch)
	c.cuts++
	c.cutDocs += ch.docs
	c.next, c.cut = next, next == nil
	m.s.poke()
}

// findEnd bounds the copy by the last _id there is now; what is inserted
// later comes by the stream.
func (m *copies) findEnd(c *nsCopy) error {
	m.estimate(c)
	m.s.mu.Lock()
	c.asked = true
	at := later(m.s.clock, m.s.eventTime)
	m.s.mu.Unlock()
	cmd := bson.D{
		{Key: "find", Value: c.ns.Coll},
		hintID(),
		{Key: "sort", Value: bson.D{{Key: "_id", Value: -1}}},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "limit", Value: int64(1)},
		{Key: "readConcern", Value: afterClusterTime(at)},
	}
	end, now, err := m.oneID(c, cmd)
	if err != nil {
		return err
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	c.begun, c.end = true, end
	if end == nil { // empty: that is final when the stream has passed this reply
		c.cut = true
		c.pass = later(c.pass, now)
		c.chunks = append(c.chunks, &chunk{stage: stageSettled, pass: now})
		c.sweep(m.s.settledPassed())
	}
	m.s.poke()
	return nil
}

// oneID runs a find for at most one document and returns a copy of its _id.
func (m *copies) oneID(c *nsCopy, cmd bson.D) (id *bson.RawValue, now bson.Timestamp, err error) {
	r, err := m.find1(c.ctx, c.ns, cmd)
	if err != nil {
		return nil, now, err
	}
	err = r.each(func(doc bson.Raw) error {
		v, err := idOf(doc)
		v = own(v)
		id = &v
		return err
	})
	return id, r.time, err
}

// find1 runs a find and keeps the clock.
func (m *copies) find1(ctx context.Context, ns flow.Namespace, cmd bson.D) (reply, error) {
	raw, err := m.s.client.Database(ns.DB).RunCommand(ctx, cmd, m.s.copyPref()).Raw()
	if err != nil {
		return reply{}, err
	}
	r, err := parseReply(raw)
	if err != nil {
		return r, &flow.Error{Op: "read a reply about", Object: ns.String(), Class: flow.Fatal, Err: err}
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.clock = later(m.s.clock, r.time)
	return r, nil
}

// chunkDocs is how many documents the next chunk should have.
func (m *copies) chunkDocs(c *nsCopy) int {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	o := m.s.opts.Snapshot
	size := c.avg
	if size <= 0 {
		size = defaultDocSize
	}
	n := int(float64(o.ChunkBytes) / size)
	if c.estimated > 0 { // a small collection is shared by all readers too
		n = min(n, int(c.estimated)/(2*o.Parallel))
	}
	if c.cuts < firstChunks {
		n /= 1 << (firstChunks - c.cuts)
	}
	return min(max(n, minChunkDocs), maxChunkDocs)
}

// estimate asks for the number and size of documents. Without the right to
// know, sizes come from what is read.
func (m *copies) estimate(c *nsCopy) {
	raw, err := m.s.client.Database(c.ns.DB).RunCommand(c.ctx, bson.D{{Key: "collStats", Value: c.ns.Coll}}, m.s.copyPref()).Raw()
	if err != nil {
		raw, err = m.s.client.Database(c.ns.DB).RunCommand(c.ctx, bson.D{{Key: "count", Value: c.ns.Coll}}, m.s.copyPref()).Raw()
		if err != nil {
			return
		}
		raw, _ = bson.Marshal(bson.D{{Key: "count", Value: raw.Lookup("n")}})
	}
	count, _ := raw.Lookup("count").AsInt64OK()
	avg, _ := raw.Lookup("avgObjSize").AsFloat64OK()
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	c.estimated = count
	if avg > 0 {
		c.avg = avg
	}
}

// overcome waits after an error of a read of c, or passes it on to Read when
// waiting is no cure; false says that the source is closed.
func (m *copies) overcome(c *nsCopy, pause *backoff, what string, err error) bool {
	if m.s.ctx.Err() != nil {
		return false
	}
	if c.ctx.Err() != nil {
		return true // abandoned
	}
	a := actionOf(err)
	m.s.opts.Metrics.retried(reasonOf(err))
	e := fault(what, c.ns.String(), err)
	switch {
	case a == reopen || a == reopenFew && pause.n < maxUnknown || e.Class == flow.Transient:
		level := slog.LevelWarn
		if pause.n == 0 {
			level = slog.LevelDebug
		}
		m.s.log.Log(m.s.ctx, level, "snapshot read is tried again", slog.String(flow.LogNS, c.ns.String()), slog.Any(flow.LogErr, e.Err))
	default:
		if e.Class == flow.Unknown || e.Class == flow.Lost {
			e.Class = flow.Fatal
		}
		m.fail(m.s.denied(e))
	}
	return pause.wait(m.s.ctx) == nil
}

// backoff is a pause that doubles from 20 ms to 5 s.
type backoff struct{ n int }

func (b *backoff) reset() { b.n = 0 }

func (b *backoff) wait(ctx context.Context) error {
	d := min(20*time.Millisecond<<min(b.n, 10), 5*time.Second)
	b.n++
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
