package mongo

import (
	"context"
	"errors"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/relate"
)

const (
	// relatedKeys is how many keys one query asks for.
	relatedKeys = 100
	// relatedPage is how many dependants one read brings at most: then other keys
	// have their turn.
	relatedPage = 1000
)

// errUndelivered: a page of dependants was given up, with the flow.
var errUndelivered = errors.New("what was read has no final verdicts")

// start starts the goroutines, which end with the source.
func (g *relations) start() {
	for _, r := range g.all {
		for range relatedWorkers {
			g.s.wg.Go(func() { g.work(r) })
		}
	}
}

// work walks laps of r until the source is closed.
func (g *relations) work(r *relation) {
	var pause backoff
	for {
		lap, c, end, changed := g.next(r)
		if lap == nil {
			if g.s.wait(g.s.ctx, changed) != nil {
				return
			}
			continue
		}
		goOn := true
		if err := g.walk(r, lap, c); err == nil {
			pause.reset()
		} else {
			goOn = g.overcome(c, &pause, err) // before c ends: it may be why
			g.park(r, lap, nil, 0)
		}
		end()
		if !goOn {
			return
		}
	}
}

// next takes a lap of r, with the copy that it reads by, or returns what to wait
// for. end lets the copy go.
func (g *relations) next(r *relation) (lap *relate.Lap, c *nsCopy, end func(), changed <-chan struct{}) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.barred[r.Rewrite] {
		return nil, nil, nil, s.changed
	}
	if g.comes(r.Rewrite) && r.queue.Keys() > 0 {
		was := r.queue.Used()
		r.queue.Clear()
		s.opts.Metrics.relatedQueue(r.queue.Used() - was)
		if r.queue.Used() < was {
			s.poke()
		}
		return nil, nil, nil, s.changed
	}
	if lap = r.queue.Take(relatedKeys); lap == nil {
		return nil, nil, nil, s.changed
	}
	c = s.copies.newCopy(r.Rewrite, false)
	c.majority = c.majority || r.majority
	s.copies.repairs[c] = struct{}{} // a drop ends it (rule S15)
	return lap, c, func() {
		c.cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.copies.repairs, c)
	}, nil
}

// comes tells whether all of ns is going to be read anyway, later than anything
// that is owed: its copy has not begun, or it is not there yet; mu is held.
func (g *relations) comes(ns flow.Namespace) bool {
	if _, bound := g.s.bound[ns]; !bound {
		return true
	}
	c := g.s.copies.find(ns)
	return c != nil && !c.begun
}

// walk reads one page of a lap, sees it settled and moves the lap on.
func (g *relations) walk(r *relation, lap *relate.Lap, c *nsCopy) error {
	there, err := g.ready(c.ctx, r)
	if err != nil {
		return err
	}
	if !there {
		g.over(r, lap, 0)
		return nil
	}
	b, l, last, err := g.read(r, lap, c)
	if err != nil {
		return err
	}
	n := len(b.Changes)
	if n == 0 {
		g.s.copies.release(l)
	} else if err := g.s.copies.deliver(c, b, l, RepairOptions{}); err != nil {
		return errors.Join(errUndelivered, err)
	}
	// What shows these is next. It is noted before the lap moves on, so a crash
	// between brings this page again.
	if owed := g.owes(r.Rewrite, b.Changes); len(owed) > 0 {
		if err := g.admit(owed)(c.ctx); err != nil {
			return errors.Join(errUndelivered, err)
		}
	}
	if last == nil {
		g.over(r, lap, n)
	} else {
		g.park(r, lap, last, n)
	}
	return nil
}

// park gives a lap back that has come to last, n documents further; nil: no further.
func (g *relations) park(r *relation, lap *relate.Lap, last *bson.RawValue, n int) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	r.queue.Park(lap, last)
	g.wrote(r, n)
}

// over ends a lap, with its last n documents.
func (g *relations) over(r *relation, lap *relate.Lap, n int) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	was := r.queue.Used()
	r.queue.Done(lap)
	g.s.opts.Metrics.relatedQueue(r.queue.Used() - was)
	g.wrote(r, n)
}

// wrote counts n documents; mu is held.
func (g *relations) wrote(r *relation, n int) {
	r.rewritten += int64(n)
	g.s.opts.Metrics.relatedWritten(n)
	g.s.poke()
}

