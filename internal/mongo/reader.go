package mongo

import (
	"context"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// maxPageDocs bounds the documents of one reply; maxPageFiles those with files,
// each of which is many times its document: a page is what a kill repeats.
const (
	maxPageDocs  = 50_000
	maxPageFiles = 100
)

// page is one reply of a copy on its way to Read.
type page struct {
	batch  flow.Batch
	copy   *nsCopy
	chunk  *chunk
	lease  *lease
	settle func()
	// repaired, if not nil, hears what became of it; it does not block.
	repaired func(error)
}

// readAll reads chunk after chunk until the source is closed.
func (m *copies) readAll() {
	var pause backoff
	for {
		c, ch, changed := m.toRead()
		if c == nil {
			if m.s.wait(m.s.ctx, changed) != nil {
				return
			}
			continue
		}
		var err error
		if c.view {
			err = m.readView(c, ch)
		} else {
			err = m.readChunk(c, ch, &pause)
		}
		m.s.mu.Lock()
		ch.retry()
		m.s.poke()
		m.s.mu.Unlock()
		if err == nil {
			pause.reset()
		} else if !m.overcome(c, &pause, "read the snapshot of", err) {
			return
		}
	}
}

// toRead returns a chunk for a reader, or what to wait for.
func (m *copies) toRead() (*nsCopy, *chunk, <-chan struct{}) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	for _, c := range m.order {
		if c.phase != phaseCopying {
			continue
		}
		if _, ch := c.ready(); ch != nil {
			ch.stage = stageReading
			return c, ch, nil
		}
	}
	return nil, nil, m.s.changed
}

// readChunk reads a chunk to its end. Each reply is a find of its own, at a
// time of its own, that goes on after the last _id: no cursor waits at the
// server while the sink is slow, any member may answer, and a stamp belongs to
// the read that it is for.
func (m *copies) readChunk(c *nsCopy, ch *chunk, pause *backoff) error {
	last := ch.at
	if err := m.mayRead(c.ctx); err != nil {
		return err
	}
	if ch.max.Type != bson.TypeMinKey { // below it there is nothing
		for more := true; more; {
			var err error
			last, more, err = m.readPage(c, ch, last)
			if err != nil {
				if m.refresh(c, err) {
					continue
				}
				return err
			}
			pause.reset()
			if !more {
				break
			}
			if err := m.mayRead(c.ctx); err != nil {
				return err
			}
		}
	}
	if ch.tail {
		if err := m.readTail(c, ch); err != nil {
			return err
		}
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	ch.stage = stageRead
	c.settleIfDone(ch)
	c.sweep(m.s.settledPassed())
	return nil
}

// refresh answers errors that only want another time to read at; true says go on.
func (m *copies) refresh(c *nsCopy, err error) bool {
	code, _ := codeOf(err)
	if code != 239 && code != 246 && code != 72 || c.ctx.Err() != nil {
		return false
	}
	m.s.opts.Metrics.retried(reasonOf(err))
	m.s.mu.Lock()
	c.refusals++
	tries := c.refusals
	if code == 246 && tries > 2 { // not this time, but this collection
		c.majority = true
	}
	m.s.mu.Unlock()
	if tries > 2*maxUnknown {
		return false
	}
	_, err = m.s.serverTime(c.ctx)
	return err == nil
}

// readPage reads one reply after last and sends it; more is false at the end
// of the chunk.
func (m *copies) readPage(c *nsCopy, ch *chunk, last *bson.RawValue) (*bson.RawValue, bool, error) {
	limit := m.pageDocs(c)
	cmd := make(bson.D, 0, 9)
	cmd = append(cmd, bson.E{Key: "find", Value: c.ns.Coll}, hintID(), sortID(1), bson.E{Key: "max", Value: bson.D{{Key: "_id", Value: *ch.max}}})
	switch {
	case last != nil:
		limit++ // min is inclusive
		cmd = append(cmd, bson.E{Key: "min", Value: bson.D{{Key: "_id", Value: *last}}})
	case ch.min != nil:
		cmd = append(cmd, bson.E{Key: "min", Value: bson.D{{Key: "_id", Value: *ch.min}}})
	}
	cmd = append(cmd, bson.E{Key: "limit", Value: int64(limit)}, bson.E{Key: "batchSize", Value: int64(limit)})
	plain := cmd
	if c.filter != nil {
		cmd = append(cmd, bson.E{Key: "filter", Value: c.filter})
	}
	id, more, err := m.readAt(c, ch, cmd, last, limit)
	if err != nil || !more || id != last || last == nil {
		return id, more, err
	}
	// The document at last and the next one do not fit into one reply, so it
	// brought nothing new: the next one alone.
	return m.readAt(c, ch, append(plain, bson.E{Key: "filter", Value: without(*last, c.filter)}), last, limit)
}

// without adds to a filter, which may be nil, that one document is left out.
func without(id bson.RawValue, filter bson.Raw) bson.D {
	other := bson.D{{Key: "$nor", Value: bson.A{bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: id}}}}}}}
	if filter == nil {
		return other
	}
	return bson.D{{Key: "$and", Value: bson.A{other, filter}}}
}

// readTail reads the one document at the end of the copy, which no range that
// leaves its end out can reach (MaxKey is one of them).
func (m *copies) readTail(c *nsCopy, ch *chunk) error {
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: *ch.max}}}}
	if c.filter != nil {
		filter = bson.D{{Key: "$and", Value: bson.A{filter, c.filter}}}
	}
	cmd := bson.D{{Key: "find", Value: c.ns.Coll}, hintID(), {Key: "filter", Value: filter}, {Key: "limit", Value: int64(1)}}
	for {
		_, _, err := m.readAt(c, ch, cmd, nil, 1)
		if err == nil || !m.refresh(c, err) {
			return err
		}
	}
}

