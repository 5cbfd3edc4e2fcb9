package mongo

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/time/rate"

	"sluice/internal/flow"
)

// copies are all copies under way. Source.mu guards the fields below it; the
// goroutines are one cutter and Parallel readers.
type copies struct {
	s     *Source
	out   chan page
	limit *rate.Limiter // nil without one

	order []*nsCopy
	// handed counts, by namespace, what Read has returned and nobody has acked.
	handed map[flow.Namespace]int
	leases map[*lease]struct{}
	// repairs are reads of some keys under way; paused namespaces wait for Resume,
	// and pauses is how many there are.
	repairs map[*nsCopy]struct{}
	paused  map[flow.Namespace]bool
	pauses  atomic.Int64
	err     error // for the next Read
	// yielding says why the stream goes first (rule S4); "" if it does not.
	yielding string
	// inFlight counts the bytes that were read and not acked, unsaved those that
	// were settled since the position was last saved; due asks for that.
	inFlight, unsaved int64
	due               chan struct{}
	// owedDocs and owedBytes were read since the pacer was last told.
	owedDocs  int
	owedBytes int64
	pacing    int // readers that wait for the rate
	// speed is in bytes; ended is what copies that have ended did since it was
	// last measured.
	speed speed
	ended float64
	// read and settled count documents of all copies of this run.
	read, settled int64
}

// lease is a read at a cluster time, from before the time was chosen until its
// batch is acked (rule S5).
type lease struct {
	low   bson.Timestamp
	bytes int64 // of its batch
}

func newCopies(s *Source) *copies {
	m := &copies{s: s, out: make(chan page), handed: map[flow.Namespace]int{}, leases: map[*lease]struct{}{}}
	m.due = make(chan struct{}, 1)
	m.repairs, m.paused = map[*nsCopy]struct{}{}, map[flow.Namespace]bool{}
	if r := s.opts.Snapshot.Rate; r > 0 {
		m.limit = rate.NewLimiter(rate.Limit(r), m.maxDocs()+1)
	}
	return m
}

// start starts the goroutines.
func (m *copies) start() {
	m.s.wg.Go(m.cutAll)
	for range m.s.opts.Snapshot.Parallel {
		m.s.wg.Go(m.readAll)
	}
}

// schedule adds a copy of ns, in place of one that is under way; mu is held.
func (m *copies) schedule(ns flow.Namespace, ghosts bool) {
	m.drop(ns)
	m.enqueue(m.newCopy(ns, ghosts))
	m.s.poke()
}

// restore adds the copy that a position describes; mu is held.
func (m *copies) restore(ns flow.Namespace, st *copyState) error {
	c := m.newCopy(ns, st.Ghosts)
	if err := c.takeOver(st); err != nil {
		return err
	}
	m.enqueue(c)
	return nil
}

// enqueue puts c into its place: behind all that are to be copied before it, or
// as soon, and with its like before those that have not begun if it has; mu is held.
func (m *copies) enqueue(c *nsCopy) {
	i := slices.IndexFunc(m.order, func(o *nsCopy) bool {
		return o.rank > c.rank || o.rank == c.rank && c.begun && !o.begun
	})
	if i < 0 {
		i = len(m.order)
	}
	m.order = slices.Insert(m.order, i, c)
}

func (m *copies) newCopy(ns flow.Namespace, ghosts bool) *nsCopy {
	c := &nsCopy{ns: ns, ghosts: ghosts, rank: m.s.sel.rank(ns), filter: m.s.sel.filter(ns), estimated: -1, majority: !m.s.caps.snapshot, held: m.paused[ns]}
	c.ctx, c.cancel = context.WithCancel(m.s.ctx)
	for _, known := range m.s.collections {
		if known.NS == ns {
			c.view = known.Kind == KindView
			c.majority = c.majority || known.Kind == KindCapped
		}
	}
	return c
}

// drop takes the copy of ns out, if there is one; mu is held.
func (m *copies) drop(ns flow.Namespace) {
	m.order = slices.DeleteFunc(m.order, func(c *nsCopy) bool {
		if c.ns == ns {
			c.dead = true
			c.cancel()
		}
		return c.ns == ns
	})
}

// dropRepairs ends the repairs of ns; mu is held.
func (m *copies) dropRepairs(ns flow.Namespace) {
	for c := range m.repairs {
		if c.ns == ns {
			c.dead = true
			c.cancel()
		}
	}
}

// abandonAll takes all copies out; mu is held.
func (m *copies) abandonAll() {
	for _, c := range slices.Clone(m.order) {
		m.drop(c.ns)
	}
}

