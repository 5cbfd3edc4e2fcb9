//go:build integration

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

// longConfig writes a configuration of one flow, with more of it in snapshot
// (a flow mapping) and around.
func (b bed) longConfig(t *testing.T, snapshot, more string, colls ...string) []string {
	t.Helper()
	for i, c := range colls {
		colls[i] = b.db.Name() + "." + c
	}
	text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q]}\nstate: {path: %q}\n%sflows:\n"+
		"  - {name: sync, namespaces: [%s], fields: {exclude: [pad]}, snapshot: {%s}}\n",
		b.uri, b.search, b.state, more, strings.Join(colls, ", "), snapshot)
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"run", "-c", file}
}

// seedPadded inserts n documents of about size bytes.
func seedPadded(t *testing.T, coll *mongo.Collection, n, size int) {
	t.Helper()
	pad := strings.Repeat("x", size-64)
	for at := 0; at < n; at += 2000 {
		var batch []any
		for i := at; i < min(at+2000, n); i++ {
			batch = append(batch, bson.D{{Key: "_id", Value: i}, {Key: "v", Value: i * 7}, {Key: "pad", Value: pad}})
		}
		if _, err := coll.InsertMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

// profile lets the server note every find that sluice does on coll, and returns
// what sums up how many there were, and how many documents they have returned.
func profile(t *testing.T, coll *mongo.Collection) func() (finds, docs int) {
	t.Helper()
	db := coll.Database()
	sluices := bson.D{{Key: "ns", Value: db.Name() + "." + coll.Name()}, {Key: "op", Value: "query"}, {Key: "appName", Value: bson.D{{Key: "$regex", Value: "^sluice"}}}}
	for _, cmd := range []bson.D{
		{{Key: "create", Value: "system.profile"}, {Key: "capped", Value: true}, {Key: "size", Value: 32 << 20}},
		{{Key: "profile", Value: 1}, {Key: "filter", Value: sluices}},
	} {
		if err := db.RunCommand(t.Context(), cmd).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return func() (finds, docs int) {
		// The cutter's finds skip and project; the readers' neither.
		cur, err := db.Collection("system.profile").Aggregate(t.Context(), bson.A{
			bson.D{{Key: "$match", Value: bson.D{{Key: "op", Value: "query"}, {Key: "command.skip", Value: nil}, {Key: "command.projection", Value: nil}}}},
			bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: nil}, {Key: "finds", Value: bson.D{{Key: "$sum", Value: 1}}}, {Key: "docs", Value: bson.D{{Key: "$sum", Value: "$nreturned"}}}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var sums []struct{ Finds, Docs int }
		if err := cur.All(t.Context(), &sums); err != nil || len(sums) != 1 {
			t.Fatal(sums, err)
		}
		return sums[0].Finds, sums[0].Docs
	}
}

// TestLongSnapshotRepeatsAPart: a collection of 100 chunks, killed again and
// again at any moment, repeats at most one chunk for each reader and kill. The
// server itself counts what it had to read.
func TestLongSnapshotRepeatsAPart(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("long")
	const docs, perChunk, readers = 50_000, 500, 2
	seedPadded(t, coll, docs, 2000)
	count := profile(t, coll)
	args := b.longConfig(t, fmt.Sprintf("chunk: 1MB, parallel: %d, rate: 9000", readers), "", "long")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for range rounds(5, 40) {
		p := start(t, args...)
		p.eventually(t, time.Minute, func() error { return p.hasCopied(t.Context()) })
		pause(t.Context(), time.Duration(r.IntN(900))*time.Millisecond)
		st, err := p.status(t.Context())
		p.kill()
		kills++
		if err == nil && st.Copied() {
			break
		}
	}
	p := start(t, args...)
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	finds, read := count()
	// A find goes on at the last document of the one before, which it returns again.
	repeated := read - docs - finds
	t.Logf("%d kills, %d finds, %d documents read, %d of them again", kills, finds, read, max(0, repeated))
	if most := kills * readers * perChunk; repeated > most {
		t.Errorf("%d documents were read again, want at most %d", repeated, most)
	}
	if finds < docs/perChunk {
		t.Errorf("%d finds are less than there are chunks", finds)
	}
	testkit.Eventually(t, time.Minute, func() error { return b.indexHas(t.Context(), "long", docs) })
}

// hasCopied is nil once the process has settled something of its snapshot.
func (p *process) hasCopied(ctx context.Context) error {
	st, err := p.status(ctx)
	if err == nil && st.SnapshotSettled() == 0 && !st.Copied() {
		err = errors.New("nothing is copied yet")
	}
	return err
}

func (b bed) indexHas(ctx context.Context, coll string, n int) error {
	var is struct{ Count int }
	if err := call(ctx, "POST", b.search+"/"+b.index(coll)+"/_refresh", "", nil); err != nil {
		return err
	}
	if err := call(ctx, "GET", b.search+"/"+b.index(coll)+"/_count", "", &is); err != nil {
		return err
	}
	if is.Count != n {
		return fmt.Errorf("%d documents in the index, want %d", is.Count, n)
	}
	return nil
}

// refreshInterval is that of the index of coll, "" for the engine's default.
func (b bed) refreshInterval(ctx context.Context, coll string) (string, error) {
	var all map[string]struct {
		Settings map[string]string `json:"settings"`
	}
	err := call(ctx, "GET", b.search+"/"+b.index(coll)+"/_settings?flat_settings=true", "", &all)
	for _, x := range all {
		return x.Settings["index.refresh_interval"], err
	}
	return "", err
}

// TestBulkSettingsComeBack: a copy that was killed leaves an index that
// refreshes seldom; the next start puts that right, also of a flow that copies
// nothing any more, or that no longer follows the collection.
func TestBulkSettingsComeBack(t *testing.T) {
	b := newBed(t)
	names := []string{"goes_on", "not_copied", "not_followed"}
	for _, name := range names {
		seedPadded(t, b.db.Collection(name), 3000, 300)
	}
	seedPadded(t, b.db.Collection("other"), 10, 300)
	has := func(coll, want string) error {
		is, err := b.refreshInterval(t.Context(), coll)
		if err == nil && is != want {
			err = fmt.Errorf("%s: refresh_interval is %q, want %q", coll, is, want)
		}
		return err
	}
	for _, name := range names {
		b.state = t.TempDir()
		p := start(t, b.longConfig(t, "rate: 300", "", name)...)
		p.eventually(t, time.Minute, func() error { return p.hasCopied(t.Context()) })
		p.eventually(t, time.Minute, func() error { return has(name, "30s") })
		p.eventually(t, time.Minute, func() error {
			if st := p.flowStatus(t); st.Saved.IsZero() {
				return errors.New("no position is saved")
			}
			return nil
		})
		p.kill()
		if err := has(name, "30s"); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "goes_on":
			p = start(t, b.longConfig(t, "rate: 0", "", name)...)
			p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
		case "not_copied":
			p = start(t, b.longConfig(t, "enabled: false", "", name)...)
		default:
			p = start(t, b.longConfig(t, "enabled: true", "", "other")...)
		}
		p.eventually(t, time.Minute, func() error { return has(name, "") })
		p.kill()
	}
}

// metric returns the sum of the values of a metric whose labels hold all words.
func (p *process) metric(t *testing.T, name string, words ...string) (sum float64) {
	t.Helper()
	resp, err := http.Get("http://" + p.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
next:
	for line := range strings.Lines(string(text)) {
		labels, ok := strings.CutPrefix(line, name)
		if !ok || labels == "" || labels[0] != '{' && labels[0] != ' ' {
			continue
		}
		for _, w := range words {
			if !strings.Contains(labels, w) {
				continue next
			}
		}
		var v float64
		if _, err := fmt.Sscan(labels[strings.LastIndex(labels, " ")+1:], &v); err == nil {
			sum += v
		}
	}
	return sum
}

// waitsFor is nil while the copy shows that it waits for the words.
func (p *process) waitsFor(t *testing.T, words string) error {
	t.Helper()
	if why := p.flowStatus(t).Source.Waiting; !strings.Contains(why, words) {
		return fmt.Errorf("the copy waits for %q, want %q", why, words)
	}
	return nil
}

// keepWriting inserts documents with pad until the test ends or stop is called.
func keepWriting(t *testing.T, coll *mongo.Collection, pad int, every time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	filler := bytes.Repeat([]byte("x"), pad)
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = coll.InsertOne(ctx, bson.D{{Key: "pad", Value: filler}})
			pause(ctx, every)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestCopyWaitsForALaggingMember: with pace auto the copy stops while a
// secondary is behind, says so everywhere, and goes on when it has caught up.
func TestCopyWaitsForALaggingMember(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Nodes: 3, FailPoints: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	b := bed{uri: m.URI(), search: testkit.SharedSearch(t).URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t)), state: t.TempDir()}
	seedPadded(t, b.db.Collection("orders"), 8_000, 500)
	primary, err := m.Primary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow := connect(t, m.DirectURI((primary+1)%3)).Database("admin")
	apply := func(mode string) {
		t.Helper()
		cmd := bson.D{{Key: "configureFailPoint", Value: "rsSyncApplyStop"}, {Key: "mode", Value: mode}}
		if err := slow.RunCommand(t.Context(), cmd).Err(); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, b.longConfig(t, "pace: auto, rate: 400", "governor: {max_lag: 5s, max_dirty: 1, max_queue: 0}\n", "orders")...)
	p.eventually(t, time.Minute, func() error { return p.hasCopied(t.Context()) })
	apply("alwaysOn")
	stop := keepWriting(t, b.db.Collection("else"), 100, 50*time.Millisecond)
	p.eventually(t, time.Minute, func() error { return p.waitsFor(t, "more than 5s") })
	from := p.flowStatus(t).Source.Read
	pause(t.Context(), 3*time.Second)
	st := p.flowStatus(t).Source
	if n := st.Read - from; n > 1000 { // what was under way
		t.Errorf("%d documents were read while a member lagged", n)
	}
	if st.Waiting == "" || p.metric(t, "sluice_snapshot_waiting") != 1 || p.metric(t, "sluice_mongodb_snapshot_wait_seconds_total", `reason="replication lag"`) == 0 {
		t.Errorf("the wait is not in the metrics, the status says %q", st.Waiting)
	}
	apply("off")
	stop()
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	testkit.Eventually(t, time.Minute, func() error { return b.indexHas(t.Context(), "orders", 8_000) })
}

// TestCopyWaitsForTheOplog: the stream fell behind, and the oplog is small: it
// goes first, and the copy when it has caught up. No history is lost.
func TestCopyWaitsForTheOplog(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{OplogMB: 64, SyncDelay: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	b := bed{uri: m.URI(), search: testkit.SharedSearch(t).URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t)), state: t.TempDir()}
	coll := b.db.Collection("orders")
	seedPadded(t, coll, 20_000, 500)
	rollOver(t, b.db.Collection("filler"))
	args := b.longConfig(t, "min_head_room: 0.95, rate: 500", "", "orders")
	p := start(t, args...)
	p.eventually(t, time.Minute, func() error { return p.hasCopied(t.Context()) })
	// The flow pauses with changes to read while others write: its position stays
	// behind.
	if r := verb(t, nil, "pause", "--flow", "sync", "-c", args[2], "--url", "http://"+p.addr); r.code != 0 {
		t.Fatal(r.errOut)
	}
	stop := keepWriting(t, b.db.Collection("filler"), 50<<10, 20*time.Millisecond)
	if _, err := coll.UpdateMany(t.Context(), bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "v", Value: 1}}}}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, 40*time.Second, func() error {
		if err := p.waitsFor(t, "the stream goes first"); err != nil {
			st := p.flowStatus(t)
			return fmt.Errorf("%w: %+v", err, st.Source)
		}
		return nil
	})
	from := p.flowStatus(t).Source.Read
	if r := verb(t, nil, "resume", "--flow", "sync", "-c", args[2], "--url", "http://"+p.addr); r.code != 0 {
		t.Fatal(r.errOut)
	}
	p.eventually(t, time.Minute, func() error {
		if st := p.flowStatus(t).Source; st.Waiting != "" && st.Read > from+500 {
			t.Fatalf("%d documents were read while the copy waits: %s", st.Read-from, st.Waiting)
		} else if st.Waiting != "" && !strings.Contains(st.Waiting, "rate") {
			return errors.New(st.Waiting)
		}
		return nil
	})
	stop()
	if p.metric(t, "sluice_mongodb_snapshot_wait_seconds_total", `reason="oplog head-room"`) == 0 {
		t.Error("the wait is not in the metrics")
	}
	st := p.flowStatus(t)
	if st.Source.HistoryLost > 0 {
		t.Error("history was lost")
	}
	// Faster from here on, to the end.
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	p = start(t, b.longConfig(t, "min_head_room: 0.95", "", "orders")...)
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	testkit.Eventually(t, time.Minute, func() error { return b.indexHas(t.Context(), "orders", 20_000) })
	var last struct {
		V int `bson:"v"`
	}
	if err := coll.FindOne(t.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&last); err != nil || last.V != 19_999*7+1 {
		t.Fatal(last, err)
	}
}
