package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"

	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/pipeline"
	"sluice/internal/search"
	"sluice/internal/transcode"
)

// loaderIndex is the alias that the loader writes to.
const loaderIndex = "bench.loader"

// indexBody makes an index as sluice makes one, in the state in which a
// snapshot fills it; shards and replicas are the engine's defaults for both.
const indexBody = `{
 "settings": {"index.gc_deletes": "300s", "index.refresh_interval": "30s"},
 "mappings": {"properties": {"sluice_key": {"type": "keyword", "index": false, "doc_values": false}}}
}`

// loader prepares all bodies in memory, as sluice would send them, and then
// sends them over as many connections. Only the sending is measured.
func loader(ctx context.Context, p params) (result, error) {
	bodies, n, err := prepare(ctx, p)
	if err != nil {
		return result{}, err
	}
	engine := cpuOf(p.PID)
	concrete := p.Search + "/" + loaderIndex + "-000001"
	if err := send(ctx, http.MethodPut, concrete, "application/json", []byte(indexBody), nil); err != nil {
		return result{}, err
	}
	if err := send(ctx, http.MethodPut, concrete+"/_alias/"+loaderIndex, "", nil, nil); err != nil {
		return result{}, err
	}
	r := result{Docs: n}
	begun := time.Now()
	var next atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	url := p.Search + "/" + loaderIndex + "/_bulk?filter_path=errors,items.*.status,items.*.error,items.delete._index&timeout=30s&require_alias=true"
	for range pipeline.DefaultSnapshotWriters {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(bodies) {
					return nil
				}
				if err := send(gctx, http.MethodPost, url, "application/x-ndjson", bodies[i], nil); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return r, err
	}
	r.Seconds = since(begun)
	err = settleEngine(ctx, p.Search, loaderIndex)
	r.Engine = cpuOf(p.PID) - engine
	return r, err
}

// prepare reads a collection and builds the bodies, each from as many documents
// as sluice reads at a time.
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
	version, err := flow.VersionOf(bson.Timestamp{T: uint32(time.Now().Unix()), I: 1})
	if err != nil {
		return nil, 0, err
	}
	tail := `","version":` + strconv.FormatInt(version, 10) + `,"version_type":"external_gte"}}` + "\n"
	cur, err := collection(c, p.Namespaces[0]).Find(ctx, bson.D{})
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = cur.Close(ctx) }()
	var st transcode.Stats
	var body []byte
	read := 0
	for cur.Next(ctx) {
		body = append(body, `{"index":{"_id":"`...)
		body = transcode.AppendID(body, cur.Current.Lookup("_id"))
		body = append(body, tail...)
		if body, err = plan.Append(body, cur.Current, &st); err != nil {
			return nil, 0, err
		}
		body = append(body, '\n')
		n++
		read += len(cur.Current)
		if read >= mongo.DefaultBatchBytes || len(body) > search.DefaultBodyBytes {
			bodies, body, read = append(bodies, body), nil, 0
		}
	}
	if len(body) > 0 {
		bodies = append(bodies, body)
	}
	return bodies, n, cur.Err()
}

// settleEngine refreshes an index and waits until its merges have ended, so
// that what was put off is counted too.
func settleEngine(ctx context.Context, url, index string) error {
	if err := send(ctx, http.MethodPost, url+"/"+index+"/_refresh", "", nil, nil); err != nil {
		return err
	}
	for {
		var text []byte
		if err := send(ctx, http.MethodGet, url+"/"+index+"/_stats/merge", "", nil, &text); err != nil {
			return err
		}
		var stats struct {
			All struct {
				Total struct{ Merges struct{ Current int } }
			} `json:"_all"`
		}
		if err := json.Unmarshal(text, &stats); err != nil {
			return err
		}
		if stats.All.Total.Merges.Current == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// send sends one request and reads the answer, into what into points to if it
// is not nil.
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