// read reads a page of dependants at a time of its own (rule S1), after what the
// lap has come to. last is where the page ends, nil if nothing lies behind it.
func (g *relations) read(r *relation, lap *relate.Lap, c *nsCopy) (b flow.Batch, l *lease, last *bson.RawValue, err error) {
	m := g.s.copies
	limit := g.pageDocs(r)
	for {
		// What was seen last may be older than a key of an earlier life.
		if _, err = g.s.serverTime(c.ctx); err != nil {
			return b, nil, nil, err
		}
		var at bson.Timestamp
		var concern bson.D
		at, l, concern = m.lease(c)
		var rep reply
		if rep, err = m.find1(c.ctx, c.ns, g.command(r, lap, c, limit, concern)); err == nil {
			var n int
			if b, n, err = documents(&rep, c.ns, at, nil); err == nil {
				return b, l, g.pageEnd(r, c, &rep, b, n < limit), nil
			}
		}
		m.release(l)
		if !m.refresh(c, err) {
			return b, nil, nil, err
		}
		g.s.mu.Lock()
		r.majority = c.majority
		g.s.mu.Unlock()
	}
}

// command is the query for a page.
func (g *relations) command(r *relation, lap *relate.Lap, c *nsCopy, limit int, concern bson.D) bson.D {
	conds := bson.A{r.match(lap.Keys)}
	if lap.Last != nil { // $expr compares values of all types, in the order of the sort
		conds = append(conds, bson.D{{Key: "$expr", Value: bson.D{{Key: "$gt", Value: bson.A{"$_id", bson.D{{Key: "$literal", Value: *lap.Last}}}}}}})
	}
	if c.filter != nil {
		conds = append(conds, c.filter)
	}
	return bson.D{
		{Key: "find", Value: c.ns.Coll},
		{Key: "filter", Value: bson.D{{Key: "$and", Value: conds}}},
		sortID(1),
		{Key: "hint", Value: r.hint},
		{Key: "limit", Value: int64(limit)},
		{Key: "batchSize", Value: int64(limit)},
		{Key: "allowDiskUse", Value: true},
		{Key: "readConcern", Value: concern},
	}
}

// match is the condition that a document shows one of keys.
func (r *relation) match(keys []relate.Key) bson.D {
	in := make(bson.A, 0, len(keys))
	null := false
	for _, k := range keys {
		if k.Value.Type == bson.TypeNull { // which would find documents without the field
			null = true
			continue
		}
		in = append(in, k.Value)
	}
	byKey := bson.D{{Key: r.Field, Value: bson.D{{Key: "$in", Value: in}}}}
	if !null {
		return byKey
	}
	return bson.D{{Key: "$or", Value: bson.A{byKey, bson.D{{Key: r.Field, Value: bson.D{{Key: "$type", Value: "null"}}}}}}}
}

// pageEnd returns the last _id of a page, nil if it is the last page.
func (g *relations) pageEnd(r *relation, c *nsCopy, rep *reply, b flow.Batch, short bool) *bson.RawValue {
	if rep.cursor != 0 { // cut off at 16 MB: the next read goes on there
		g.s.copies.kill(c, rep.cursor)
		short = false
	}
	n := len(b.Changes)
	if n == 0 {
		return nil
	}
	g.s.mu.Lock()
	r.size = float64(b.Bytes) / float64(n)
	g.s.mu.Unlock()
	if short {
		return nil
	}
	id := own(b.Changes[n-1].ID)
	return &id
}

// pageDocs is how many dependants make a reply of the wanted size.
func (g *relations) pageDocs(r *relation) int {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	size := r.size
	if size <= 0 {
		size = defaultDocSize
	}
	n := int(float64(g.s.opts.Snapshot.BatchBytes) / size)
	return min(max(n, 1), relatedPage, g.s.copies.maxDocs())
}

// overcome pauses after an error and tells whether to go on.
func (g *relations) overcome(c *nsCopy, pause *backoff, err error) bool {
	var own *flow.Error
	switch {
	case c.ctx.Err() != nil && g.s.ctx.Err() == nil: // dropped: what is owed is looked at anew
		return true
	case errors.Is(err, errUndelivered): // the flow ends, and says why itself
		return pause.wait(g.s.ctx) == nil
	case errors.As(err, &own) && own.Class != flow.Transient:
		g.s.copies.fail(own)
		return pause.wait(g.s.ctx) == nil
	case g.noIndex(c.ns, err):
		g.s.log.Info("the index of related documents is gone; another is looked for", slog.String(flow.LogNS, c.ns.String()))
		return pause.wait(g.s.ctx) == nil
	}
	return g.s.copies.overcome(c, pause, "read related documents of", err)
}

// noIndex tells whether a read failed because an index is gone, and forgets it.
func (g *relations) noIndex(ns flow.Namespace, err error) bool {
	if code, _ := codeOf(err); code != 2 && code != 27 {
		return false
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for _, r := range g.all {
		if r.Rewrite == ns {
			r.hint = nil
		}
	}
	return true
}

// ready finds the index of r, unless it is known; false: there is no collection.
func (g *relations) ready(ctx context.Context, r *relation) (bool, error) {
	g.s.mu.Lock()
	known := r.hint != nil
	g.s.mu.Unlock()
	if known {
		return true, nil
	}
	return g.probe(ctx, r)
}
