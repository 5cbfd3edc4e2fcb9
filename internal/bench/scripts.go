package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/script"
	"sluice/internal/transcode/shapes"
)

const (
	// scriptLooks is how often the two ways take turns.
	scriptLooks = 8
	// scriptRound is how long one turn lasts.
	scriptRound = 250 * time.Millisecond
)

// scriptBatch is how many documents come to a stage at one time.
const scriptBatch = 200

// scripts compares scripts as sluice runs them with the same scripts in one runtime
// behind a lock, which every document is decoded for as a whole, and encoded again after.
func (b *bench) scripts(ctx context.Context) error {
	cases := []struct{ name, code string }{
		{"leaves out what has deletedAt", `module.exports = function(doc) {
			if (!!doc.deletedAt) {
				return false;
			}
			return true;
		}`},
		{"sets two fields", `module.exports = function(doc) {
			doc.source = 'shop';
			doc.label = doc._id.toString() + '/' + doc.status;
			return doc;
		}`},
	}
	for _, c := range cases {
		for _, k := range shapes.All() {
			if k.Name != "small" && k.Name != "medium" {
				continue
			}
			pooled, locked, err := bothWays(ctx, c.code, k)
			if err != nil {
				return err
			}
			b.atLeast(fmt.Sprintf("scripts, %s: %s", k.Name, c.name), pooled/locked, 3,
				"times the rate of one runtime behind a lock with full decoding (%.0f and %.0f thousand documents/s, %d cores)",
				pooled/1000, locked/1000, runtime.GOMAXPROCS(0))
		}
	}
	return nil
}

// bothWays returns the best rate of each way, in documents per second.
func bothWays(ctx context.Context, code string, k shapes.Shape) (pooled, locked float64, err error) {
	docs := make([]bson.Raw, scriptBatch)
	for i := range docs {
		docs[i] = k.Make(i)
	}
	ns := flow.Namespace{DB: "shop", Coll: "orders"}
	stage, err := script.Compile(script.Options{Entries: []script.Entry{{Name: "a.js", NS: ns, Code: code, Kind: script.Map, Mode: script.Native}}})
	if err != nil {
		return 0, 0, err
	}
	ours := func() error {
		changes := make([]flow.Change, len(docs))
		for i, doc := range docs {
			changes[i] = flow.Change{Op: flow.OpWrite, NS: ns, ID: doc.Lookup("_id"), Doc: doc}
		}
		out, err := stage.Apply(ctx, flow.Batch{Changes: changes})
		if err == nil && out.Changes[0].Fault != nil {
			err = out.Changes[0].Fault.Err
		}
		return err
	}
	theirs, err := lockedRuntime(code, ns.String(), docs)
	if err != nil {
		return 0, 0, err
	}
	for range scriptLooks {
		one, err := rateOf(ctx, ours)
		if err != nil {
			return 0, 0, err
		}
		other, err := rateOf(ctx, theirs)
		if err != nil {
			return 0, 0, err
		}
		pooled, locked = max(pooled, one), max(locked, other)
	}
	return pooled, locked, nil
}

// lockedRuntime runs a batch of documents through one runtime: decoded to maps by the
// driver, shown to the script as such, and encoded by the driver. Only what touches the
// runtime is under the lock.
func lockedRuntime(code, ns string, docs []bson.Raw) (func() error, error) {
	rt := goja.New()
	module := rt.NewObject()
	if err := errors.Join(module.Set("exports", rt.NewObject()), rt.Set("module", module)); err != nil {
		return nil, err
	}
	if _, err := rt.RunString(code); err != nil {
		return nil, err
	}
	fn, ok := goja.AssertFunction(module.Get("exports"))
	if !ok {
		return nil, errors.New("no function")
	}
	var lock sync.Mutex
	call := func(doc bson.M) (any, error) {
		lock.Lock()
		defer lock.Unlock()
		v, err := fn(goja.Undefined(), rt.ToValue(map[string]any(doc)), rt.ToValue(ns))
		if err != nil {
			return nil, err
		}
		return v.Export(), nil
	}
	return func() error {
		for _, raw := range docs {
			var doc bson.M
			if err := bson.Unmarshal(raw, &doc); err != nil {
				return err
			}
			out, err := call(doc)
			if err != nil {
				return err
			}
			if out == true {
				out = doc
			}
			if _, err = bson.Marshal(out); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// rateOf returns documents per second, with as many goroutines as there are cores.
func rateOf(ctx context.Context, batch func() error) (float64, error) {
	var done atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	runtime.GC()
	start := time.Now()
	for i := range errs {
		all.Go(func() {
			for time.Since(start) < scriptRound && ctx.Err() == nil && errs[i] == nil {
				errs[i] = batch()
				done.Add(scriptBatch)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(start).Seconds(), errors.Join(errors.Join(errs...), ctx.Err())
}
