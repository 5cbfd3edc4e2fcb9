package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/app"
	"sluice/internal/transcode"
	"sluice/internal/transcode/shapes"
)

// The index of the bare calls, and the namespaces of both.
const (
	bareIndex  = "bench.bare"
	bareNS     = "bench.latency_bare"
	followedNS = "bench.latency"
)

// idleLatency compares the time from a write to its settled change, when
// nothing else goes on, with the two calls that this can't do without.
func (b *bench) idleLatency(ctx context.Context) error {
	if err := b.servers(ctx, true); err != nil {
		return err
	}
	defer b.stopEngine()
	if err := b.fill(ctx, followedNS, 1000, shapes.Small); err != nil {
		return err
	}
	if err := send(ctx, http.MethodPut, b.engine.URL()+"/"+bareIndex, "application/json", []byte(indexBody), nil); err != nil {
		return err
	}
	p := b.params(followedNS, max(50, b.n(400)))
	p.State, p.Search = b.state("latency"), b.engine.URL()
	r, err := measure(ctx, "latency", p)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		name string
		at   float64
		want float64
	}{{"p50", 0.5, 10}, {"p99", 0.99, 50}} {
		ours, bare := percentile(r.Micros, q.at), percentile(r.Bare, q.at)
		b.atMost("latency at idle, "+q.name+": ms over a bare insert and index", ours-bare, q.want,
			"%.2f ms from write to settled, %.2f ms bare; %d single writes into %s", ours, bare, len(r.Micros), b.engineVersion)
	}
	p.State, p.Unjournaled = b.state("latency-w1"), true
	if r, err = measure(ctx, "latency", p); err != nil {
		return err
	}
	b.told("latency at idle, p50, writes with w:1: ms over a bare insert and index", percentile(r.Micros, 0.5)-percentile(r.Bare, 0.5),
		"%.2f ms, %.2f ms bare; a change stream shows nothing before the server has flushed its journal, which it does every 100 ms when nobody waits for it",
		percentile(r.Micros, 0.5), percentile(r.Bare, 0.5))
	return nil
}

// percentile returns the q-th part of micros, which it sorts, in milliseconds.
func percentile(micros []int64, q float64) float64 {
	if len(micros) == 0 {
		return 0
	}
	slices.Sort(micros)
	return float64(micros[min(len(micros)-1, int(q*float64(len(micros))))]) / 1000
}

// latency takes turns: a bare insert and index, then an insert that sluice
// follows, with a pause of some 20 ms between them.
func latency(ctx context.Context, p params) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	plan, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		return result{}, err
	}
	a, err := start(ctx, p)
	if err != nil {
		return result{}, err
	}
	if err := a.await(time.Millisecond, app.Status.Copied); err != nil {
		return result{}, err
	}
	probe := &prober{url: p.Search + "/" + bareIndex + "/_doc/", plan: plan, running: a}
	probe.bare, probe.followed = collection(c, bareNS), collection(c, followedNS)
	first := 1_000_000
	if p.Unjournaled {
		probe.bare, probe.followed = unjournaled(probe.bare), unjournaled(probe.followed)
		first = 2_000_000
	}
	const warm = 20
	for i := range int(p.N) + warm {
		if i == warm {
			probe.Bare, probe.Micros = nil, nil
		}
		if err := probe.both(ctx, first+i); err != nil {
			return result{}, err
		}
	}
	return result{Docs: p.N, Seconds: 1, Micros: probe.Micros, Bare: probe.Bare}, a.drain()
}

// unjournaled is coll with writes that wait for the primary's memory alone. A
// server's default is to wait for a majority, and so for the journal.
func unjournaled(coll *mongo.Collection) *mongo.Collection {
	return coll.Clone(options.Collection().SetWriteConcern(writeconcern.W1()))
}

// prober measures single writes.
type prober struct {
	url            string
	plan           *transcode.Plan
	running        *running
	bare, followed *mongo.Collection
	Micros, Bare   []int64
}

func (l *prober) both(ctx context.Context, i int) error {
	doc := shapes.Small(i)
	body, err := l.plan.Append(nil, doc, &transcode.Stats{})
	if err != nil {
		return err
	}
	id, _ := doc.Lookup("_id").ObjectIDOK()
	pause()
	begun := time.Now()
	if _, err := l.bare.InsertOne(ctx, doc); err != nil {
		return err
	}
	if err := send(ctx, http.MethodPut, l.url+id.Hex(), "application/json", body, nil); err != nil {
		return err
	}
	l.Bare = append(l.Bare, time.Since(begun).Microseconds())
	pause()
	settled := l.running.Status().Settled()
	begun = time.Now()
	if _, err := l.followed.InsertOne(ctx, doc); err != nil {
		return err
	}
	err = l.running.await(100*time.Microsecond, func(s app.Status) bool { return s.Settled() > settled })
	l.Micros = append(l.Micros, time.Since(begun).Microseconds())
	if err != nil {
		return fmt.Errorf("write %d: %w", i, err)
	}
	return nil
}

// pause lets everything come to rest, for a time that fits no rhythm.
func pause() { time.Sleep(10*time.Millisecond + rand.N(20*time.Millisecond)) }
