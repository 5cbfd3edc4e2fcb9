package mongo

import (
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// readView reads a view, which has no index to read along: by one cursor, from
// the start whenever it was interrupted. What was written before is written
// again with a newer version.
func (m *copies) readView(c *nsCopy, ch *chunk) error {
	if err := m.mayRead(c.ctx); err != nil {
		return err
	}
	if _, err := m.s.serverTime(c.ctx); err != nil {
		return err
	}
	at, l, _ := m.lease(c)
	defer m.release(l)
	filter := any(bson.D{})
	if c.filter != nil {
		filter = c.filter
	}
	coll := m.s.client.Database(c.ns.DB).Collection(c.ns.Coll, options.Collection().SetReadPreference(m.s.prefs.copies))
	cur, err := coll.Find(c.ctx, filter, options.Find().SetBatchSize(int32(m.pageDocs(c))))
	if err != nil {
		return err
	}
	defer func() { _ = cur.Close(c.ctx) }()
	version, err := timeOf(c.ns, at)
	if err != nil {
		return err
	}
	proto := flow.Change{Op: flow.OpWrite, NS: c.ns, Version: version - 1, Time: at}
	b := flow.Batch{Snapshot: true, Low: at, After: at}
	for cur.Next(c.ctx) {
		id, err := idOf(cur.Current)
		if err != nil {
			return unreadable(err)
		}
		if id.Type != 0 {
			ch := proto
			ch.ID, ch.Doc = id, cur.Current
			b.Changes = append(b.Changes, ch)
			b.Bytes += len(cur.Current)
		}
		if cur.RemainingBatchLength() > 0 || len(b.Changes) == 0 {
			continue
		}
		if err := m.sendView(c, ch, b, at); err != nil {
			return err
		}
		b.Changes, b.Bytes = nil, 0
		if err := m.mayRead(c.ctx); err != nil {
			return err
		}
	}
	if err := cur.Err(); err != nil {
		return err
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	ch.pass, c.pass = later(ch.pass, m.s.clock), later(c.pass, m.s.clock)
	ch.stage = stageRead
	c.settleIfDone(ch)
	return nil
}

// sendView sends one batch of a view, with a lease of its own.
func (m *copies) sendView(c *nsCopy, ch *chunk, b flow.Batch, at bson.Timestamp) error {
	l := &lease{low: at, bytes: int64(b.Bytes)}
	m.s.mu.Lock()
	m.leases[l] = struct{}{}
	m.inFlight += l.bytes
	m.owedDocs, m.owedBytes = m.owedDocs+len(b.Changes), m.owedBytes+l.bytes
	c.read += int64(len(b.Changes))
	m.read += int64(len(b.Changes))
	m.s.mu.Unlock()
	m.s.opts.Metrics.copiedPage(len(b.Changes), b.Bytes)
	return m.send(page{batch: b, copy: c, chunk: ch, lease: l, settle: ch.last.Add(nil)})
}
