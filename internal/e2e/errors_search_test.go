//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/testkit"
	"sluice/internal/testkit/scriptsearch"
)

// TestErrorSearchUnreachable: at a start, who started it is there to read the
// message, so it fails at once; in the middle it waits (TestS9SearchOutage).
func TestErrorSearchUnreachable(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 10)
	down := b
	down.search = "http://elastic:s3cret-pw@" + freeAddr(t)
	words := []string{strings.TrimPrefix(down.search, "http://elastic:s3cret-pw@"), "connection refused", "is the cluster up", "search.urls"}
	wantFailure(t, 1, down.args("orders"), words, "s3cret-pw")
	following(t, b.args("orders")...).wantDrain(t)
}

// TestErrorSearchLogin: the engine does not know us at the start, or takes the
// right to write away in the middle.
func TestErrorSearchLogin(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 10)
	s := scriptsearch.New(t, scriptsearch.Options{Username: "sluice", Password: "r1ght-pw"})
	at := func(login string) bed {
		c := b
		c.search = strings.Replace(s.URL(), "http://", "http://"+login+"@", 1)
		return c
	}
	wantFailure(t, 1, at("sluice:wr0ng-pw").args("orders"), []string{"401", "search.auth", strings.TrimPrefix(s.URL(), "http://")}, "wr0ng-pw")

	p := following(t, at("sluice:r1ght-pw").args("orders")...)
	denied := scriptsearch.Denied(scriptsearch.All)
	s.Always(&denied)
	set(t, coll, 1, "n", -1)
	if code := p.wait(t, 30*time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	wantWords(t, lastWords(p.output()), b.db.Name()+".orders", "403", "privilege", "indices:data/write/bulk[s]")
	wantNone(t, p.output(), "r1ght-pw")
	// Granted again, it goes on with the change that was refused.
	s.Always(nil)
	n := len(s.Bulks())
	q := start(t, at("sluice:r1ght-pw").args("orders")...)
	q.eventually(t, 30*time.Second, func() error {
		for _, bulk := range s.Bulks()[n:] {
			for _, a := range bulk.Actions {
				if a.ID == "1" && strings.Contains(string(a.Source), `"n":-1`) {
					return nil
				}
			}
		}
		return errors.New("the change that was refused did not come again")
	})
}

// block is a way in which an engine refuses writes for a while.
type block struct {
	name       string
	reason     string
	close      func(t *testing.T, b bed)
	cure       func(t *testing.T, b bed)
	says       []string
	cureWithin time.Duration
}

// TestErrorIndexBlocked: the index is closed or made read-only while the flow
// runs: it waits, says so calmly, and goes on when that is over.
func TestErrorIndexBlocked(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 500)
	p := following(t, b.args("orders")...)
	concrete := func(b bed) string { return b.search + "/" + b.index("orders") + "-000001" }
	setting := func(name, value string) func(*testing.T, bed) {
		return func(t *testing.T, b bed) {
			must(t, http.MethodPut, concrete(b)+"/_settings", fmt.Sprintf(`{%q:%s}`, name, value))
		}
	}
	for _, x := range []block{
		{
			"closed", "index_closed",
			func(t *testing.T, b bed) { must(t, http.MethodPost, concrete(b)+"/_close", "") },
			func(t *testing.T, b bed) { must(t, http.MethodPost, concrete(b)+"/_open", "") },
			[]string{b.index("orders"), "closed", "_open"},
			20 * time.Second,
		},
		{
			"write block", "read_only", setting("index.blocks.write", "true"), setting("index.blocks.write", "null"),
			[]string{b.index("orders"), "403", "index.blocks"},
			20 * time.Second,
		},
		{
			"read-only", "read_only", setting("index.blocks.read_only", "true"), setting("index.blocks.read_only", "null"),
			[]string{b.index("orders"), "403", "index.blocks"},
			20 * time.Second,
		},
	} {
		t.Run(x.name, func(t *testing.T) { blocked(t, p, b, coll, x) })
	}
	t.Run("closed at the start", func(t *testing.T) {
		p.wantDrain(t)
		must(t, http.MethodPost, concrete(b)+"/_close", "")
		q := start(t, append(b.args("orders"), "--resync", "all")...)
		q.eventually(t, 30*time.Second, func() error { return q.waits(t.Context(), "index_closed") })
		wantWords(t, q.flowStatus(t).Pump.Error, b.index("orders"), "closed", "_open")
		must(t, http.MethodPost, concrete(b)+"/_open", "")
		q.eventually(t, 30*time.Second, func() error { return q.copied(t.Context()) })
		if err := equal(t.Context(), coll, b.search, b.index("orders")); err != nil {
			t.Error(err)
		}
		q.wantDrain(t)
		wantCalm(t, q.output(), "index_closed", b.index("orders"), "closed", "_open")
	})
}

