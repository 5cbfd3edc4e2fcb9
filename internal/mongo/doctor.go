package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// doctorPatience bounds each probe of a Doctor.
const doctorPatience = 15 * time.Second

// Doctor looks at a deployment before anything is run on it. Whatever it tries
// leaves nothing behind. One goroutine uses it.
type Doctor struct {
	client *mongo.Client
	co     *options.ClientOptions
	uri    string // redacted
	now    func() time.Time

	hello   hello
	greeted bool
	version serverVersion
	id      string
	oplog   oplogReach
}

// DoctorOptions say which deployment to look at.
type DoctorOptions struct {
	URI, AppName string
	// Streams: there are flows, which need change streams.
	Streams bool
	// Now takes the place of our clock; nil is the clock.
	Now func() time.Time
}

// Visit connects and looks at the deployment as a whole. The Doctor is nil when
// no server can be used, or it has no primary and majority; else the caller closes it.
func Visit(ctx context.Context, o DoctorOptions) (*Doctor, flow.Findings) {
	var f flow.Findings
	ctx, done := context.WithTimeout(ctx, 2*doctorPatience)
	defer done()
	client, co, err := connect(ctx, Options{URI: o.URI, AppName: o.AppName})
	if err != nil {
		check := "mongodb.reachable"
		if flow.ClassOf(err) == flow.Auth {
			check = "mongodb.login"
		}
		f.Fail(flow.FindingError, check, redact(o.URI), err, "look at mongodb.uri, and whether the server is up")
		return nil, f
	}
	d := &Doctor{client: client, co: co, uri: redact(o.URI), now: o.Now}
	if d.now == nil {
		d.now = time.Now
	}
	f.OK("mongodb.reachable", d.uri, "it answers and takes our login")
	d.greet(ctx, &f, o.Streams)
	if d.greeted && d.hello.setName != "" {
		works := d.majority(ctx, &f)
		d.members(ctx, &f)
		if !works {
			closing, done := context.WithTimeout(context.WithoutCancel(ctx), commitPatience)
			defer done()
			d.Close(closing)
			return nil, f
		}
		d.readOplog(ctx, &f)
	}
	d.clock(ctx, &f)
	d.compressors(ctx, &f)
	return d, f
}

// Close ends the connections.
func (d *Doctor) Close(ctx context.Context) { _ = d.client.Disconnect(ctx) }

// Identity names the deployment as Source.Identity does; "" if it is not known.
func (d *Doctor) Identity() string { return d.id }

// greet finds out what the deployment is.
func (d *Doctor) greet(ctx context.Context, f *flow.Findings, streams bool) {
	var err error
	if d.hello, err = sayHello(ctx, d.client); err != nil {
		f.Fail(flow.FindingError, "mongodb.replica_set", d.uri, fault("ask MongoDB what it is at", d.uri, err), "")
		return
	}
	d.greeted = true
	switch err := d.hello.unfit(d.uri); {
	case err == nil && d.hello.mongos:
		f.OK("mongodb.replica_set", d.uri, "a sharded cluster")
	case err == nil:
		f.OK("mongodb.replica_set", d.uri, "a member of the replica set %s", d.hello.setName)
	case streams || d.hello.replSet:
		f.Fail(flow.FindingError, "mongodb.replica_set", d.uri, err, "")
	default:
		f.Add(flow.FindingInfo, "mongodb.replica_set", d.uri, "it is a standalone server",
			"it has no transactions: a rule of the archive deletes there only with compare: document", "")
	}
	raw, err := d.client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}, anyMember()).Raw()
	if err != nil {
		f.Fail(flow.FindingError, "mongodb.version", d.uri, fault("ask MongoDB for its version at", d.uri, err), "")
		return
	}
	d.version, _ = versionOf(raw)
	d.judgeVersion(f)
	if d.hello.setName != "" || d.hello.mongos {
		d.id, _ = identity(ctx, d.client, d.hello) // it has no error of its own
	}
}

func (d *Doctor) judgeVersion(f *flow.Findings) {
	const check = "mongodb.version"
	switch v := d.version; {
	case !v.atLeast(4, 4):
		f.Add(flow.FindingError, check, d.uri, "it is MongoDB "+v.String(), "change streams of older servers lack what sluice needs",
			"use MongoDB 4.4 or newer")
	case v[0] != 6 || v[1] != 0:
		f.Add(flow.FindingInfo, check, d.uri, "it is MongoDB "+v.String(),
			"sluice was tested on 6.0; what this version can do is found out by trying", "")
	default:
		f.OK(check, d.uri, "MongoDB %s", v)
	}
}

// clock compares the server's clock with ours.
func (d *Doctor) clock(ctx context.Context, f *flow.Findings) {
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	var best, bestTrip time.Duration
	for i := range 3 {
		asked := d.now()
		raw, err := d.client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}, anyMember()).Raw()
		trip := d.now().Sub(asked)
		ms, ok := raw.Lookup("localTime").DateTimeOK()
		if err != nil || !ok {
			return // somebody else tells that it does not answer
		}
		if i == 0 || trip < bestTrip {
			best, bestTrip = asked.Add(trip/2).Sub(time.UnixMilli(ms)), trip
		}
	}
	judgeSkew(f, d.uri, best)
}

// maxSkew is how far a clock may be off.
const maxSkew = time.Minute

func judgeSkew(f *flow.Findings, uri string, ours time.Duration) {
	const check = "mongodb.clock"
	if ours.Abs() <= maxSkew {
		f.OK(check, uri, "its clock and ours agree to a second or so")
		return
	}
	way := "ahead of"
	if ours < 0 {
		way = "behind"
	}
	f.Add(flow.FindingError, check, uri, fmt.Sprintf("our clock is %s %s the server's", ours.Abs().Round(time.Second), way),
		"versions come from the server's time and stay right, but lags are shown wrong, TLS and S3 refuse a wrong clock, and the archive refuses to plan",
		"set the clocks of both machines (NTP: chrony or systemd-timesyncd)")
}

// compressors tells when the URI asks for compression and gets none.
func (d *Doctor) compressors(ctx context.Context, f *flow.Findings) {
	const check = "mongodb.compressors"
	if len(d.co.Compressors) == 0 {
		return
	}
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	raw, err := d.client.Database("admin").RunCommand(ctx, bson.D{
		{Key: "hello", Value: 1}, {Key: "compression", Value: d.co.Compressors},
	}, anyMember()).Raw()
	if err != nil {
		return
	}
	var shared []string
	if arr, ok := raw.Lookup("compression").ArrayOK(); ok {
		values, _ := arr.Values()
		for _, v := range values {
			if s, ok := v.StringValueOK(); ok {
				shared = append(shared, s)
			}
		}
	}
	if slices.ContainsFunc(d.co.Compressors, func(c string) bool { return slices.Contains(shared, c) }) {
		f.OK(check, d.uri, "the connection is compressed by %s", shared[0])
		return
	}
	f.Add(flow.FindingWarning, check, d.uri, fmt.Sprintf("the URI asks for the compressors %v, and the server has none of them", d.co.Compressors),
		"everything goes uncompressed over the network",
		"allow one in mongod.conf (net: {compression: {compressors: zstd}}), or take compressors= out of the URI")
}

// denies tells whether err says that a right is missing.
func denies(err error) bool {
	code, _ := codeOf(err)
	if code == 13 {
		return true
	}
	var we mongo.WriteException
	if errors.As(err, &we) {
		return slices.ContainsFunc(we.WriteErrors, func(e mongo.WriteError) bool { return e.Code == 13 })
	}
	return false
}
