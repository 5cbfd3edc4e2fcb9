package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"sluice/internal/flow"
)

// oplogReach is how far back the oplog reaches, or will reach once it is full.
type oplogReach struct {
	known bool
	// full: the server removes its oldest entries already.
	full   bool
	window time.Duration
	// first is when its first entry was made, 0 if that is not known.
	first uint32
}

// Holds tells whether the oplog reaches back to t; known is false if it can't be read.
func (d *Doctor) Holds(t bson.Timestamp) (holds, known bool) {
	return t.T >= d.oplog.first, d.oplog.first > 0
}

// What a copy is taken to do where the configuration sets no rate: a modest
// machine with a modest engine.
const (
	guessedDocs  = 10_000   // per second
	guessedBytes = 10 << 20 // per second
)

// shortWindow is an oplog that an outage of an evening outlasts.
const shortWindow = time.Hour

// tellingWindow is how long an oplog has to be written before its pace says anything.
const tellingWindow = 10 * time.Minute

// readOplog finds out how far the oplog reaches.
func (d *Doctor) readOplog(ctx context.Context, f *flow.Findings) {
	const check = "mongodb.oplog"
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	coll := d.client.Database("local").Collection("oplog.rs", options.Collection().SetReadConcern(readconcern.Local()))
	var ends [2]uint32
	for i, way := range []int{1, -1} {
		raw, err := coll.FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: way}}).
			SetProjection(bson.D{{Key: "ts", Value: 1}})).Raw()
		if err != nil {
			d.blindOplog(f, err)
			return
		}
		ends[i], _, _ = raw.Lookup("ts").TimestampOK()
	}
	d.oplog = oplogReach{known: ends[1] >= ends[0], full: true, window: time.Duration(ends[1]-ends[0]) * time.Second, first: ends[0]}
	raw, err := d.client.Database("local").RunCommand(ctx, bson.D{{Key: "collStats", Value: "oplog.rs"}}).Raw()
	if err == nil {
		used, ok1 := raw.Lookup("size").AsFloat64OK()
		most, ok2 := raw.Lookup("maxSize").AsFloat64OK()
		// What is cut off at a time is a part of it.
		if d.oplog.full = !ok1 || !ok2 || used >= most*0.8; !d.oplog.full && used > 0 {
			d.oplog.window = time.Duration(min(float64(d.oplog.window)*most/used, float64(10*365*24*time.Hour)))
		}
	}
	if young := time.Duration(ends[1]-ends[0])*time.Second < tellingWindow; !d.oplog.full && young {
		d.oplog.known = false
		f.OK(check, d.uri, "the oplog is young, and has removed nothing yet")
		return
	}
	switch {
	case d.oplog.full && d.oplog.window < shortWindow:
		f.Add(flow.FindingWarning, check, d.uri, fmt.Sprintf("the oplog reaches back only %s", d.oplog.window),
			"when sluice, or the search engine, is down for longer, everything has to be copied again",
			"give the oplog more room: db.adminCommand({replSetResizeOplog: 1, size: <MB>}) on each member")
	case d.oplog.full:
		f.OK(check, d.uri, "the oplog reaches back %s", d.oplog.window.Round(time.Minute))
	default:
		f.OK(check, d.uri, "the oplog is not full yet; at the pace so far it will reach back about %s", d.oplog.window.Round(time.Minute))
	}
}

func (d *Doctor) blindOplog(f *flow.Findings, err error) {
	const check = "mongodb.oplog"
	if !denies(err) {
		f.Fail(flow.FindingWarning, check, d.uri, fault("read the oplog of", d.uri, err), "")
		return
	}
	f.Add(flow.FindingWarning, check, d.uri, "the user may not read the oplog",
		"how long an outage may last is not known, and is missing in the metrics",
		`grant find and collStats on {db: "local", collection: "oplog.rs"}; clusterMonitor has both`)
}

// window compares the oplog with the time that a copy of docs documents of so
// many bytes takes.
func (d *Doctor) window(f *flow.Findings, flowName string, o SnapshotOptions, docs, bytes float64) {
	const check = "mongodb.snapshot_time"
	if o.Disabled || !d.oplog.known {
		return
	}
	rate := float64(guessedDocs)
	if o.Rate > 0 {
		rate = min(rate, o.Rate)
	}
	takes := time.Duration(min(max(docs/rate, bytes/guessedBytes), 1e9) * float64(time.Second))
	what := fmt.Sprintf("a copy of about %.0f documents takes about %s, and the oplog reaches back %s",
		docs, takes.Round(time.Second), d.oplog.window.Round(time.Second))
	cure := "give the oplog more room: db.adminCommand({replSetResizeOplog: 1, size: <MB>}) on each member; or raise snapshot.rate and snapshot.parallel"
	switch {
	case takes > d.oplog.window:
		f.Add(flow.FindingError, check, flowName, what, "what changes meanwhile would be lost before it is read, and the copy would begin again", cure)
	case 2*takes > d.oplog.window:
		f.Add(flow.FindingWarning, check, flowName, what, "there is little to spare if one of the two is slower than thought", cure)
	default:
		f.OK(check, flowName, "%s", what)
	}
}