// TestErrorDiskFull: the disk of a real engine is full, by its own watermark.
// The engine also takes small bodies only, which costs nothing but more of them.
func TestErrorDiskFull(t *testing.T) {
	t.Parallel()
	s, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{
		Own: true, DiskThreshold: true, MaxContentLength: "1mb",
		Settings: []string{"cluster.info.update.interval: 10s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	b := newBed(t)
	b.search = s.URL()
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 20_000)
	p := following(t, append(b.args("orders"), "--name", "disk")...)
	t.Run("too large", func(t *testing.T) { tooLarge(t, p, b, coll) })
	watermarks := func(v string) func(*testing.T, bed) {
		const prefix = "cluster.routing.allocation.disk.watermark."
		body := fmt.Sprintf(`{"transient":{"%slow":%s,"%shigh":%s,"%sflood_stage":%s}}`, prefix, v, prefix, v, prefix, v)
		return func(t *testing.T, b bed) { must(t, http.MethodPut, b.search+"/_cluster/settings", body) }
	}
	blocked(t, p, b, coll, block{
		"full", "disk_full", watermarks(`"99999gb"`), watermarks(`null`),
		[]string{b.index("orders"), "429", "flood-stage", "disk", "free space"},
		90 * time.Second,
	})
	p.wantDrain(t)
}

// blocked blocks, writes, looks at what the program says, cures, and compares.
func blocked(t *testing.T, p *process, b bed, coll *mongo.Collection, x block) {
	t.Helper()
	x.close(t, b)
	from := len(p.output())
	n := 0
	p.eventually(t, 60*time.Second, func() error {
		// A full disk takes the engine a while to see: something must be written then.
		if n++; n%10 == 1 {
			churn(t, coll, n)
		}
		return p.waits(t.Context(), x.reason)
	})
	pause(t.Context(), 2500*time.Millisecond) // several attempts, for the log
	churn(t, coll, n+1)
	if err := p.waits(t.Context(), x.reason); err != nil {
		t.Error(err)
	}
	st, err := p.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantWords(t, st.Text(), append([]string{x.reason}, x.says...)...)
	if _, metrics, err := fetch(t.Context(), "http://"+p.addr+"/metrics", ""); err != nil {
		t.Error(err)
	} else {
		wantMetric(t, metrics, "sluice_retries_total", 1, 1e9, fmt.Sprintf("reason=%q", x.reason))
	}
	x.cure(t, b)
	p.eventually(t, x.cureWithin, func() error { return p.works(t.Context()) })
	p.eventually(t, 30*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index(coll.Name())) })
	wantCalm(t, p.output()[from:], x.reason, x.says...)
}

// churn changes, deletes and inserts something.
func churn(t *testing.T, coll *mongo.Collection, n int) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	_, err := coll.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 40}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "churn", Value: n}}}})
	if err == nil {
		_, err = coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: 100 + n}})
	}
	if err == nil {
		_, err = coll.InsertOne(ctx, bson.D{{Key: "new", Value: n}})
	}
	if err != nil {
		t.Fatal(err)
	}
}
