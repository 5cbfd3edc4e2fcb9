package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
)

// world is a collection that changes, the index that follows it, and all rules
// between them; what breaks a rule is put down in faults.
type world struct {
	mu     sync.Mutex
	rnd    *rand.Rand
	faults []string

	history map[string][]state // by key, in order of time
	poison  map[string]bool    // documents that the engine refuses
	index   map[string]*indexed
	flying  map[string]bool  // keys of the stream in a write right now
	sent    map[string]int64 // highest version sent, by key, of the stream
	settled map[string]int64 // highest version with a final verdict
	trouble int              // chance in percent of a retry or an error
	written map[string]int64 // as settled, of the stream alone
	letters letterBox
	// unversioned: the engine takes whatever comes, in the order in which it comes.
	unversioned bool
}

// state is what a key was from a version on; doc "" is a deletion.
type state struct {
	version int64
	doc     string
}

// indexed is a document of the index, or a deletion that is not forgotten yet.
type indexed struct {
	state
	gone time.Time
}

// forgetAfter is the index.gc_deletes of the fake engine.
const forgetAfter = time.Minute

func (w *world) faultf(format string, args ...any) {
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// Write is the engine.
func (w *world) Write(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
	w.mu.Lock()
	w.begin(b)
	pause := time.Duration(w.rnd.IntN(2000)) * time.Millisecond
	w.mu.Unlock()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.end(b)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	upTo := len(b.Changes)
	var err error
	if w.chance() { // a connection that broke in the middle
		upTo = w.rnd.IntN(upTo + 1)
		err = &flow.Error{Op: "write", Class: flow.Transient, Err: errors.New("broken pipe")}
		if w.rnd.IntN(30) == 0 { // rarely: several in a row end the pump
			err = errors.New("a new kind of trouble")
		}
	}
	verdicts := make([]flow.Verdict, len(b.Changes))
	for i := range b.Changes[:upTo] {
		verdicts[i] = w.apply(&b.Changes[i])
	}
	if err != nil {
		return nil, err
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if verdicts[i].Outcome != flow.Retry {
			k := indexID(c)
			w.settled[k] = max(w.settled[k], c.Version)
			if !b.Snapshot {
				w.written[k] = c.Version
			}
		}
	}
	return verdicts, nil
}

func (w *world) chance() bool { return w.rnd.IntN(100) < w.trouble }

func (w *world) begin(b flow.Batch) {
	seen := make(map[string]bool)
	for i := range b.Changes {
		c := &b.Changes[i]
		k := indexID(c)
		if c.Op == flow.OpReread || c.Op == 0 {
			w.faultf("the sink was sent %s of %s", c.Op, k)
		}
		if seen[k] {
			w.faultf("%s twice in one write", k)
		}
		seen[k] = true
		if b.Snapshot {
			continue
		}
		if w.flying[k] {
			w.faultf("S2: %s in two writes at once", k)
		}
		w.flying[k] = true
		if c.Version < w.sent[k] {
			w.faultf("S2: %s was sent at %d after %d", k, c.Version, w.sent[k])
		}
		w.sent[k] = c.Version
		if w.written[k] >= c.Version {
			w.faultf("S1: %s was sent again at %d, which was settled", k, c.Version)
		}
	}
}

func (w *world) end(b flow.Batch) {
	if b.Snapshot {
		return
	}
	for i := range b.Changes {
		delete(w.flying, indexID(&b.Changes[i]))
	}
}

// apply does one change as Elasticsearch does, or fails at it.
func (w *world) apply(c *flow.Change) flow.Verdict {
	if c.Op == flow.OpSkip {
		return flow.Verdict{Outcome: flow.Done}
	}
	if w.chance() {
		return flow.Verdict{Outcome: flow.Retry, Reason: "rejected", Err: errors.New("queue is full")}
	}
	if c.Op == flow.OpWrite && w.poison[string(c.Doc)] {
		return flow.Verdict{Outcome: flow.DeadLetter, Reason: "mapping", Err: errors.New("bad field")}
	}
	k := indexID(c)
	old := w.index[k]
	if old != nil && old.doc == "" && time.Since(old.gone) > forgetAfter {
		old = nil
	}
	if old != nil && old.version > c.Version && !w.unversioned {
		return flow.Verdict{Outcome: flow.Superseded}
	}
	w.index[k] = &indexed{state{c.Version, string(c.Doc)}, time.Now()}
	if c.Op == flow.OpDelete {
		w.index[k].doc = ""
	}
	if w.chance() { // done, but the answer says otherwise
		return flow.Verdict{Outcome: flow.Retry, Reason: "timeout"}
	}
	return flow.Verdict{Outcome: flow.Done}
}

// Apply is the re-read: of the state at the batch's time or at any later one.
func (w *world) Apply(_ context.Context, b flow.Batch) (flow.Batch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chance() {
		return b, &flow.Error{Op: "find", Class: flow.Transient, Err: errors.New("no primary")}
	}
	after, err := flow.VersionOf(b.After)
	if err != nil {
		return b, err
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Op != flow.OpReread {
			continue
		}
		if c.Version > after {
			w.faultf("S8: a re-read of version %d at the time of %d", c.Version, after)
		}
		states := w.history[indexID(c)]
		seen := states[len(states)-1]
		for n := len(states) - 2; n >= 0 && states[n].version >= after && w.rnd.IntN(2) == 0; n-- {
			if states[n].version < seen.version { // a transaction is seen whole
				seen = states[n]
			}
		}
		switch doc := seen.doc; {
		case doc != "":
			c.Op, c.Doc = flow.OpWrite, bson.Raw(doc)
		case c.MissingIsDelete:
			c.Op = flow.OpDelete
		default:
			c.Op = flow.OpSkip
		}
	}
	return b, nil
}

// ack checks that what a batch brought is settled when it is acked.
func (w *world) ack(b flow.Batch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.faultf("a batch was acked with %v", err)
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Op != flow.OpSkip && w.settled[indexID(c)] < c.Version {
			w.faultf("S3: a batch was acked before %s@%d was settled", indexID(c), c.Version)
		}
	}
}

