//go:build integration

package e2e

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// TestKillNine kills the program at random times, in snapshot and in stream,
// under a live writer: afterwards both sides are equal, document by document.
func TestKillNine(t *testing.T) {
	b := newBed(t)
	orders, users := b.db.Collection("orders"), b.db.Collection("users")
	const docs = 30_000
	seedDocs(t, orders, docs)
	seedDocs(t, users, docs/10)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w1 := startWriter(t, orders, docs, 2, seed)
	w2 := startWriter(t, users, docs/10, 1, seed+1)
	// The rate keeps the snapshot going over several kills.
	args := append(b.args("orders", "users"), "--snapshot-rate", "4000")
	for range rounds(5, 50) {
		p := start(t, args...)
		pause(t.Context(), 500*time.Millisecond+time.Duration(r.IntN(2500))*time.Millisecond)
		p.kill()
	}
	p := start(t, args...)
	p.eventually(t, 3*time.Minute, func() error { return p.copied(t.Context()) })
	w1.Stop(t)
	w2.Stop(t)
	t.Logf("%d and %d writes", w1.ops.Load(), w2.ops.Load())
	wantEqual(t, orders, b.search, b.index("orders"), time.Minute)
	wantEqual(t, users, b.search, b.index("users"), time.Minute)
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
}

// TestKillRepeatsLittle: a restart goes on where the snapshot stood, and does
// not read again what was settled, but for one chunk part per reader.
func TestKillRepeatsLittle(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("big")
	const docs = 60_000
	seedDocs(t, coll, docs)
	args := append(b.args("big"), "--snapshot-rate", "20000")
	p := start(t, args...)
	p.eventually(t, time.Minute, func() error { return p.atLeast(t.Context(), docs/2) })
	p.kill()
	q := start(t, b.args("big")...)
	q.eventually(t, time.Minute, func() error { return q.copied(t.Context()) })
	st, err := q.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	read := st.SnapshotRead()
	if most := int64(docs/2 + docs/4); read > most {
		t.Fatalf("after the restart %d documents were read again, want at most %d", read, most)
	}
	wantEqual(t, coll, b.search, b.index("big"), time.Minute)
}

// pause waits for a random moment of the program's life: nothing in it can be
// polled for, the point is that it may be any moment.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
