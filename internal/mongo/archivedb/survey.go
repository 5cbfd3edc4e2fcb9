package archivedb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	source "sluice/internal/mongo"
)

// A collection up to this size is looked at as a whole.
const (
	smallDocs  = 200_000
	smallBytes = 256 << 20
)

// Survey says what MongoDB knows of sel and of the collection. It decides
// nothing, and changes nothing. Of a view, a time series collection and a
// missing one it says only what they are. Without a usable index a large
// collection is not scanned: Count stays 0, and the census is of a sample. Each
// question is bounded in time on the server.
func (db *DB) Survey(ctx context.Context, sel cold.Selection) (cold.Survey, error) {
	var s cold.Survey
	g, err := db.greet(ctx)
	if err != nil {
		return s, err
	}
	s.ServerTime, s.Skew, s.Transactions = g.now, g.skew, g.transactions()
	raw, err := db.client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return s, source.Fault("ask MongoDB for its version at", db.uri, err)
	}
	s.Version, _ = raw.Lookup("version").StringValueOK()
	sh, err := db.shapeOf(ctx, sel)
	if err != nil {
		return s, err
	}
	sh.describe(sel, &s)
	if s.Kind == cold.KindView || s.Kind == cold.KindTimeSeries || s.Kind == cold.KindMissing {
		return s, nil
	}
	if g.mongos {
		if s.ShardKey, err = db.sharding(ctx, sel.NS); err != nil {
			return s, err
		}
		s.Sharded = s.ShardKey != nil
	}
	if s.Total, s.TotalBytes, err = db.totals(ctx, sel.NS); err != nil {
		return s, err
	}
	return s, db.content(ctx, sel, sh, &s)
}

// describe tells s what the collection is.
func (sh shape) describe(sel cold.Selection, s *cold.Survey) {
	s.Kind, s.UUID, s.Options, s.Indexes = sh.kind, sh.uuid, sh.options, sh.indexes
	s.Collation = sh.collation != nil
	s.Index = sh.choice.name
	s.TTL = ttlOn(sel.Field, sh.indexes)
	if sh.options != nil {
		clustered := sh.options.Lookup("clusteredIndex").Type
		s.Clustered = clustered != 0
		s.Encrypted = sh.options.Lookup("encryptedFields").Type != 0
		if s.Clustered && sel.Field == "_id" && sh.options.Lookup("expireAfterSeconds").Type != 0 && len(s.TTL) == 0 {
			s.TTL = []string{"expireAfterSeconds of the clustered collection"}
		}
	}
}

