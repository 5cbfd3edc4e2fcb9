package main

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

func connect(uri string) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI(uri))
}

func collection(c *mongo.Client, ns string) *mongo.Collection {
	n, _ := flow.ParseNamespace(ns)
	return c.Database(n.DB).Collection(n.Coll)
}

// rawFind is the floor of a snapshot: the driver's cursor, and the transcoder
// into one buffer in memory.
func rawFind(ctx context.Context, p params) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	plan, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		return result{}, err
	}
	var r result
	start := time.Now()
	buf := make([]byte, 0, 4<<20)
	var st transcode.Stats
	for _, ns := range p.Namespaces {
		cur, err := collection(c, ns).Find(ctx, bson.D{}, options.Find().SetBatchSize(5000))
		if err != nil {
			return r, err
		}
		for cur.Next(ctx) {
			if len(buf) > 2<<20 {
				r.Bytes += int64(len(buf))
				buf = buf[:0]
			}
			if buf, err = plan.Append(buf, cur.Current, &st); err != nil {
				return r, err
			}
			r.Docs++
		}
		if err := cur.Err(); err != nil {
			return r, err
		}
	}
	r.Seconds = since(start)
	return r, nil
}

// rawStream is the floor of a stream: the driver's change stream, read until n
// events have come.
func rawStream(ctx context.Context, p params) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	at := bson.Timestamp{T: uint32(p.After >> 32), I: uint32(p.After)}
	opts := options.ChangeStream().SetStartAtOperationTime(&at)
	if p.Lookup {
		opts.SetFullDocument(options.UpdateLookup)
	} else {
		// The events that sluice asks for (rule S12): a reader that leaves out the
		// ids of collections costs the server a tenth less.
		opts.SetShowExpandedEvents(true)
	}
	start := time.Now()
	cs, err := collection(c, p.Namespaces[0]).Watch(ctx, mongo.Pipeline{}, opts)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = cs.Close(ctx) }()
	var r result
	for r.Docs < p.N {
		if !cs.Next(ctx) {
			return r, fmt.Errorf("the stream ended after %d events: %w", r.Docs, cs.Err())
		}
		r.Docs++
		r.Bytes += int64(len(cs.Current))
	}
	r.Seconds = since(start)
	return r, nil
}
