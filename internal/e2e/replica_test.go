//go:build integration

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/testkit"
)

// rollOver writes until the oplog's first entry is younger than it was.
func rollOver(t *testing.T, filler *mongo.Collection) {
	t.Helper()
	local := filler.Database().Client().Database("local").Collection("oplog.rs")
	first := func() bson.Timestamp {
		var e struct {
			TS bson.Timestamp `bson:"ts"`
		}
		opts := options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}})
		if err := local.FindOne(t.Context(), bson.D{}, opts).Decode(&e); err != nil {
			t.Fatal(err)
		}
		return e.TS
	}
	var mark struct {
		TS bson.Timestamp `bson:"ts"`
	}
	opts := options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})
	if err := local.FindOne(t.Context(), bson.D{}, opts).Decode(&mark); err != nil {
		t.Fatal(err)
	}
	pad := bytes.Repeat([]byte("x"), 200<<10)
	testkit.Eventually(t, 2*time.Minute, func() error {
		if !first().Before(mark.TS) {
			return nil
		}
		for range 20 {
			if _, err := filler.InsertOne(t.Context(), bson.D{{Key: "pad", Value: pad}}); err != nil {
				return err
			}
		}
		return fmt.Errorf("the oplog still holds %v", mark.TS)
	})
}

// rss is the resident memory of the process in KiB.
func (p *process) rss(t *testing.T) int {
	t.Helper()
	return p.memory(t, "VmRSS:")
}

// memory is one of the process's figures in KiB.
func (p *process) memory(t *testing.T, figure string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, figure); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no " + figure)
	return 0
}

// TestPrimaryKilled: three nodes with keyfile and users; the primary is killed
// in the snapshot and again in the stream, under w:majority load.
func TestPrimaryKilled(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Nodes: 3, Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	majority := options.Database().SetWriteConcern(writeconcern.Majority())
	b := bed{uri: m.URI(), search: testkit.SharedSearch(t).URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t), majority), state: t.TempDir()}
	coll := b.db.Collection("orders")
	const docs = 20_000
	seedDocs(t, coll, docs)
	w := startWriter(t, coll, docs, 2, 3)
	p := start(t, append(b.args("orders"), "--snapshot-rate", "3000")...)
	p.eventually(t, time.Minute, func() error { return p.atLeast(t.Context(), docs/4) })
	killAndRestart(t, m)
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	killAndRestart(t, m)
	w.Stop(t)
	t.Logf("%d writes", w.ops.Load())
	p.eventually(t, 2*time.Minute, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
}

func killAndRestart(t *testing.T, m *testkit.Mongo) {
	t.Helper()
	i, err := m.KillPrimary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, func() error {
		_, err := m.Primary(t.Context())
		return err
	})
	if err := m.Restart(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}
