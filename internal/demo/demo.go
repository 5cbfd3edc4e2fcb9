package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

type demo struct {
	out  io.Writer
	once bool
	docs int
	keep bool

	dir    string
	bin    string
	mongo  *testkit.Mongo
	search *testkit.Search
	orders *mongo.Collection
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

func (d *demo) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return err
	}
	d.dir = dir
	if !d.keep {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	if err := d.startServers(ctx); err != nil {
		return err
	}
	defer d.stopServers()
	client, err := mongo.Connect(options.Client().ApplyURI(d.mongo.URI()))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	d.orders = client.Database("shop").Collection("orders")
	if err := d.seed(ctx); err != nil {
		return err
	}
	if d.once {
		return d.runOnce(ctx)
	}
	return d.runFollow(ctx)
}

func (d *demo) startServers(ctx context.Context) error {
	d.say("1. Real servers, on loopback, only for this demo (the first time they are fetched: a minute or two)")
	var err error
	if d.mongo, err = testkit.StartMongo(ctx, testkit.MongoOptions{}); err != nil {
		return err
	}
	d.say("   MongoDB      %s", d.mongo.URI())
	if d.search, err = testkit.StartSearch(ctx, testkit.SearchOptions{}); err != nil {
		_ = d.mongo.Stop()
		return err
	}
	d.say("   search       %s   (%s)", d.search.URL(), d.search.Version())
	d.bin = filepath.Join(d.dir, "sluice")
	build := exec.CommandContext(ctx, "go", "build", "-o", d.bin, "./cmd/sluice")
	if out, err := build.CombinedOutput(); err != nil {
		d.stopServers()
		return fmt.Errorf("go build ./cmd/sluice: %w\n%s", err, out)
	}
	return nil
}

func (d *demo) stopServers() {
	_ = d.search.Stop()
	_ = d.mongo.Stop()
}

// seed fills shop.orders with d.docs orders.
func (d *demo) seed(ctx context.Context) error {
	d.say("\n2. A collection: shop.orders, %d documents, a tenth of them old", d.docs)
	const step = 5000
	now := time.Now()
	for at := 0; at < d.docs; at += step {
		batch := make([]any, 0, step)
		for i := at; i < min(at+step, d.docs); i++ {
			batch = append(batch, order(i, now))
		}
		if _, err := d.orders.InsertMany(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// order makes an order of the last day; each tenth is from long ago.
func order(i int, now time.Time) bson.D {
	placed := now.Add(-time.Duration(i%86_400) * time.Second)
	if i%10 == 7 {
		placed = time.Date(2019, 1, 1, 0, i, 0, 0, time.UTC)
	}
	status := []string{"new", "paid", "packed", "sent"}[i%4]
	return bson.D{
		{Key: "_id", Value: i},
		{Key: "customer", Value: fmt.Sprintf("customer-%d", i%997)},
		{Key: "status", Value: status},
		{Key: "total", Value: float64(i%50_000) / 100},
		{Key: "placed", Value: placed},
		{Key: "items", Value: bson.A{bson.D{{Key: "sku", Value: fmt.Sprintf("sku-%d", i%313)}, {Key: "n", Value: i%5 + 1}}}},
	}
}

// compare prints the counts of both sides and fails when they differ.
func (d *demo) compare(ctx context.Context) error {
	inMongo, err := d.orders.CountDocuments(ctx, bson.D{})
	if err != nil {
		return err
	}
	inIndex, err := d.count(ctx)
	if err != nil {
		return err
	}
	d.say("   MongoDB %d documents · index %d documents", inMongo, inIndex)
	if inMongo != inIndex {
		return fmt.Errorf("the counts differ: %d in MongoDB, %d in the index", inMongo, inIndex)
	}
	return nil
}