// abandon takes the copy of ns out and waits until everything of it that was
// handed out is acked (rule S15).
func (m *copies) abandon(ctx context.Context, ns flow.Namespace) error {
	for {
		m.s.mu.Lock()
		m.drop(ns)
		m.dropRepairs(ns)
		open, changed := m.handed[ns], m.s.changed
		m.s.mu.Unlock()
		if open == 0 {
			return nil
		}
		if err := m.s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

// expectGhosts lets the copy of ns, if there is one, end with the removal of
// ghosts: the stream brings history from before it.
func (m *copies) expectGhosts(ns flow.Namespace) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if c := m.find(ns); c != nil {
		c.ghosts = true
	}
}

func (m *copies) find(ns flow.Namespace) *nsCopy {
	for _, c := range m.order {
		if c.ns == ns {
			return c
		}
	}
	return nil
}

// state is what the position keeps of the copy of ns; mu is held.
func (m *copies) state(ns flow.Namespace) *copyState {
	if c := m.find(ns); c != nil {
		return c.state()
	}
	return nil
}

// sweep drops chunks that have become final; mu is held.
func (m *copies) sweep() {
	passed := m.s.settledPassed()
	for _, c := range m.order {
		c.sweep(passed)
	}
}

// oldest is OldestOpen; mu is held.
func (m *copies) oldest() (low bson.Timestamp, open bool) {
	for l := range m.leases {
		if !open || l.low.Before(low) {
			low, open = l.low, true
		}
	}
	return low, open
}

// Read returns the next batch of documents or the next control. It may be
// called from several goroutines.
func (m *copies) Read(ctx context.Context) (flow.Batch, flow.Ack, error) {
	ctx, done := m.s.join(ctx)
	defer done()
	for {
		b, ack, changed, err := m.poll()
		if ack != nil || err != nil {
			return b, ack, err
		}
		select {
		case p := <-m.out:
			if ack := m.hand(p); ack != nil {
				return p.batch, ack, nil
			}
		case <-changed:
		case <-ctx.Done():
			if m.s.ctx.Err() != nil {
				return flow.Batch{}, nil, io.EOF
			}
			return flow.Batch{}, nil, context.Cause(ctx)
		}
	}
}

// poll returns what needs no waiting for, or what to wait for.
func (m *copies) poll() (flow.Batch, flow.Ack, <-chan struct{}, error) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if err := m.err; err != nil {
		m.err = nil
		return flow.Batch{}, nil, nil, err
	}
	if c := m.nextControl(); c != nil {
		b, ack := m.control(c)
		return b, ack, nil, nil
	}
	if m.s.over {
		return flow.Batch{}, nil, nil, io.EOF
	}
	return flow.Batch{}, nil, m.s.changed, nil
}

// nextControl returns a copy that begins or ends now. A few may begin ahead of
// the readers, so that these do not wait for an index to be made.
func (m *copies) nextControl() *nsCopy {
	for _, c := range m.order {
		if c.complete() {
			return c
		}
	}
	busy := 0 // of those that go before
	for _, c := range m.order {
		if busy > m.s.opts.Snapshot.Parallel {
			return nil
		}
		// Not before all that was handed out of an earlier copy of it is settled.
		if c.phase == phaseWaiting && !c.held && m.handed[c.ns] == 0 {
			return c
		}
		if c.phase == phaseBeginning || c.phase == phaseCopying && !c.cut {
			busy++
		}
	}
	return nil
}

// control hands out SnapshotBegin or SnapshotDone of c.
func (m *copies) control(c *nsCopy) (flow.Batch, flow.Ack) {
	ctl := &flow.Control{Kind: flow.ControlSnapshotBegin, NS: c.ns, Time: m.s.clock}
	was := c.phase
	c.phase = phaseBeginning
	if was != phaseWaiting {
		c.phase = phaseEnding
		*ctl = flow.Control{Kind: flow.ControlSnapshotDone, NS: c.ns, Time: c.pass, Ghosts: c.ghosts}
	}
	ctl.Version, _ = flow.VersionOf(ctl.Time) // documents with a bad time never came so far
	m.handed[c.ns]++
	return flow.Batch{Control: ctl, After: ctl.Time}, func(_ context.Context, err error) error {
		m.s.mu.Lock()
		defer m.s.mu.Unlock()
		m.acked(c.ns)
		switch {
		case err != nil:
			c.phase = was
		case was == phaseWaiting:
			c.phase = phaseCopying
			c.sweep(m.s.settledPassed())
		default:
			m.finish(c)
		}
		m.s.poke()
		return nil
	}
}

// finish ends a copy that is complete; mu is held.
func (m *copies) finish(c *nsCopy) {
	m.s.endTime = later(m.s.endTime, c.pass)
	m.ended += c.progressed()
	m.order = slices.DeleteFunc(m.order, func(o *nsCopy) bool { return o == c })
	c.cancel()
	if len(m.order) == 0 {
		m.s.lost = 0
	}
}

// acked counts one ack of ns; mu is held.
func (m *copies) acked(ns flow.Namespace) {
	if m.handed[ns]--; m.handed[ns] <= 0 {
		delete(m.handed, ns)
	}
}

// hand counts a page as handed out and returns its Ack; nil says that its copy
// was abandoned meanwhile.
func (m *copies) hand(p page) flow.Ack {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if p.copy.dead {
		m.let(p.lease)
		return nil
	}
	m.handed[p.copy.ns]++
	docs, bytes := int64(len(p.batch.Changes)), int64(p.batch.Bytes)
	return func(_ context.Context, err error) error {
		m.s.mu.Lock()
		defer m.s.mu.Unlock()
		m.acked(p.copy.ns)
		m.let(p.lease)
		p.chunk.open--
		if err != nil {
			p.chunk.failed = true
		} else {
			p.settle()
			p.copy.settled += docs
			p.copy.bytes += bytes
			p.chunk.settled += docs
			m.settled += docs
			m.keepSafe(bytes)
			p.copy.settleIfDone(p.chunk)
			p.copy.sweep(m.s.settledPassed())
		}
		if p.repaired != nil {
			p.repaired(err)
		}
		m.s.poke()
		return nil
	}
}

// fail lets the next Read return err.
func (m *copies) fail(err error) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.err = err
	m.s.poke()
}

// finished tells whether a run with Once is over for the stream, which has
// read up to passed.
func (s *Source) finished(passed bson.Timestamp) bool {
	if !s.opts.Once {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.copies.order) > 0 || passed.Before(s.endTime) || s.related.open() {
		return false
	}
	// Only now the copies end too: an event might have asked for another.
	s.over = true
	s.poke()
	return true
}

func sortNamespaces(all []flow.Namespace) {
	slices.SortFunc(all, func(a, b flow.Namespace) int { return strings.Compare(a.String(), b.String()) })
}
