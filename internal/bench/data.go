package main

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"
)

// shape makes the i-th document of a kind.
type shape func(i int) bson.Raw

// fill makes a collection hold n documents; one that does is left as it is.
func (b *bench) fill(ctx context.Context, ns string, n int, doc shape) error {
	coll := collection(b.client, ns)
	have, err := coll.EstimatedDocumentCount(ctx)
	if err != nil || have == int64(n) {
		return err
	}
	if err := coll.Drop(ctx); err != nil {
		return err
	}
	return insert(ctx, coll, 0, n, doc)
}

// insert writes documents from..from+n-1 by two writers.
func insert(ctx context.Context, coll *mongo.Collection, from, n int, doc shape) error {
	const step = 2000
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for at := from; at < from+n; at += step {
		g.Go(func() error {
			batch := make([]any, 0, step)
			for i := at; i < min(at+step, from+n); i++ {
				batch = append(batch, doc(i))
			}
			_, err := coll.InsertMany(ctx, batch, options.InsertMany().SetOrdered(false))
			return err
		})
	}
	return g.Wait()
}

// now returns the server's time.
func (b *bench) now(ctx context.Context) (uint64, error) {
	s, err := b.client.StartSession()
	if err != nil {
		return 0, err
	}
	defer s.EndSession(ctx)
	if err := b.client.Database("admin").RunCommand(mongo.NewSessionContext(ctx, s), bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		return 0, err
	}
	t := s.OperationTime()
	if t == nil {
		return 0, fmt.Errorf("the server tells no operationTime")
	}
	return uint64(t.T)<<32 | uint64(t.I), nil
}

func upsert() *options.ReplaceOptionsBuilder { return options.Replace().SetUpsert(true) }
