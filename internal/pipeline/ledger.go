package pipeline

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/flow"
)

// verdict is a final flow.Outcome, or folded.
type verdict uint8

// folded: a later change of the key took this one's place before it was sent.
const folded verdict = 0xff

func (v verdict) String() string {
	if v == folded {
		return "folded"
	}
	return flow.Outcome(v).String()
}

// entryKey is what final verdicts are counted by.
type entryKey struct {
	ns      flow.Namespace
	op      flow.Op
	verdict verdict
}

// entry counts the changes and their bytes of one entryKey.
type entry struct {
	docs, bytes          atomic.Int64
	docsTotal, byteTotal prometheus.Counter
}

// ledger counts every change that was read and every final verdict; when all
// is settled, both sums are equal (rule S7).
type ledger struct {
	metrics *Metrics
	read    atomic.Int64
	mu      sync.RWMutex
	entries map[entryKey]*entry
}

func newLedger(m *Metrics) *ledger {
	return &ledger{metrics: m, entries: make(map[entryKey]*entry)}
}

// entry returns the entry of k.
func (l *ledger) entry(k entryKey) *entry {
	l.mu.RLock()
	e := l.entries[k]
	l.mu.RUnlock()
	if e != nil {
		return e
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e = l.entries[k]; e != nil {
		return e
	}
	e = &entry{}
	if l.metrics != nil {
		labels := []string{k.ns.String(), k.op.String(), k.verdict.String()}
		e.docsTotal = l.metrics.docs.WithLabelValues(labels...)
		e.byteTotal = l.metrics.bytes.WithLabelValues(labels...)
	}
	l.entries[k] = e
	return e
}

// add counts docs changes of bytes in all.
func (e *entry) add(docs, bytes int) {
	e.docs.Add(int64(docs))
	e.bytes.Add(int64(bytes))
	if e.docsTotal != nil {
		e.docsTotal.Add(float64(docs))
		e.byteTotal.Add(float64(bytes))
	}
}

// Counts are final verdicts of changes.
type Counts struct {
	Done       int64 `json:"done"`
	Superseded int64 `json:"superseded"`
	DeadLetter int64 `json:"dead_letter"`
	Folded     int64 `json:"folded"`
	// Bytes is the BSON of all of them.
	Bytes int64 `json:"bytes"`
}

// Sum returns the number of changes.
func (c Counts) Sum() int64 { return c.Done + c.Superseded + c.DeadLetter + c.Folded }

func (c *Counts) add(v verdict, docs, bytes int64) {
	switch v {
	case verdict(flow.Done):
		c.Done += docs
	case verdict(flow.Superseded):
		c.Superseded += docs
	case verdict(flow.DeadLetter):
		c.DeadLetter += docs
	case folded:
		c.Folded += docs
	}
	c.Bytes += bytes
}

// counts returns the sums by namespace and of all.
func (l *ledger) counts() (total Counts, byNS map[string]Counts) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	byNS = make(map[string]Counts)
	for k, e := range l.entries {
		docs, bytes := e.docs.Load(), e.bytes.Load()
		total.add(k.verdict, docs, bytes)
		c := byNS[k.ns.String()]
		c.add(k.verdict, docs, bytes)
		byNS[k.ns.String()] = c
	}
	return total, byNS
}

// tally gathers the verdicts of one batch for the ledger: one goroutine's own,
// so that counting costs a comparison per change as long as neighbours are alike.
type tally struct {
	ledger *ledger
	known  map[entryKey]*sum
	last   *sum
	key    entryKey
	dirty  []*sum
}

// sum is what a tally holds for one entry.
type sum struct {
	key         entryKey
	entry       *entry
	docs, bytes int
}

func newTally(l *ledger) *tally { return &tally{ledger: l, known: make(map[entryKey]*sum)} }

// add counts one change.
func (t *tally) add(c *flow.Change, v verdict) {
	if t.last == nil || t.key.verdict != v || t.key.op != c.Op || t.key.ns != c.NS {
		t.turn(entryKey{c.NS, c.Op, v})
	}
	t.last.docs++
	t.last.bytes += size(c)
}

func (t *tally) turn(k entryKey) {
	s := t.known[k]
	if s == nil {
		s = &sum{key: k, entry: t.ledger.entry(k)}
		t.known[k] = s
	}
	if s.docs == 0 {
		t.dirty = append(t.dirty, s)
	}
	t.last, t.key = s, k
}

// flush moves what was gathered into the ledger, after showing each part to see.
func (t *tally) flush(see func(ns flow.Namespace, v verdict, docs int)) {
	for _, s := range t.dirty {
		if see != nil {
			see(s.key.ns, s.key.verdict, s.docs)
		}
		s.entry.add(s.docs, s.bytes)
		s.docs, s.bytes = 0, 0
	}
	t.dirty = t.dirty[:0]
	t.last = nil
}

// size is the BSON of a change.
func size(c *flow.Change) int { return len(c.Doc) + len(c.ID.Value) + len(c.Key) }
