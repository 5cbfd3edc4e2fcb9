//go:build integration

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// configFile writes a configuration and returns its path.
func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestErrorUnknownKey: every mistake at once, each with its place and the
// nearest right name; secrets stay out.
func TestErrorUnknownKey(t *testing.T) {
	path := configFile(t, `mongodb:
  uri: mongodb://sluice:${E2E_PW}@127.0.0.1:1/?replicaSet=rs0
search:
  urls: [http://127.0.0.1:2]
  gzipp: true
flows:
  - name: shop
    namspaces: [shop.orders]
    snapshot: {paralle: 2}
    on: {delete: destroy}
`)
	for _, args := range [][]string{{"run", "-c", path}, {"config", "validate", "-c", path}, {"config", "print", "-c", path}} {
		r := verb(t, []string{"E2E_PW=s3cret-pw"}, args...)
		if r.code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, r.code)
		}
		wantWords(t, r.errOut,
			path+":5:3:", `"gzipp"`, `did you mean "gzip"?`,
			path+":8:5:", `"namspaces"`, `did you mean "namespaces"?`,
			path+":9:16:", `"paralle"`, `did you mean "parallel"?`,
			path+":10:18:", "destroy", "remove", "keep", "mark")
		wantNone(t, r.errOut+r.out, "s3cret-pw")
	}
}

// TestErrorSharedIndex: two namespaces that differ in case only would share an
// index, in which each would overwrite the other's documents.
func TestErrorSharedIndex(t *testing.T) {
	b := newBed(t)
	words := []string{b.db.Name() + ".Orders", b.db.Name() + ".orders", "would share the index", fmt.Sprintf("%q", b.index("orders")), "index_prefix"}
	wantFailure(t, 2, b.args("orders", "Orders"), words)

	// The same, when a pattern finds them.
	insert(t, b.db.Collection("orders"), bson.D{{Key: "_id", Value: 1}})
	insert(t, b.db.Collection("Orders"), bson.D{{Key: "_id", Value: 1}})
	args := b.args("*")
	wantFailure(t, 2, args, append(words[:3], "exclude"))
	p := following(t, append(args, "--exclude", b.db.Name()+".Orders")...)
	if err := equal(t.Context(), b.db.Collection("orders"), b.search, b.index("orders")); err != nil {
		t.Error(err)
	}
	// One that appears later stops the flow before it writes anything.
	insert(t, b.db.Collection("ORDERS"), bson.D{{Key: "_id", Value: 1}, {Key: "other", Value: true}})
	if code := p.wait(t, 30*time.Second); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	wantWords(t, lastWords(p.output()), b.db.Name()+".ORDERS", b.db.Name()+".orders", "would share", "exclude")
	if err := equal(t.Context(), b.db.Collection("orders"), b.search, b.index("orders")); err != nil {
		t.Error(err)
	}
}
