//go:build integration

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/app"
)

const (
	// hotOrders show customer 0.
	hotOrders = 10_000
	// customers beside it, each shown by one order: more keys than the queue holds.
	coldCustomers = 6000
)

// relatedBed has orders that show customers, which are not followed, and a
// configuration that brings the orders to the index.
func relatedBed(t *testing.T) (b bed, file string) {
	t.Helper()
	b = newBed(t)
	var docs []any
	for i := range hotOrders + coldCustomers {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "customer", Value: max(0, i-hotOrders+1)}, {Key: "text", Value: fmt.Sprint("order ", i)}})
	}
	insertMany(t, b.db.Collection("orders"), docs)
	docs = docs[:0]
	for i := range coldCustomers + 1 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "name", Value: "a"}})
	}
	insertMany(t, b.db.Collection("customers"), docs)
	index := mongo.IndexModel{Keys: bson.D{{Key: "customer", Value: 1}, {Key: "_id", Value: 1}}}
	if _, err := b.db.Collection("orders").Indexes().CreateOne(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	name := b.db.Name()
	return b, configFile(t, fmt.Sprintf("mongodb: {uri: '%s'}\nsearch: {urls: ['%s']}\nstate: {store: file, path: '%s'}\nflows:\n"+
		"  - {name: shop, namespaces: ['%s.orders'], snapshot: {rate: 4000}, related: [{when: '%s.customers', rewrite: '%s.orders', match: {customer: _id}}]}\n",
		b.uri, b.search, b.state, name, name, name))
}