// check compares the index with the collection at the end.
func (w *world) check(snapshotVersion int64) {
	for k, states := range w.history {
		want := states[len(states)-1]
		have := w.index[k]
		switch {
		case w.poison[want.doc]:
			if w.letters.version(k) == 0 {
				w.faultf("S7: %s has no dead letter", k)
			}
		case w.letters.version(k) > snapshotVersion: // a snapshot's may come after newer changes
			w.faultf("S7: the dead letter of %s is still open", k)
		case want.doc == "" && have != nil && have.doc != "":
			w.faultf("S5: %s was deleted at %d and is there at %d: %q", k, want.version, have.version, have.doc)
		case want.doc != "" && (have == nil || have.doc != want.doc):
			w.faultf("%s is %v, want %v", k, have, want)
		}
	}
}

// numberIDs are one key in five types.
func keyID(k, form int) bson.RawValue {
	switch {
	case k%3 == 0:
		return idOf("key " + strconv.Itoa(k))
	case form == 0:
		return idOf(int32(k))
	case form == 1:
		return idOf(int64(k))
	case form == 2:
		return idOf(float64(k))
	}
	d, err := bson.ParseDecimal128(strconv.Itoa(k) + ".0")
	if err != nil {
		panic(err) // a test's own constant
	}
	return idOf(d)
}

// generate draws a history of few keys and the batches of its stream, and the
// snapshot of a moment in it.
func (w *world) generate(t *rapid.T) (stream, snapshot []flow.Batch, read bson.Timestamp) {
	keys := rapid.IntRange(1, 12).Draw(t, "keys")
	events := rapid.IntRange(0, 120).Draw(t, "events")
	moment := rapid.IntRange(0, events).Draw(t, "moment")
	space := []flow.Namespace{shop, {DB: "shop", Coll: "people"}}
	var b flow.Batch
	second := 1
	for n := range events {
		if n == moment {
			second++
			read = at(second)
			snapshot = w.snapshot(t, keys, second)
			second++ // what comes after the read has a later time
		}
		if rapid.IntRange(0, 3).Draw(t, "same second") > 0 {
			second++
		}
		// A source does not cut between changes of one time.
		if last := len(b.Changes) - 1; last >= 0 && b.Changes[last].Time != at(second) && rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
			stream = append(stream, batchOf(b.Changes...))
			b = flow.Batch{}
		}
		k := rapid.IntRange(0, keys-1).Draw(t, "key")
		c := flow.Change{
			NS: space[k%2], ID: keyID(k, rapid.IntRange(0, 3).Draw(t, "form")),
			Version: versionAt(second), Time: at(second),
		}
		doc := "doc " + strconv.Itoa(n)
		switch rapid.IntRange(0, 9).Draw(t, "op") {
		case 0, 1:
			c.Op, doc = flow.OpDelete, ""
		case 2, 3, 4:
			c.Op, c.MissingIsDelete = flow.OpReread, rapid.Bool().Draw(t, "filter")
		case 5:
			w.poison[doc] = true
			c.Op, c.Doc = flow.OpWrite, bson.Raw(doc)
		default:
			c.Op, c.Doc = flow.OpWrite, bson.Raw(doc)
		}
		id := indexID(&c)
		w.history[id] = append(w.history[id], state{c.Version, doc})
		b.Changes = append(b.Changes, c)
	}
	if len(b.Changes) > 0 {
		stream = append(stream, batchOf(b.Changes...))
	}
	markTransactions(stream)
	return stream, snapshot, read
}

