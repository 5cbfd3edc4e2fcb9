package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// rereadKeys is how many keys one query asks for; fewer or more are slower.
const rereadKeys = 500

// Reread returns the stage that reads current documents for OpReread (rule
// S8). Its Apply may be called from several goroutines.
func (s *Source) Reread() flow.Stage { return reread{s} }

type reread struct{ s *Source }

// Apply turns each OpReread of b into OpWrite with the document as it is now
// (not older than b.After), or, if there is none, into OpDelete where
// MissingIsDelete says so, OpWrite of the Doc that it has already (not with
// PreImages), or OpSkip. An error leaves changes that were not read as they are:
// Apply may be called again.
func (r reread) Apply(ctx context.Context, b flow.Batch) (flow.Batch, error) {
	q := question{s: r.s, after: b.After}
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Op != flow.OpReread {
			continue
		}
		if len(q.keys) > 0 && (c.NS != q.ns || len(q.keys) >= rereadKeys) {
			if err := q.ask(ctx); err != nil {
				return b, err
			}
		}
		q.add(c)
	}
	if len(q.keys) > 0 {
		if err := q.ask(ctx); err != nil {
			return b, err
		}
	}
	return b, nil
}

// question is one query for keys of one namespace, and who asked for them.
type question struct {
	s     *Source
	after bson.Timestamp
	ns    flow.Namespace
	// keys holds who asked, by the key's value: 2 and 2.0 are one key, and
	// replies come in the order of _id.
	keys    map[string]*asked
	order   []*asked
	sharded bool
	buf     []byte
}

// asked is one key. Several changes may ask for it under different document keys.
type asked struct {
	id      bson.RawValue
	doc     bson.Raw
	done    bool
	changes []*flow.Change
}

func (q *question) add(c *flow.Change) {
	if q.keys == nil {
		q.keys = make(map[string]*asked, 64)
	}
	q.ns = c.NS
	q.after = later(q.after, c.Time)
	q.sharded = q.sharded || c.Key != nil
	q.buf = appendKey(q.buf[:0], c.ID.Type, c.ID.Value)
	a := q.keys[string(q.buf)]
	if a == nil {
		a = &asked{id: c.ID}
		q.keys[string(q.buf)] = a
		q.order = append(q.order, a)
	}
	a.changes = append(a.changes, c)
}

// ask queries until every key is answered, and settles the changes.
func (q *question) ask(ctx context.Context) error {
	found := 0
	for {
		n, more, err := q.once(ctx)
		if err != nil {
			e := fault("read changed documents of", q.ns.String(), err)
			return q.s.denied(e)
		}
		found += n
		if !more {
			break
		}
	}
	for _, a := range q.order {
		for _, c := range a.changes {
			switch {
			case a.doc != nil:
				c.Op, c.Doc = flow.OpWrite, a.doc
			case c.MissingIsDelete:
				c.Op = flow.OpDelete
			case c.Doc != nil && !q.s.opts.PreImages: // what was merged into it stands until the delete comes
				c.Op = flow.OpWrite
			default:
				// The delete that is coming tells of the place of the document as it
				// was last: what stood at another one would be found by nobody (rule S14).
				c.Op, c.Doc = flow.OpSkip, nil
			}
		}
	}
	q.s.opts.Metrics.reread(found, len(q.order)-found)
	clear(q.keys)
	clear(q.order)
	q.order, q.sharded = q.order[:0], false
	return nil
}

// once runs the query for the keys that are not answered yet; more says that
// the reply was full before all were looked at.
func (q *question) once(ctx context.Context) (found int, more bool, err error) {
	cmd := bson.D{
		{Key: "find", Value: q.ns.Coll},
		{Key: "filter", Value: q.filter()},
		hintID(),
		{Key: "batchSize", Value: int64(2 * rereadKeys)},
		{Key: "readConcern", Value: afterClusterTime(q.after)},
	}
	db := q.s.client.Database(q.ns.DB)
	pref := options.RunCmd().SetReadPreference(q.s.prefs.rereads)
	q.s.rereads.Add(1)
	raw, err := db.RunCommand(ctx, cmd, pref).Raw()
	if err != nil {
		return 0, false, err
	}
	r, err := parseReply(raw)
	if err != nil {
		return 0, false, unreadable(err)
	}
	err = r.each(func(doc bson.Raw) error {
		id, err := idOf(doc)
		if err != nil {
			return unreadable(err)
		}
		q.buf = appendKey(q.buf[:0], id.Type, id.Value)
		if a := q.keys[string(q.buf)]; a != nil && !a.done {
			a.doc, a.done = doc, true
			found++
		}
		return nil
	})
	if r.cursor != 0 {
		kill := bson.D{{Key: "killCursors", Value: q.ns.Coll}, {Key: "cursors", Value: bson.A{r.cursor}}}
		_ = db.RunCommand(ctx, kill, pref).Err() // it times out by itself
		more = found > 0
	}
	return found, more, err
}

// filter asks for the keys by _id, or by the whole document key where the
// collection is sharded, together with the filter of the namespace.
func (q *question) filter() bson.D {
	var f bson.D
	ids, wholes := bson.A{}, bson.A{}
	for _, a := range q.order {
		if a.done {
			continue
		}
		if key := a.whole(); key != nil && q.sharded {
			wholes = append(wholes, key)
			continue
		}
		ids = append(ids, a.id)
	}
	byID := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
	switch {
	case len(wholes) == 0:
		f = byID
	case len(ids) == 0:
		f = bson.D{{Key: "$or", Value: wholes}}
	default:
		f = bson.D{{Key: "$or", Value: append(wholes, byID)}}
	}
	if extra := q.s.sel.filter(q.ns); extra != nil {
		f = bson.D{{Key: "$and", Value: bson.A{f, extra}}}
	}
	return f
}

// whole returns the one document key that all who asked know, nil if they
// differ or one knows none: then only _id is sure.
func (a *asked) whole() bson.Raw {
	key := a.changes[0].Key
	for _, c := range a.changes {
		if c.Key == nil || string(c.Key) != string(key) {
			return nil
		}
	}
	return key
}
