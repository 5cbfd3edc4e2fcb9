package archivedb

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// ReadOptions say how much one reply holds.
type ReadOptions struct {
	// BatchDocs bounds the documents of a reply; 0 is 100,000.
	BatchDocs int
	// BatchBytes is about how many bytes a reply has; 0 is 4 MB. The server ends
	// every reply at 16 MB, or after one document that is larger than the rest.
	BatchBytes int
}

const (
	defaultBatchDocs  = 100_000
	defaultBatchBytes = 4 << 20
	// firstBatch is small: nothing is known of the size of the documents.
	firstBatch = 16
)

// Cursor reads the old documents of a selection. It is for one goroutine. In
// memory it holds the last reply, and the _id values of the last age.
//
// A document whose age a user changes while the cursor is open may come twice,
// or not at all; who moves the key of an index moves it past any reader.
type Cursor struct {
	db   *DB
	sel  cold.Selection
	b    cold.Bounds
	o    ReadOptions
	how  reading
	sess *mongo.Session
	cur  *mongo.Cursor
	// size is the mean size of the documents of the last replies.
	size float64
	// last is the age of the last document, and seen are the hashes of the _id
	// values of all that had it: from there on it is read again when the server
	// has forgotten the cursor, which it does after ten minutes without a call.
	// Two of one hash would leave a document to a later run.
	last time.Time
	seen map[uint64]struct{}
	seed maphash.Seed
}

// maxSeen bounds seen. Where more documents have one age, a break is an error.
const maxSeen = 500_000

// reading is how a selection is read.
type reading struct {
	hint any
	// sort is nil if any order but the index's own would have to be made, and
	// nobody asked for that.
	sort bson.D
	// scan: there is no index, and the server sorts.
	scan bool
	// ordered: the documents come by age.
	ordered bool
}

// Read opens a cursor over the documents of sel within b: those that are
// committed by a majority, from the primary, by the index, and in its order;
// nothing is ever sorted in memory, unless sel says CollScan. Documents of which the server thinks that
// they are old, but whose age is not one single value (arrays), are left out.
// It fails with class Config when no index fits.
func (db *DB) Read(ctx context.Context, sel cold.Selection, b cold.Bounds, o ReadOptions) (*Cursor, error) {
	if o.BatchDocs <= 0 {
		o.BatchDocs = defaultBatchDocs
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = defaultBatchBytes
	}
	sh, err := db.shapeOf(ctx, sel)
	if err != nil {
		return nil, err
	}
	how, err := db.plan(ctx, sel, b, sh)
	if err != nil {
		return nil, err
	}
	sess, err := db.client.StartSession(options.Session().SetCausalConsistency(false))
	if err != nil {
		return nil, source.Fault("start a session at", db.uri, err)
	}
	c := &Cursor{db: db, sel: sel, b: b, o: o, how: how, sess: sess, seed: maphash.MakeSeed()}
	if err := c.open(ctx); err != nil {
		c.Close(ctx)
		return nil, err
	}
	return c, nil
}

// plan decides on index and order, and lets the server explain that the order
// costs nothing.
func (db *DB) plan(ctx context.Context, sel cold.Selection, b cold.Bounds, sh shape) (reading, error) {
	if sh.choice.name == "" && sel.CollScan {
		by := bson.D{{Key: sel.Field, Value: 1}, {Key: "_id", Value: 1}}
		return reading{hint: sh.choice.hint(), sort: by, ordered: true, scan: true}, nil
	}
	if sh.choice.name == "" {
		return reading{}, &flow.Error{
			Op: "read the old documents of", Object: sel.NS.String(), Class: flow.Config,
			Err: errors.New("no usable index begins with " + sel.Field),
			Hint: "make one; it may be built while the collection is in use:\n" +
				`db.getSiblingDB("` + sel.NS.DB + `").getCollection("` + sel.NS.Coll + `").createIndex({"` + sel.Field + `": 1, _id: 1})`,
		}
	}
	how := reading{hint: sh.choice.name}
	order := bson.D{{Key: sel.Field, Value: 1}}
	if sh.choice.byID && sel.Field != "_id" {
		order = append(order, bson.E{Key: "_id", Value: 1})
	}
	raw, err := db.client.Database(sel.NS.DB).RunCommand(ctx, bson.D{
		{Key: "explain", Value: bson.D{
			{Key: "find", Value: sel.NS.Coll},
			{Key: "filter", Value: withFilter(sel, b)},
			{Key: "hint", Value: how.hint},
			{Key: "sort", Value: order},
		}},
		{Key: "verbosity", Value: "queryPlanner"},
	}).Raw()
	if err != nil {
		return how, db.explained("plan the reading of", sel.NS, err, right{sel.NS.DB, sel.NS.Coll, "find"})
	}
	// An index with arrays in it gives no order.
	if len(stages(raw.Lookup("queryPlanner", "winningPlan"), "SORT")) == 0 {
		how.sort, how.ordered = order, true
	}
	return how, nil
}

