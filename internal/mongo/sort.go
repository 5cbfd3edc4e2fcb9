package mongo

import (
	"bytes"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// maxNames bounds the cache of names that nobody follows.
const maxNames = 10000

// sorter turns the events of one reply into items: changes in order, cut where
// a control has to come between them.
type sorter struct {
	st      *stream
	changes []flow.Change
	bytes   int
	rest    int // events not yet looked at: how many changes may still come
	last    *event
	sharded bool // a change has a key beyond _id
	owed    []owing
	owing   int // how many of owed there were
	ops     [flow.OpSkip + 1]int
	ignored int
}

// sort queues what events bring and moves st.at. end is where the reply ends;
// a zero one says that more of its last transaction is held.
func (st *stream) sort(events []event, end mark) error {
	so := sorter{st: st}
	for i := range events {
		so.rest = len(events) - i
		if err := so.one(&events[i]); err != nil {
			return err
		}
		so.last = &events[i]
	}
	if so.last == nil && end.time.IsZero() {
		return nil // all of it is held
	}
	if end.time.IsZero() {
		end = so.markHere()
	}
	end.invalidate = end.invalidate || so.last != nil && so.last.kind == kindInvalidate
	so.flush(end)
	so.count()
	st.at = end
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if so.last != nil {
		st.s.readTime = later(st.s.readTime, so.last.time)
		st.s.eventTime = later(st.s.eventTime, so.last.time)
	}
	st.s.readTime = later(st.s.readTime, end.passed)
	return nil
}

// one sorts one event.
func (so *sorter) one(e *event) error {
	if e.isWrite() {
		return so.write(e)
	}
	switch e.kind {
	case kindDrop:
		return so.drop(e)
	case kindRename:
		return so.rename(e)
	case kindCreate:
		return so.create(e)
	case kindDropDatabase:
		return so.dropDatabase(e)
	}
	so.ignored++
	return nil
}

// write appends a change.
func (so *sorter) write(e *event) error {
	t := so.st.target(e.ns)
	if err := so.owe(t, e); err != nil {
		return err
	}
	if !t.followed || so.st.s.passOver(t.ns, e.time) {
		so.ignored++
		return nil
	}
	v, err := timeOf(t.ns, e.time)
	if err != nil {
		return err
	}
	if _, seen := so.st.seen[t.ns]; !seen {
		if err := so.appear(t.ns, e); err != nil {
			return err
		}
	}
	id, key, err := e.documentKey()
	if err != nil {
		return unreadable(err)
	}
	c := flow.Change{NS: t.ns, ID: id, Key: key, Version: v, Time: e.time, Txn: e.txn, Update: e.kind == kindUpdate || e.kind == kindReplace}
	switch {
	case e.kind == kindDelete:
		c.Op, c.Session = flow.OpDelete, e.session()
	case t.filtered, e.kind == kindInsert && e.doc == nil: // what the index has is of an earlier life
		c.Op, c.MissingIsDelete = flow.OpReread, true
	case e.kind == kindUpdate || e.doc == nil:
		c.Op = flow.OpReread
	default:
		c.Op, c.Doc = flow.OpWrite, e.doc
	}
	if so.st.s.opts.Before {
		c.Before = beforeOf(e, key)
	}
	if so.changes == nil {
		so.changes = make([]flow.Change, 0, so.rest)
	}
	so.sharded = so.sharded || key != nil
	so.ops[c.Op]++
	so.changes = append(so.changes, c)
	so.bytes += len(e.raw)
	return nil
}

// target returns what is known of the namespace of an event.
func (st *stream) target(ns bson.Raw) *target {
	if t, ok := st.names[string(ns)]; ok {
		return t
	}
	var t target
	for b := inside(ns); ; {
		typ, name, value, rest, err := element(b)
		if err != nil || typ == 0 {
			break
		}
		if typ == bson.TypeString && len(value) >= 5 {
			switch string(name) {
			case "db":
				t.ns.DB = string(value[4 : len(value)-1])
			case "coll":
				t.ns.Coll = string(value[4 : len(value)-1])
			}
		}
		b = rest
	}
	t.followed = t.ns.Coll != "" && st.s.sel.streams(t.ns)
	t.filtered = st.s.sel.filter(t.ns) != nil
	t.related = st.s.related.when[t.ns]
	if len(st.names) >= maxNames {
		clear(st.names)
	}
	st.names[string(ns)] = &t
	return &t
}

// markHere is the mark after the last event that was sorted.
func (so *sorter) markHere() mark {
	if so.last == nil {
		return so.st.at
	}
	if so.st.braided { // the token is that of one strand alone
		return mark{time: so.last.time, passed: before(so.last.time)}
	}
	m, _ := markAt(so.last.token) // every event's token can be read, or its reply was refused
	m.invalidate = so.last.kind == kindInvalidate
	return m
}

// flush queues the changes so far, as one batch that ends at m.
func (so *sorter) flush(m mark) {
	b := flow.Batch{Changes: so.changes, Bytes: so.bytes}
	if n := len(so.changes); n > 0 {
		b.After = so.changes[n-1].Time
	}
	if so.sharded {
		settleMoves(so.changes)
	}
	it := item{batch: b, mark: m}
	if len(so.owed) > 0 {
		it.before = so.st.s.related.admit(so.owed)
	}
	so.st.queue = append(so.st.queue, it)
	so.changes, so.bytes, so.sharded, so.owed = nil, 0, false, nil
}

// count tells the metrics what the events became.
func (so *sorter) count() {
	m := so.st.s.opts.Metrics
	for op, n := range so.ops {
		m.event(flow.Op(op).String(), n)
	}
	m.event("ignored", so.ignored)
	m.event("related", so.owing)
}

// settleMoves finds keys that one transaction deleted and wrote under
// different document keys (a document that moved to another shard) and lets a
// read of the key decide: the order of the two events says nothing (T15).
func settleMoves(changes []flow.Change) {
	for from := 0; from < len(changes); {
		to := from + 1
		for to < len(changes) && changes[to].Time.Equal(changes[from].Time) {
			to++
		}
		if to-from > 1 {
			settleMovesAt(changes[from:to])
		}
		from = to
	}
}

// settleMovesAt does so among changes of one time.
func settleMovesAt(changes []flow.Change) {
	type group struct {
		first          *flow.Change
		deletes, other bool
	}
	groups := map[string]*group{}
	var buf []byte
	name := func(c *flow.Change) string {
		buf = append(append(buf[:0], c.NS.DB...), '.')
		buf = append(append(buf, c.NS.Coll...), 0)
		buf = appendKey(buf, c.ID.Type, c.ID.Value)
		return string(buf)
	}
	for i := range changes {
		c := &changes[i]
		g := groups[name(c)]
		if g == nil {
			g = &group{first: c}
			groups[name(c)] = g
		}
		g.deletes = g.deletes || c.Op == flow.OpDelete
		g.other = g.other || !bytes.Equal(c.Key, g.first.Key)
	}
	for i := range changes {
		c := &changes[i]
		if g := groups[name(c)]; g.deletes && g.other {
			c.Op, c.Doc, c.Key, c.MissingIsDelete = flow.OpReread, nil, nil, true
			c.Before = nil
		}
	}
}