// markTransactions makes changes of one time a transaction.
func markTransactions(stream []flow.Batch) {
	for i := range stream {
		changes := stream[i].Changes
		for j := 1; j < len(changes); j++ {
			if changes[j-1].Version == changes[j].Version {
				changes[j-1].Txn, changes[j].Txn = true, true
			}
		}
	}
}

// snapshot returns the documents of this moment in batches.
func (w *world) snapshot(t *rapid.T, keys, second int) (out []flow.Batch) {
	space := []flow.Namespace{shop, {DB: "shop", Coll: "people"}}
	for k := range keys {
		c := flow.Change{Op: flow.OpWrite, NS: space[k%2], ID: keyID(k, 0), Version: versionAt(second) - 1, Time: at(second)}
		id := indexID(&c)
		states := w.history[id]
		if len(states) == 0 && rapid.Bool().Draw(t, "old") {
			states = []state{{0, "old " + id}}
			w.history[id] = states
		}
		if len(states) == 0 || states[len(states)-1].doc == "" {
			continue
		}
		c.Doc = bson.Raw(states[len(states)-1].doc)
		b := batchOf(c)
		b.Snapshot, b.Low = true, at(second)
		out = append(out, b)
	}
	return out
}

func TestModel(t *testing.T) { testModel(t, false) }

// TestS2ModelWithoutVersions: the same where the engine has no versions (rule S2).
func TestS2ModelWithoutVersions(t *testing.T) { testModel(t, true) }

func testModel(t *testing.T, unversioned bool) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{
			rnd:     rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)),
			history: make(map[string][]state), poison: make(map[string]bool), index: make(map[string]*indexed),
			flying: make(map[string]bool), sent: make(map[string]int64), settled: make(map[string]int64),
			written: make(map[string]int64), unversioned: unversioned,
			trouble: rapid.SampledFrom([]int{0, 5, 30}).Draw(rt, "trouble"),
		}
		stream, snapshot, read := w.generate(rt)
		opts := Options{
			Unversioned:     unversioned,
			Lanes:           rapid.IntRange(1, 5).Draw(rt, "lanes"),
			SnapshotWriters: rapid.IntRange(1, 3).Draw(rt, "writers"),
			BatchBytes:      rapid.SampledFrom([]int{1, 100, 1 << 20}).Draw(rt, "batch"),
			BudgetBytes:     rapid.SampledFrom([]int64{4, 2000, 1 << 20}).Draw(rt, "budget"),
		}
		synctest.Test(t, func(*testing.T) { w.run(opts, stream, snapshot, read) })
		for _, f := range w.faults {
			rt.Error(f)
		}
	})
}

// run pumps everything and checks the end.
func (w *world) run(opts Options, stream, snapshot []flow.Batch, read bson.Timestamp) {
	rnd := rand.New(rand.NewPCG(w.rnd.Uint64(), 2))
	open := len(snapshot)
	var mu sync.Mutex
	late := func(most time.Duration) func(context.Context, int) error {
		return func(context.Context, int) error {
			mu.Lock()
			pause := time.Duration(rnd.Int64N(int64(most)))
			mu.Unlock()
			<-time.After(pause)
			return nil
		}
	}
	src := &fakeSource{batches: stream, onRead: late(time.Second)}
	src.onAck = func(i int, err error) { w.ack(stream[i], err) }
	snap := &fakeSource{batches: snapshot, onRead: late(5 * time.Minute)}
	snap.onAck = func(i int, err error) {
		w.ack(snapshot[i], err)
		mu.Lock()
		defer mu.Unlock()
		open--
	}
	opts.Stream, opts.Snapshot, opts.Reread, opts.Sink, opts.DeadLetters = src, snap, w, w, &w.letters
	opts.OldestOpen = func() (bson.Timestamp, bool) {
		mu.Lock()
		defer mu.Unlock()
		return read, open > 0
	}
	n := 0
	for _, b := range append(stream[:len(stream):len(stream)], snapshot...) {
		n += len(b.Changes)
	}
	p := New(opts)
	if err := p.Run(context.Background(), nil); err != nil {
		w.faultf("Run: %v", err)
	}
	for _, s := range []*fakeSource{src, snap} {
		for i := range s.batches {
			if got := len(s.acked(i)); got != 1 {
				w.faultf("S3: batch %d was acked %d times", i, got)
			}
		}
	}
	s := p.Status()
	if s.Read != int64(n) || s.Total.Sum() != int64(n) {
		w.faultf("S7: read %d, verdicts %d, want %d", s.Read, s.Total.Sum(), n)
	}
	if s.State != Idle || s.QueueBytes != 0 {
		w.faultf("at the end the pump is %s with %d bytes", s.State, s.QueueBytes)
	}
	low, _ := flow.VersionOf(read) // 0 without a snapshot
	w.check(max(low-1, 0))
}
