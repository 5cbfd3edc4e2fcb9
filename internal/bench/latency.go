package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// latencyWrites is the number of single writes that are timed.
const latencyWrites = 400

// idleLatency compares the time from a write to its settled change, at idle,
// with that of an insert and an index request one after the other.
func (b *bench) idleLatency(ctx context.Context) error {
	if err := b.servers(ctx, true); err != nil {
		return err
	}
	ns := "bench.latency"
	if err := collection(b.client, ns).Drop(ctx); err != nil {
		return err
	}
	p := params{URI: b.mongod.URI(), Namespaces: []string{ns}, Search: b.engine.URL(), State: b.state("latency")}
	bare, err := measure(ctx, "bare-latency", p)
	if err != nil {
		return err
	}
	ours, err := measure(ctx, "latency", p)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		name string
		part float64
		want float64
	}{{"p50", 0.5, 10}, {"p99", 0.99, 50}} {
		us, base := percentile(ours.Micros, q.part), percentile(bare.Micros, q.part)
		b.atMost("latency at idle, "+q.name+": ms over a bare insert and index", us-base, q.want,
			"%.2f ms from write to settled, %.2f ms bare, %d writes", us, base, len(ours.Micros))
	}
	return nil
}

// bareLatency inserts into MongoDB and then indexes, as a program would that
// wrote to both.
func bareLatency(ctx context.Context, p params) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	coll := collection(c, p.Namespaces[0])
	var r result
	for i := range latencyWrites {
		start := time.Now()
		if _, err := coll.InsertOne(ctx, bson.D{{Key: "_id", Value: fmt.Sprintf("bare-%d", i)}, {Key: "n", Value: i}}); err != nil {
			return r, err
		}
		url := fmt.Sprintf("%s/bench.bare/_doc/bare-%d?version=%d&version_type=external_gte", p.Search, i, i+1)
		if err := send(ctx, http.MethodPut, url, "application/json", []byte(`{"n":1}`), nil); err != nil {
			return r, err
		}
		r.Micros = append(r.Micros, time.Since(start).Microseconds())
	}
	r.Docs = latencyWrites
	return r, nil
}

// latency inserts while the product follows, and waits each time until the
// change is settled.
func latency(ctx context.Context, p params) (result, error) {
	a, err := newApp(p)
	if err != nil {
		return result{}, err
	}
	drain, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(ctx, drain) }()
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	until := func(cond func() bool) error {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for !cond() {
			select {
			case err := <-ended:
				return errors.Join(errors.New("it ended"), err)
			case <-tick.C:
			}
		}
		return nil
	}
	if err := until(func() bool { return a.Status().Copied() }); err != nil {
		return result{}, err
	}
	coll := collection(c, p.Namespaces[0])
	var r result
	for i := range latencyWrites {
		before := a.Status().Settled()
		start := time.Now()
		if _, err := coll.InsertOne(ctx, bson.D{{Key: "_id", Value: fmt.Sprintf("ours-%d", i)}, {Key: "n", Value: i}}); err != nil {
			return r, err
		}
		if err := until(func() bool { return a.Status().Settled() > before }); err != nil {
			return r, err
		}
		r.Micros = append(r.Micros, time.Since(start).Microseconds())
	}
	r.Docs = latencyWrites
	close(drain)
	return r, <-ended
}
