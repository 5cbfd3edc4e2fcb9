package archivedb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/cold"
	source "sluice/internal/mongo"
)

// Load tells how the live database is doing (rule A7). Rights that are missing
// are no error: what they would tell is unknown, and Missing names them. On a
// standalone server there is no lag and no window. Through mongos the lag can't
// be read.
func (db *DB) Load(ctx context.Context) (cold.Load, error) {
	var l cold.Load
	g, err := db.greet(ctx)
	if err != nil {
		return l, err
	}
	switch {
	case g.mongos:
		l.Missing = append(l.Missing, "the replication lag of shards, which mongos does not tell")
	case !g.set:
		l.LagKnown = true
	default:
		if err := db.lag(ctx, g, &l); err != nil {
			return l, err
		}
		if err := db.window(ctx, &l); err != nil {
			return l, err
		}
	}
	return l, db.status(ctx, &l)
}

// ask runs a command on the primary's database admin; nil without the right to
// it, which is then missing.
func (db *DB) ask(ctx context.Context, l *cold.Load, command string, args ...bson.E) (bson.Raw, error) {
	raw, err := db.client.Database("admin").RunCommand(ctx, append(bson.D{{Key: command, Value: 1}}, args...)).Raw()
	if serverCode(err) == codeUnauthorized {
		l.Missing = append(l.Missing, right{action: command}.String())
		return nil, nil
	}
	return raw, source.Fault("ask for the "+command+" of", db.uri, err)
}

// window is how far back the oplog reaches.
func (db *DB) window(ctx context.Context, l *cold.Load) error {
	var at [2]uint32
	for i, direction := range []int{1, -1} {
		raw, err := db.client.Database("local").Collection("oplog.rs", options.Collection().
			SetReadPreference(readpref.Primary()).SetReadConcern(readconcern.Local())).
			FindOne(ctx, bson.D{}, options.FindOne().
				SetSort(bson.D{{Key: "$natural", Value: direction}}).
				SetProjection(bson.D{{Key: "ts", Value: 1}})).Raw()
		if serverCode(err) == codeUnauthorized {
			l.Missing = append(l.Missing, right{"local", "oplog.rs", "find"}.String())
			return nil
		}
		if err != nil {
			return source.Fault("read the oplog of", db.uri, err)
		}
		at[i], _, _ = raw.Lookup("ts").TimestampOK()
	}
	l.WindowKnown = at[0] > 0 && at[1] >= at[0]
	if l.WindowKnown {
		l.Window = time.Duration(at[1]-at[0]) * time.Second
	}
	return nil
}

// status reads flow control, cache and queues.
func (db *DB) status(ctx context.Context, l *cold.Load) error {
	drop := func(sections ...string) (out []bson.E) {
		for _, s := range sections {
			out = append(out, bson.E{Key: s, Value: 0})
		}
		return out
	}
	raw, err := db.ask(ctx, l, "serverStatus", drop(
		"metrics", "locks", "repl", "tcmalloc", "sharding", "shardingStatistics", "transactions", "mirroredReads",
		"opLatencies", "opReadConcernCounters", "readConcernCounters", "security", "electionMetrics", "logicalSessionRecordCache")...)
	if err != nil || raw == nil {
		return err
	}
	if fc, ok := raw.Lookup("flowControl").DocumentOK(); ok {
		lagged, _ := fc.Lookup("isLagged").BooleanOK()
		count, _ := fc.Lookup("isLaggedCount").AsInt64OK()
		l.FlowControlled = db.lagged.since(lagged, count)
	}
	cache, ok := raw.Lookup("wiredTiger", "cache").DocumentOK()
	if !ok {
		return nil // mongos, or another engine
	}
	dirty, ok1 := number(cache, "tracked dirty bytes in the cache")
	whole, ok2 := number(cache, "maximum bytes configured")
	queued, ok3 := raw.Lookup("globalLock", "currentQueue", "total").AsInt64OK()
	if ok1 && ok2 && ok3 && whole > 0 {
		l.LoadKnown, l.Dirty, l.Queued = true, min(dirty/whole, 1), queued
	}
	return nil
}

func number(doc bson.Raw, field string) (float64, bool) { return doc.Lookup(field).AsFloat64OK() }
