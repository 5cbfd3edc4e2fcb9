package vitals

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/governor"
	source "sluice/internal/mongo"
)

// codeUnauthorized is the server's code for a right that is missing.
const codeUnauthorized = 13

// Vitals asks one deployment. It is safe from several goroutines.
type Vitals struct {
	client *mongo.Client
	uri    string // without secrets
	lagged laggedCount
}

// New returns Vitals that ask through client, which stays the caller's; uri
// names it in errors and holds no secret.
func New(client *mongo.Client, uri string) *Vitals { return &Vitals{client: client, uri: uri} }

// Open connects to a deployment of its own; Close ends that. Errors name the
// cause and the cure.
func Open(ctx context.Context, uri, appName string) (*Vitals, error) {
	client, shown, err := source.Dial(ctx, uri, appName)
	if err != nil {
		return nil, err
	}
	return New(client, shown), nil
}

// Close ends the connection; for who has called Open.
func (v *Vitals) Close(ctx context.Context) error {
	return source.Fault("close the connections to", v.uri, v.client.Disconnect(ctx))
}

// greeting is what the primary says of itself.
type greeting struct {
	set     bool // a member of a replica set
	mongos  bool
	members []string // hosts and passives: not the hidden ones
}

func (v *Vitals) hello(ctx context.Context) (greeting, error) {
	raw, err := v.client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		return greeting{}, source.Fault("ask for its state", v.uri, err)
	}
	g := greeting{members: append(texts(raw, "hosts"), texts(raw, "passives")...)}
	_, g.set = raw.Lookup("setName").StringValueOK()
	msg, _ := raw.Lookup("msg").StringValueOK()
	g.mongos = msg == "isdbgrid"
	return g, nil
}

// texts returns the strings of an array of doc.
func texts(doc bson.Raw, field string) []string {
	arr, ok := doc.Lookup(field).ArrayOK()
	if !ok {
		return nil
	}
	values, _ := arr.Values()
	all := make([]string, 0, len(values))
	for _, v := range values {
		if s, ok := v.StringValueOK(); ok {
			all = append(all, s)
		}
	}
	return all
}

// serverCode is the server's code in err, 0 without one.
func serverCode(err error) int {
	var ce mongo.CommandError
	if errors.As(err, &ce) {
		return int(ce.Code)
	}
	return 0
}

// Load tells how the live database is doing (rule A7). Rights that are missing
// are no error: what they would tell is unknown, and Missing names them. On a
// standalone server there is no lag and no window. Through mongos the lag can't
// be read.
func (v *Vitals) Load(ctx context.Context) (governor.Load, error) {
	var l governor.Load
	g, err := v.hello(ctx)
	if err != nil {
		return l, err
	}
	switch {
	case g.mongos:
		l.Missing = append(l.Missing, "the replication lag of shards, which mongos does not tell")
	case !g.set:
		l.LagKnown = true
	default:
		if err := v.lag(ctx, g, &l); err != nil {
			return l, err
		}
		if err := v.window(ctx, &l); err != nil {
			return l, err
		}
	}
	return l, v.status(ctx, &l)
}

// ask runs a command on the primary's database admin; nil without the right to
// it, which is then missing.
func (v *Vitals) ask(ctx context.Context, l *governor.Load, command string, args ...bson.E) (bson.Raw, error) {
	raw, err := v.client.Database("admin").RunCommand(ctx, append(bson.D{{Key: command, Value: 1}}, args...)).Raw()
	if serverCode(err) == codeUnauthorized {
		l.Missing = append(l.Missing, command+" on {cluster: true}")
		return nil, nil
	}
	return raw, source.Fault("ask for the "+command+" of", v.uri, err)
}

// window is how far back the oplog reaches.
func (v *Vitals) window(ctx context.Context, l *governor.Load) error {
	var at [2]uint32
	for i, direction := range []int{1, -1} {
		raw, err := v.client.Database("local").Collection("oplog.rs", options.Collection().
			SetReadPreference(readpref.Primary()).SetReadConcern(readconcern.Local())).
			FindOne(ctx, bson.D{}, options.FindOne().
				SetSort(bson.D{{Key: "$natural", Value: direction}}).
				SetProjection(bson.D{{Key: "ts", Value: 1}})).Raw()
		if serverCode(err) == codeUnauthorized {
			l.Missing = append(l.Missing, `find on {db: "local", collection: "oplog.rs"}`)
			return nil
		}
		if err != nil {
			return source.Fault("read the oplog of", v.uri, err)
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
func (v *Vitals) status(ctx context.Context, l *governor.Load) error {
	drop := func(sections ...string) (out []bson.E) {
		for _, s := range sections {
			out = append(out, bson.E{Key: s, Value: 0})
		}
		return out
	}
	raw, err := v.ask(ctx, l, "serverStatus", drop(
		"metrics", "locks", "repl", "tcmalloc", "sharding", "shardingStatistics", "transactions", "mirroredReads",
		"opLatencies", "opReadConcernCounters", "readConcernCounters", "security", "electionMetrics", "logicalSessionRecordCache")...)
	if err != nil || raw == nil {
		return err
	}
	if fc, ok := raw.Lookup("flowControl").DocumentOK(); ok {
		lagged, _ := fc.Lookup("isLagged").BooleanOK()
		count, _ := fc.Lookup("isLaggedCount").AsInt64OK()
		l.FlowControlled = v.lagged.since(lagged, count)
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