// content asks what lies in the collection.
func (db *DB) content(ctx context.Context, sel cold.Selection, sh shape, s *cold.Survey) error {
	small := s.Total <= smallDocs && s.TotalBytes <= smallBytes
	q := question{db: db, sel: sel, hint: sh.choice.hint(), size: sampleDocs}
	steps := []func(context.Context, *cold.Survey) error{q.sample, q.count, q.span, q.sentinels}
	if sh.choice.name == "" && !small && !sel.CollScan {
		steps = nil
	}
	if small {
		steps = append(steps, q.censusOfAll)
	} else {
		steps = append(steps, q.censusOfSome)
	}
	for _, step := range steps {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// hint is what the read says to the server.
func (c choice) hint() any {
	if c.name == "" {
		return bson.D{{Key: "$natural", Value: 1}}
	}
	return c.name
}

// question asks things of the documents of a selection, by one index.
type question struct {
	db   *DB
	sel  cold.Selection
	hint any
	// size is that of a sample, in documents.
	size int
}

func (q question) fault(op string, err error) error {
	return q.db.explained(op, q.sel.NS, err, right{q.sel.NS.DB, q.sel.NS.Coll, "find"})
}

// aggregate runs a pipeline under the time limit; a nil hint leaves the index
// to the server.
func (q question) aggregate(ctx context.Context, op string, hint any, stages ...bson.D) ([]bson.Raw, error) {
	ctx, cancel := undated(ctx)
	defer cancel()
	cmd := bson.D{
		{Key: "aggregate", Value: q.sel.NS.Coll},
		{Key: "pipeline", Value: stages},
		{Key: "cursor", Value: bson.D{}},
		{Key: "maxTimeMS", Value: q.db.patience.Milliseconds()},
		{Key: "readConcern", Value: bson.D{{Key: "level", Value: "majority"}}},
	}
	if hint != nil {
		cmd = append(cmd, bson.E{Key: "hint", Value: hint})
	}
	cur, err := q.db.client.Database(q.sel.NS.DB).RunCommandCursor(ctx, cmd)
	var docs []bson.Raw
	if err == nil {
		docs, err = all(ctx, cur)
	}
	return docs, q.fault(op, err)
}

// undated ends with ctx, but has no deadline: of one, the driver would make a
// second maxTimeMS.
func undated(ctx context.Context) (context.Context, context.CancelFunc) {
	free, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return free, func() { stop(); cancel() }
}

// sample reads a part as the archive would, to see how well the index fits, and
// whether it has arrays in it.
func (q question) sample(ctx context.Context, s *cold.Survey) error {
	cmd := bson.D{
		{Key: "explain", Value: bson.D{
			{Key: "find", Value: q.sel.NS.Coll},
			{Key: "filter", Value: withFilter(q.sel, cold.Bounds{})},
			{Key: "hint", Value: q.hint},
			{Key: "limit", Value: int64(1000)},
		}},
		{Key: "verbosity", Value: "executionStats"},
		{Key: "maxTimeMS", Value: q.db.patience.Milliseconds()},
	}
	ctx, cancel := undated(ctx)
	defer cancel()
	raw, err := q.db.client.Database(q.sel.NS.DB).RunCommand(ctx, cmd).Raw()
	if err != nil {
		return q.fault("try the index on", err)
	}
	// A failure within is told, not returned.
	if done, ok := raw.Lookup("executionStats", "executionSuccess").BooleanOK(); ok && !done {
		code, _ := raw.Lookup("executionStats", "errorCode").AsInt64OK()
		text, _ := raw.Lookup("executionStats", "errorMessage").StringValueOK()
		return q.fault("try the index on", mongo.CommandError{Code: int32(code), Name: "in explain", Message: text})
	}
	keys, _ := raw.Lookup("executionStats", "totalKeysExamined").AsInt64OK()
	docs, _ := raw.Lookup("executionStats", "totalDocsExamined").AsInt64OK()
	s.Examined = max(keys, docs) // a clustered index has no keys of its own
	s.Returned, _ = raw.Lookup("executionStats", "nReturned").AsInt64OK()
	s.Multikey = multikey(raw.Lookup("queryPlanner", "winningPlan"), q.sel.Field)
	if !s.Multikey {
		s.Multikey = multikey(raw.Lookup("executionStats", "executionStages"), q.sel.Field)
	}
	return nil
}

// multikey tells whether a scan of an index in plan found arrays on the way to
// the field.
func multikey(plan bson.RawValue, field string) bool {
	for _, scan := range stages(plan, "IXSCAN") {
		if on, _ := scan.Lookup("isMultiKey").BooleanOK(); !on {
			continue
		}
		paths, ok := scan.Lookup("multiKeyPaths", field).ArrayOK()
		if !ok {
			return true
		}
		if values, _ := paths.Values(); len(values) > 0 {
			return true
		}
	}
	return false
}

// stages finds the stages of one kind anywhere in a plan.
func stages(plan bson.RawValue, kind string) []bson.Raw {
	var found []bson.Raw
	var doc bson.Raw
	switch plan.Type {
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		doc = bson.Raw(plan.Value)
	default:
		return nil
	}
	if name, _ := doc.Lookup("stage").StringValueOK(); name == kind {
		found = append(found, doc)
	}
	elems, _ := doc.Elements()
	for _, e := range elems {
		found = append(found, stages(e.Value(), kind)...)
	}
	return found
}

func (q question) count(ctx context.Context, s *cold.Survey) (err error) {
	s.Count, err = q.countOf(ctx, withFilter(q.sel, cold.Bounds{}))
	return err
}

func (q question) countOf(ctx context.Context, query bson.D) (int64, error) {
	docs, err := q.aggregate(ctx, "count the old documents of", q.hint,
		bson.D{{Key: "$match", Value: query}}, bson.D{{Key: "$count", Value: "n"}})
	if err != nil || len(docs) == 0 {
		return 0, err
	}
	n, _ := docs[0].Lookup("n").AsInt64OK()
	return n, nil
}

// sentinels counts the dates that only stand for "none", wherever the rule begins.
func (q question) sentinels(ctx context.Context, s *cold.Survey) (err error) {
	sel := q.sel
	sel.From, sel.Floor, sel.Before = time.Time{}, time.Time{}, cold.SentinelBefore()
	s.Sentinels, err = q.countOf(ctx, withFilter(sel, cold.Bounds{}))
	return err
}

// span finds the oldest and the newest of the selection.
func (q question) span(ctx context.Context, s *cold.Survey) (err error) {
	if s.Oldest, err = q.end(ctx, 1); err == nil && !s.Oldest.IsZero() {
		s.Newest, err = q.end(ctx, -1)
	}
	return err
}

// end is the first age in the given direction, zero without any.
func (q question) end(ctx context.Context, direction int) (time.Time, error) {
	docs, err := q.aggregate(ctx, "find the oldest and the newest documents of", q.hint,
		bson.D{{Key: "$match", Value: withFilter(q.sel, cold.Bounds{})}},
		bson.D{{Key: "$sort", Value: bson.D{{Key: q.sel.Field, Value: direction}}}},
		bson.D{{Key: "$limit", Value: 1}},
		bson.D{{Key: "$project", Value: bson.D{{Key: q.sel.Field, Value: 1}}}})
	if err != nil || len(docs) == 0 {
		return time.Time{}, err
	}
	t, _ := ageOf(docs[0], q.sel.Field, q.sel.Kind)
	return t, nil
}