// open sends the query. After a break it goes on at the last age.
func (c *Cursor) open(ctx context.Context) error {
	b := c.b
	if !c.last.IsZero() {
		b.From = c.last
	}
	o := options.Find().SetHint(c.how.hint).SetBatchSize(c.next())
	if c.how.sort != nil {
		o.SetSort(c.how.sort)
	}
	if c.how.scan {
		o.SetAllowDiskUse(true)
	}
	cur, err := c.db.data(c.sel.NS).Find(mongo.NewSessionContext(ctx, c.sess), withFilter(c.sel, b), o)
	if err != nil {
		return c.fault(err)
	}
	c.cur = cur
	return nil
}

func (c *Cursor) fault(err error) error {
	return c.db.explained("read the old documents of", c.sel.NS, err, right{c.sel.NS.DB, c.sel.NS.Coll, "find"})
}

// next is how many documents to ask for.
func (c *Cursor) next() int32 {
	if c.size == 0 {
		return int32(min(firstBatch, c.o.BatchDocs))
	}
	n := float64(c.o.BatchBytes) / c.size
	return int32(max(1, min(n, float64(c.o.BatchDocs), math.MaxInt32)))
}

// Next returns the next reply with documents of the selection, io.EOF after the
// last. When the server has forgotten the cursor, or has another primary by
// now, it goes on where it was, without repeating a document. After another
// error only Close is left.
func (c *Cursor) Next(ctx context.Context) (cold.Read, error) {
	for tries := 0; ; {
		docs, err := c.reply(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return cold.Read{}, io.EOF
		case err != nil && tries < 3 && c.resumable() && forgotten(err) && ctx.Err() == nil:
			tries++
			_ = c.cur.Close(ctx)
			if err := c.open(ctx); err != nil {
				return cold.Read{}, err
			}
			continue
		case err != nil:
			return cold.Read{}, c.fault(err)
		}
		if docs = c.sift(docs); len(docs) > 0 {
			return cold.Read{Docs: docs, At: c.at()}, nil
		}
	}
}

// resumable tells whether what was read can be told from what was not.
func (c *Cursor) resumable() bool { return c.how.ordered && len(c.seen) <= maxSeen }

// forgotten tells whether a query may simply be sent again.
func forgotten(err error) bool {
	var ce mongo.CommandError
	if mongo.IsNetworkError(err) || errors.As(err, &ce) && ce.HasErrorLabel("RetryableReadError") {
		return true
	}
	switch serverCode(err) {
	case codeCursorNotFound, codeQueryPlanKilled,
		10107, 13435, 11600, 11602, 189, 91: // not the primary any more, or going down
		return true
	}
	return false
}

// reply reads one reply. Its documents are views into it.
func (c *Cursor) reply(ctx context.Context) ([]bson.Raw, error) {
	if !c.cur.Next(ctx) {
		if err := c.cur.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	docs := append(make([]bson.Raw, 0, c.cur.RemainingBatchLength()+1), c.cur.Current)
	bytes := len(c.cur.Current)
	for c.cur.RemainingBatchLength() > 0 && c.cur.Next(ctx) {
		docs = append(docs, c.cur.Current)
		bytes += len(c.cur.Current)
	}
	if err := c.cur.Err(); err != nil {
		return nil, err
	}
	// What comes is as large as what came last; larger ones count at once,
	// smaller ones by and by.
	mean := float64(bytes) / float64(len(docs))
	c.size = max(mean, (c.size+mean)/2)
	c.cur.SetBatchSize(c.next())
	return docs, nil
}

// sift takes out what does not belong, or was there before a break.
func (c *Cursor) sift(docs []bson.Raw) []bson.Raw {
	kept := docs[:0]
	for _, doc := range docs {
		age, ok := belongs(doc, c.sel, c.b)
		if !ok {
			continue
		}
		key := c.hash(doc)
		if _, again := c.seen[key]; again && age.Equal(c.last) {
			continue
		}
		c.remember(age, key)
		kept = append(kept, doc)
	}
	return kept
}

func (c *Cursor) remember(age time.Time, key uint64) {
	switch {
	case !c.how.ordered:
		return
	case c.seen == nil || !age.Equal(c.last):
		c.last, c.seen = age, map[uint64]struct{}{}
	case len(c.seen) > maxSeen:
		return
	}
	c.seen[key] = struct{}{}
}

// hash is that of the _id.
func (c *Cursor) hash(doc bson.Raw) uint64 {
	v := doc.Lookup("_id")
	var h maphash.Hash
	h.SetSeed(c.seed)
	_ = h.WriteByte(byte(v.Type))
	_, _ = h.Write(v.Value)
	return h.Sum64()
}

// at is the cluster time of the last reply, zero on a standalone server.
func (c *Cursor) at() bson.Timestamp {
	if t := c.sess.OperationTime(); t != nil {
		return *t
	}
	return bson.Timestamp{}
}

// Close ends the query, on the server too. It may be called more than once.
func (c *Cursor) Close(ctx context.Context) {
	if c.cur != nil {
		_ = c.cur.Close(context.WithoutCancel(ctx))
		c.cur = nil
	}
	c.sess.EndSession(context.WithoutCancel(ctx))
}
