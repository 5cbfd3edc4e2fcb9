package archivedb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	source "sluice/internal/mongo"
)

// greeting is what the primary says of itself, and when.
type greeting struct {
	now    time.Time // its clock, at the moment that it is returned to us
	skew   time.Duration
	at     bson.Timestamp // zero on a standalone
	set    bool           // a member of a replica set
	mongos bool
}

func (g greeting) transactions() bool { return g.set || g.mongos }

// ServerTime returns the primary's clock and its cluster time, which is zero on
// a standalone server. The clock is good to half of a round trip.
func (db *DB) ServerTime(ctx context.Context) (time.Time, bson.Timestamp, error) {
	g, err := db.greet(ctx)
	return g.now, g.at, err
}

// greet asks a few times and keeps the quickest answer: the first may have had
// to open a connection.
func (db *DB) greet(ctx context.Context) (greeting, error) {
	var best greeting
	var bestTrip time.Duration
	for i := range 3 {
		g, trip, err := db.greetOnce(ctx)
		if err != nil {
			return greeting{}, err
		}
		if i == 0 || trip < bestTrip {
			best, bestTrip = g, trip
		}
	}
	// The clock has gone on since.
	best.now = time.Now().Add(-best.skew)
	return best, nil
}

func (db *DB) greetOnce(ctx context.Context) (greeting, time.Duration, error) {
	asked := time.Now()
	raw, err := db.client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		return greeting{}, 0, source.Fault("ask the primary for its time at", db.uri, err)
	}
	trip := time.Since(asked)
	var g greeting
	if ms, ok := raw.Lookup("localTime").DateTimeOK(); ok {
		g.now = time.UnixMilli(ms).UTC()
	}
	g.skew = asked.Add(trip / 2).Sub(g.now).Truncate(time.Millisecond)
	if t, i, ok := raw.Lookup("operationTime").TimestampOK(); ok {
		g.at = bson.Timestamp{T: t, I: i}
	}
	_, g.set = raw.Lookup("setName").StringValueOK()
	msg, _ := raw.Lookup("msg").StringValueOK()
	g.mongos = msg == "isdbgrid"
	return g, trip, nil
}