func insertMany(t *testing.T, coll *mongo.Collection, docs []any) {
	t.Helper()
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// damage spoils what the index has of some orders, and removes others, behind
// the back of sluice: only who writes them again heals that.
func (b bed) damage(t *testing.T, query string) {
	t.Helper()
	index := b.search + "/" + b.index("orders")
	if err := call(t.Context(), http.MethodPost, index+"/_refresh", "", nil); err != nil {
		t.Fatal(err)
	}
	spoil := `{"query":` + query + `,"script":{"source":"ctx._source.text='spoilt'","lang":"painless"}}`
	if err := call(t.Context(), http.MethodPost, index+"/_update_by_query?refresh=true", spoil, nil); err != nil {
		t.Fatal(err)
	}
	odd := `{"query":{"bool":{"must":[` + query + `,{"range":{"customer":{"gte":0}}}],"filter":{"script":{"script":"doc['customer'].value % 2 == 1"}}}}}`
	if err := call(t.Context(), http.MethodPost, index+"/_delete_by_query?refresh=true", odd, nil); err != nil {
		t.Fatal(err)
	}
}

// related returns the one relation of a process, and fails when its queue was
// ever over its budget.
func (p *process) related(t *testing.T) app.RelatedStatus {
	t.Helper()
	st, err := p.status(t.Context())
	if err != nil || len(st.Flows) != 1 || len(st.Flows[0].Source.Related) != 1 {
		return app.RelatedStatus{Keys: -1} // not up yet
	}
	r := st.Flows[0].Source.Related[0]
	if r.Peak > r.Budget || r.Budget == 0 {
		t.Fatalf("the queue was over its budget: %+v", r)
	}
	return r
}

// healed waits until nothing is owed and both sides are equal.
func (b bed) healed(t *testing.T, p *process) {
	t.Helper()
	p.eventually(t, 2*time.Minute, func() error {
		if r := p.related(t); r.Keys != 0 {
			return fmt.Errorf("%d keys are owed", r.Keys)
		}
		return equal(t.Context(), b.db.Collection("orders"), b.search, b.index("orders"))
	})
}

// TestRelated: 10,000 documents that show one are written again when it changes
// and when it is deleted; and those of more keys than the queue has room for, while
// the queue never exceeds its budget.
func TestRelated(t *testing.T) {
	b, file := relatedBed(t)
	customers := b.db.Collection("customers")
	p := start(t, "run", "-c", file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	b.healed(t, p)
	if r := p.related(t); r.Rewritten != 0 {
		t.Errorf("the copy alone wrote again: %+v", r)
	}

	b.damage(t, `{"term":{"customer":0}}`)
	if err := equal(t.Context(), b.db.Collection("orders"), b.search, b.index("orders")); err == nil {
		t.Fatal("nothing was damaged")
	}
	set(t, customers, 0, "name", "b")
	b.healed(t, p)
	if r := p.related(t); r.Rewritten < hotOrders || r.Rewritten > hotOrders+1 {
		t.Errorf("%+v", r)
	}

	b.damage(t, `{"match_all":{}}`)
	if _, err := customers.DeleteMany(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	b.healed(t, p)
	r := p.related(t)
	t.Logf("%+v", r)
	if r.Peak < r.Budget/2 {
		t.Errorf("the queue was never full: %+v", r)
	}
	if err := call(t.Context(), http.MethodGet, b.search+"/"+b.index("customers"), "", nil); err == nil {
		t.Error("what is only related was indexed")
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestRelatedWithoutIndex: a change of a related document is never a scan of a
// collection; the cure is told before anything is read.
func TestRelatedWithoutIndex(t *testing.T) {
	b := newBed(t)
	insert(t, b.db.Collection("orders"), bson.D{{Key: "_id", Value: 1}, {Key: "customer", Value: 1}})
	file := configFile(t, fmt.Sprintf("mongodb: {uri: '%s'}\nsearch: {urls: ['%s']}\nstate: {store: file, path: '%s'}\nflows:\n"+
		"  - {name: shop, namespaces: ['%[4]s.*'], related: [{when: '%[4]s.customers', rewrite: '%[4]s.orders', match: {customer: _id}}]}\n",
		b.uri, b.search, b.state, b.db.Name()))
	cure := `getCollection("orders").createIndex({"customer": 1, _id: 1})`
	p := start(t, "run", "-c", file)
	if code := p.wait(t, time.Minute); code != 2 {
		t.Errorf("exit code %d", code)
	}
	wantWords(t, strings.ReplaceAll(p.output(), `\"`, `"`), "no index begins with customer", cure)
	r := verb(t, nil, "doctor", "-c", file)
	if r.code == 0 {
		t.Error("doctor finds nothing")
	}
	wantWords(t, r.out, "mongodb.related", cure)
}

// TestRelatedKilled: kills and orderly ends at random moments, while dependants are
// written again, lose none of them.
func TestRelatedKilled(t *testing.T) {
	b, file := relatedBed(t)
	customers := b.db.Collection("customers")
	p := start(t, "run", "-c", file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	b.healed(t, p)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range rounds(2, 15) {
		b.damage(t, `{"match_all":{}}`)
		touch(t, customers, r)
		for range 3 {
			// What has changed is past the saved position for the most part: it is saved
			// within a second, and all takes four.
			pause(t.Context(), time.Duration(300+r.IntN(1500))*time.Millisecond)
			p.related(t)
			if r.IntN(4) == 0 {
				p.wantDrain(t)
			} else {
				p.kill()
			}
			p = start(t, "run", "-c", file)
		}
		b.healed(t, p)
	}
}

// touch changes each customer, by an update or by a delete that an insert follows.
func touch(t *testing.T, customers *mongo.Collection, r *rand.Rand) {
	t.Helper()
	ctx := t.Context()
	if r.IntN(2) == 0 {
		if _, err := customers.UpdateMany(ctx, bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "name", Value: fmt.Sprint(r.Int())}}}}); err != nil {
			t.Fatal(err)
		}
		return
	}
	docs := allOf(ctx, t, customers)
	if _, err := customers.DeleteMany(ctx, bson.D{}); err != nil {
		t.Fatal(err)
	}
	insertMany(t, customers, docs)
}

func allOf(ctx context.Context, t *testing.T, coll *mongo.Collection) []any {
	t.Helper()
	cur, err := coll.Find(ctx, bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var raws []bson.Raw
	if err := cur.All(ctx, &raws); err != nil {
		t.Fatal(err)
	}
	docs := make([]any, len(raws))
	for i, raw := range raws {
		docs[i] = raw
	}
	return docs
}
