//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestS7DeadLetterVerbs: a document that the mapping can't take, seen, retried,
// dropped and copied again by the verbs, first with a sluice running, then
// without one; nothing is done beside a running one.
func TestS7DeadLetterVerbs(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	ns := b.db.Name() + ".orders"
	insert(t, coll, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 1}})
	addr := freeAddr(t)
	file := configFile(t, fmt.Sprintf("mongodb: {uri: '%s'}\nsearch: {urls: ['%s']}\nhttp: {listen: '%s'}\nstate: {store: file, path: '%s'}\ndead_letters: {store: file, path: '%s'}\nflows:\n  - {name: shop, namespaces: ['%s'], mappings: {properties: {n: {type: long}}}}\n",
		b.uri, b.search, addr, b.state, filepath.Join(b.state, "letters"), ns))
	p := start(t, "run", "-c", file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	for i := 2; i <= 5; i++ {
		insert(t, coll, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: "a word"}})
	}
	p.eventually(t, 20*time.Second, func() error { return p.deadLetters(t, 4) })

	url := []string{"--url", "http://" + p.addr}
	f := func(args []string, code int, words ...string) {
		t.Helper()
		r := verb(t, nil, append(args, "-c", file)...)
		if r.code != code {
			t.Errorf("%v: exit code %d, want %d\n%s%s", args, r.code, code, r.out, r.errOut)
		}
		wantWords(t, r.out+r.errOut, words...)
		if args[1] != "show" { // which shows the engine's own words
			wantNone(t, r.out+r.errOut, "a word")
		}
	}
	f(append([]string{"deadletter", "ls"}, url...), 0, ns, "mapping", "4 dead letters")
	f(append([]string{"deadletter", "ls", "--json"}, url...), 0, `"total": 4`, `"reason": "mapping"`)
	f(append([]string{"deadletter", "retry", "--key", "2"}, url...), 3, "0 closed", "1 for mapping")
	f([]string{"deadletter", "drop", "--all"}, 1, "in use")
	mended := `{"properties":{"n":{"type":"long","ignore_malformed":true}}}`
	if err := call(t.Context(), http.MethodPut, b.search+"/"+ns+"/_mapping", mended, nil); err != nil {
		t.Fatal(err)
	}
	f(append([]string{"deadletter", "retry", "--key", "2"}, url...), 0, "1 closed")
	f(append([]string{"deadletter", "drop", "--key", "3"}, url...), 0, "1 dead letters dropped")
	f(append([]string{"pause", "--flow", "shop"}, url...), 0, "flow shop: paused")
	f(append([]string{"deadletter", "retry"}, url...), 1, "paused")
	f(append([]string{"resume", "--flow", "shop"}, url...), 0, "flow shop: resumed")
	p.eventually(t, 20*time.Second, func() error { return p.deadLetters(t, 2) })
	f(append([]string{"resync", ns}, url...), 0, "started")
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	p.eventually(t, 20*time.Second, func() error { return p.deadLetters(t, 0) })
	p.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })

	mended = `{"properties":{"n":{"type":"long","ignore_malformed":false}}}`
	if err := call(t.Context(), http.MethodPut, b.search+"/"+ns+"/_mapping", mended, nil); err != nil {
		t.Fatal(err)
	}
	insert(t, coll, bson.D{{Key: "_id", Value: 6}, {Key: "n", Value: "a word"}}, bson.D{{Key: "_id", Value: 7}, {Key: "n", Value: "a word"}})
	p.eventually(t, 20*time.Second, func() error { return p.deadLetters(t, 2) })
	p.wantDrain(t)

	f([]string{"deadletter", "ls"}, 0, "2 dead letters")
	f([]string{"deadletter", "retry"}, 3, "0 closed", "2 for mapping")
	set(t, coll, 6, "n", 66)
	if _, err := coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 7}}); err != nil {
		t.Fatal(err)
	}
	if r := verb(t, nil, "deadletter", "show", "6", "--body", "-c", file); r.code != 0 || !strings.Contains(r.out, "66") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	f([]string{"deadletter", "show", "7", "--body"}, 0, "gone from MongoDB")
	f([]string{"deadletter", "retry"}, 0, "2 closed", "1 of documents that are gone")
	f([]string{"deadletter", "ls"}, 0, "no dead letters")
	f([]string{"resync", ns, "--key", "1"}, 0, "1 written")
	f([]string{"resync", ns}, 1, "--resync "+ns)
	f([]string{"pause", "--flow", "shop"}, 1, "only a running sluice")
	if err := equal(t.Context(), coll, b.search, b.index("orders")); err != nil {
		t.Error(err)
	}
}
