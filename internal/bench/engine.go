package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"sluice/internal/transcode"
	"sluice/internal/transcode/shapes"
)

func make15MB() []byte { return bytes.Repeat([]byte("lorem ipsum dol\n"), 15<<16) }

func upsert() *options.ReplaceOptionsBuilder { return options.Replace().SetUpsert(true) }

// intoEngine compares sluice with a loader that sends bodies it has prepared.
func (b *bench) intoEngine(ctx context.Context) error {
	if err := b.servers(ctx, true); err != nil {
		return err
	}
	ns, n := "bench.engine", b.n(300_000)
	if err := b.fill(ctx, ns, n, shapes.Small); err != nil {
		return err
	}
	p := params{URI: b.mongod.URI(), Namespaces: []string{ns}, N: int64(n), Search: b.engine.URL(), PID: b.engine.PID()}
	var load, ours result
	// The first pair warms the engine up and is not counted.
	for i := range 4 {
		for _, name := range []string{"loader", "sluice-snapshot"} {
			if err := b.deleteIndexes(ctx); err != nil {
				return err
			}
			p.State = b.state(fmt.Sprintf("engine-%d", i))
			r, err := measure(ctx, name, p)
			if err != nil {
				return err
			}
			b.say("      %-16s %.0f docs/s, engine %.1f µs per document", name, r.rate(), r.Engine*1e6/float64(r.Docs))
			into := &load
			if name != "loader" {
				into = &ours
			}
			if i > 0 && (into.Docs == 0 || r.Engine < into.Engine) {
				*into = r
			}
		}
	}
	b.atMost("into the engine: its CPU per document over a loader's", ours.Engine/load.Engine, 1.05,
		"%.1f µs and %.1f µs per document of %s", ours.Engine*1e6/float64(n), load.Engine*1e6/float64(n), b.engine.Version())
	b.atLeast("into the engine: rate over a loader's", ours.rate()/load.rate(), 0.9, "%.1f k and %.1f k documents/s", ours.rate()/1000, load.rate()/1000)
	return nil
}

func (b *bench) deleteIndexes(ctx context.Context) error {
	for _, name := range []string{"bench.engine-000001", "bench.loader"} {
		if err := send(ctx, http.MethodDelete, b.engine.URL()+"/"+name, "", nil, nil); err != nil && !strings.Contains(err.Error(), "404") {
			return err
		}
	}
	return nil
}

// loader prepares all bodies in memory, as sluice would send them, and then
// sends them over four connections. Only the sending is measured.
func loader(ctx context.Context, p params) (result, error) {
	bodies, n, err := prepare(ctx, p)
	if err != nil {
		return result{}, err
	}
	settings := `{"settings":{"number_of_replicas":1,"refresh_interval":"30s"}}`
	if err := send(ctx, http.MethodPut, p.Search+"/bench.loader", "application/json", []byte(settings), nil); err != nil {
		return result{}, err
	}
	r := result{Docs: n}
	engine, start := cpuOf(p.PID), time.Now()
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range 2 {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(bodies) {
					return nil
				}
				if err := send(ctx, http.MethodPost, p.Search+"/bench.loader/_bulk?filter_path=errors", "application/x-ndjson", bodies[i], nil); err != nil {
					return err
				}
			}
		})
	}
	err = g.Wait()
	r.Seconds, r.Engine = since(start), cpuOf(p.PID)-engine
	return r, err
}

func prepare(ctx context.Context, p params) (bodies [][]byte, n int64, err error) {
	c, err := connect(p.URI)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	plan, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		return nil, 0, err
	}
	cur, err := collection(c, p.Namespaces[0]).Find(ctx, bson.D{})
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = cur.Close(ctx) }()
	var st transcode.Stats
	var body []byte
	for cur.Next(ctx) {
		body = append(body, `{"index":{"_id":"`...)
		body = transcode.AppendID(body, cur.Current.Lookup("_id"))
		body = append(body, `","version":1,"version_type":"external_gte"}}`+"\n"...)
		if body, err = plan.Append(body, cur.Current, &st); err != nil {
			return nil, 0, err
		}
		body = append(body, '\n')
		n++
		if len(body) > 2_000_000 {
			bodies, body = append(bodies, body), nil
		}
	}
	return append(bodies, body), n, cur.Err()
}

// send sends one request and reads the answer.
func send(ctx context.Context, method, url, kind string, body []byte, into *[]byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 || bytes.Contains(answer, []byte(`"errors":true`)) {
		return fmt.Errorf("%s %s: %s: %.300s", method, url, resp.Status, answer)
	}
	if into != nil {
		*into = answer
	}
	return nil
}

// percentile returns the q-th part of sorted micros, in milliseconds.
func percentile(micros []int64, q float64) float64 {
	if len(micros) == 0 {
		return 0
	}
	slices.Sort(micros)
	return float64(micros[min(len(micros)-1, int(q*float64(len(micros))))]) / 1000
}