// readAt runs cmd at a time of its own and sends what it finds after last.
func (m *copies) readAt(c *nsCopy, ch *chunk, cmd bson.D, last *bson.RawValue, limit int) (*bson.RawValue, bool, error) {
	at, l, concern := m.lease(c)
	r, err := m.find1(c.ctx, c.ns, append(cmd, bson.E{Key: "readConcern", Value: concern}))
	if err != nil {
		m.release(l)
		return last, true, err
	}
	if r.cursor != 0 { // cut off at 16 MB: the next find goes on there
		m.kill(c, r.cursor)
	}
	batch, n, err := documents(&r, c.ns, at, last)
	if err != nil {
		m.release(l)
		return last, true, err
	}
	m.s.mu.Lock()
	c.refusals = 0
	ch.pass = later(ch.pass, r.time)
	c.pass = later(c.pass, r.time)
	docs := len(batch.Changes)
	if docs > 0 {
		l.bytes = int64(batch.Bytes)
		m.inFlight += l.bytes
		m.owedDocs, m.owedBytes = m.owedDocs+docs, m.owedBytes+l.bytes
		c.read += int64(docs)
		m.read += int64(docs)
		size := float64(r.size) / float64(docs)
		if c.avg == 0 {
			c.avg = size
		}
		c.avg += (size - c.avg) / 4
	}
	m.s.mu.Unlock()
	more := r.cursor != 0 || n >= limit
	if docs == 0 {
		m.release(l)
		return last, more, nil
	}
	m.s.opts.Metrics.copiedPage(docs, r.size)
	id := own(batch.Changes[docs-1].ID)
	if limit > 1 { // the tail is read as a whole, or again
		ch.at = &id
	}
	return &id, more, m.send(page{batch: batch, copy: c, chunk: ch, lease: l, settle: ch.last.Add(&id)})
}

// lease opens a read at a time that is not before anything that the stream has
// delivered, and is counted from before the time is chosen (rule S5).
func (m *copies) lease(c *nsCopy) (at bson.Timestamp, l *lease, concern bson.D) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	at = later(m.s.clock, m.s.eventTime)
	l = &lease{low: at}
	m.leases[l] = struct{}{}
	if c.majority {
		return at, l, afterClusterTime(at)
	}
	return at, l, atClusterTime(at)
}

func (m *copies) release(l *lease) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.let(l)
}

// documents makes changes of a reply, without the document at last. n is how
// many the server returned.
func documents(r *reply, ns flow.Namespace, at bson.Timestamp, last *bson.RawValue) (b flow.Batch, n int, err error) {
	version, err := timeOf(ns, at)
	if err != nil {
		return b, 0, err
	}
	b = flow.Batch{Snapshot: true, Low: at, After: at, Bytes: r.size}
	proto := flow.Change{Op: flow.OpWrite, NS: ns, Version: version - 1, Time: at}
	changes := make([]flow.Change, 0, countElements(r.batch))
	err = r.each(func(doc bson.Raw) error {
		id, err := idOf(doc)
		if err != nil {
			return unreadable(err)
		}
		n++
		if id.Type == 0 || n == 1 && last != nil && sameKey(id, *last) {
			return nil
		}
		changes = append(changes, proto)
		c := &changes[len(changes)-1]
		c.ID, c.Doc = id, doc
		return nil
	})
	b.Changes = changes
	return b, n, err
}

// countElements returns the length of an array by its last index, which is
// found by walking the lengths only.
func countElements(array []byte) int {
	n := 0
	for b := inside(array); len(b) > 0 && b[0] != 0; n++ {
		_, _, _, rest, err := element(b)
		if err != nil {
			return n
		}
		b = rest
	}
	return n
}

// send gives a page to Read, or drops it when its copy was abandoned.
func (m *copies) send(p page) error {
	if err := m.throttle(p.copy.ctx, len(p.batch.Changes)); err != nil {
		m.release(p.lease)
		return err
	}
	m.s.mu.Lock()
	p.chunk.open++
	m.s.mu.Unlock()
	select {
	case m.out <- p:
		return nil
	case <-p.copy.ctx.Done():
		m.release(p.lease)
		return context.Cause(p.copy.ctx)
	}
}

// pageDocs is how many documents make a reply of the wanted size.
func (m *copies) pageDocs(c *nsCopy) int {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	size := c.avg
	if size <= 0 {
		size = defaultDocSize
	}
	most := m.maxDocs()
	if files := m.s.opts.Files; files != nil && files(c.ns) {
		most = min(most, maxPageFiles)
	}
	return min(max(int(float64(m.s.opts.Snapshot.BatchBytes)/size), 1), most)
}

// maxDocs bounds a reply where a rate is set, so that it flows evenly.
func (m *copies) maxDocs() int {
	if r := m.s.opts.Snapshot.Rate; r > 0 {
		return min(max(int(r/4), 1), maxPageDocs)
	}
	return maxPageDocs
}

// kill ends a cursor that is not read on.
func (m *copies) kill(c *nsCopy, cursor int64) {
	cmd := bson.D{{Key: "killCursors", Value: c.ns.Coll}, {Key: "cursors", Value: bson.A{cursor}}}
	_ = m.s.client.Database(c.ns.DB).RunCommand(c.ctx, cmd, m.s.copyPref()).Err() // it times out by itself
}

// reasonOf names an error for a metric.
func reasonOf(err error) string {
	if code, ok := codeOf(err); ok {
		return strconv.Itoa(int(code))
	}
	return "network"
}
