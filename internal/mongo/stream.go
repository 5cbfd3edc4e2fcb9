package mongo

import (
	"context"
	"io"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// maxAwait is how long the server holds an empty reply back. It bounds the
// time for which the last transaction of a quiet stream is held, and the age of
// the position.
const maxAwait = 300 * time.Millisecond

// replyEvents is the most events that one reply brings. The server fills 16 MB
// without it: then a reply or two take the whole budget of the pump, and reading
// stops until they are written. Fewer than some thousand cost the server more.
const replyEvents = 4000

// replyBytes is how large the replies of a busy stream should be: much larger
// ones are hardly faster, and each is kept alive until its last change is settled.
const replyBytes = 4 << 20

// stream reads the one change stream of a source. One goroutine reads it.
type stream struct {
	s *Source

	rmu sync.Mutex // held by Read and close: all fields below but tracker
	cs  cursor
	// braided: cs is a braid.
	braided bool
	// next is the reply that is being fetched; cs is its own until it is here.
	next *fetching
	// fresh: the first TryNext after an open asks the server nothing.
	fresh bool
	// at is where the stream is opened (again): after the last event that was
	// queued. Held events lie after it.
	at     mark
	hold   hold
	queue  []item
	events []event // scratch
	seen   map[flow.Namespace]string
	names  map[string]*target

	slim bool // documents are projected away, for one too large
	// size is about how large an event is, in bytes.
	size float64
	// relist: history was lost, and what exists now is to be copied again.
	relist   bool
	proven   bool
	failures failures

	tmu     sync.Mutex
	tracker *checkpoint.Tracker[mark]
}

// item is one batch to return, with what its ack does.
type item struct {
	batch flow.Batch
	mark  mark
	// before runs before the batch is returned, onAck with the ack, under mu.
	before func(ctx context.Context) error
	onAck  func()
}

// target is what is known of the namespace of an event.
type target struct {
	ns       flow.Namespace
	followed bool
	filtered bool
	// related are the relations by which others show documents of it.
	related []*relation
}

func newStream(s *Source) *stream {
	return &stream{s: s, seen: map[flow.Namespace]string{}, names: map[string]*target{}, tracker: new(checkpoint.Tracker[mark])}
}

// startAt says where the stream is to be opened.
func (st *stream) startAt(m mark) { st.at = m }

// know tells of a collection that exists where the stream starts.
func (st *stream) know(ns flow.Namespace, uuid string) { st.seen[ns] = uuid }

// low returns the mark of all that is settled; false until the start is proven.
func (st *stream) low() (mark, bool) {
	st.tmu.Lock()
	t := st.tracker
	st.tmu.Unlock()
	return t.Low()
}

func (st *stream) add(m mark) (settle func()) {
	st.tmu.Lock()
	t := st.tracker
	st.tmu.Unlock()
	return t.Add(m)
}

// openFirst opens the stream for the first time.
func (st *stream) openFirst(ctx context.Context) error {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	if st.s.sel.streamed.none {
		return st.beIdle(ctx)
	}
	for st.cs == nil {
		if err := st.open(ctx); err != nil {
			if err := st.failed(ctx, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// open opens the stream at st.at; a zero one is now.
func (st *stream) open(ctx context.Context) error {
	now := st.at.token == nil && st.at.time.IsZero()
	cs, err := st.openCursor(ctx)
	if err != nil {
		return err
	}
	cs.SetBatchSize(replyEvents)
	st.cs, st.fresh = cs, true
	cs.SetBatchSize(st.batchSize())
	if !now {
		return nil
	}
	m, ok := markAt(cs.ResumeToken())
	if !ok {
		return &flow.Error{
			Op: "open the change stream of", Object: st.s.uri, Class: flow.Config,
			Err: errBSON, Hint: "the server gives no resume token that sluice can read, as services do that only speak MongoDB's protocol, Amazon DocumentDB among them; " +
				"without the time in it nothing joins the copy to the stream",
		}
	}
	st.at = m
	if !st.relist { // it starts at what is now: there is nothing to prove
		st.prove()
	}
	return nil
}

// prove makes the start the first settled position.
func (st *stream) prove() {
	if !st.proven {
		st.proven = true
		st.add(st.at)()
	}
}

// openCursor opens one stream, or as many as it takes for who may not open it.
func (st *stream) openCursor(ctx context.Context) (cursor, error) {
	cs, err := st.watchScope(ctx, st.s.scope, st.at)
	if code, _ := codeOf(err); code == 13 {
		b, err := st.openBraid(ctx, err)
		if err != nil {
			return nil, err
		}
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	st.braided = false
	return cs, nil
}

// close ends the stream at the server, if it is open.
func (st *stream) close(ctx context.Context) {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	st.shut(ctx)
}

// shut closes the cursor. What was held or fetched ahead comes again when the
// stream is opened.
func (st *stream) shut(ctx context.Context) {
	st.hold.take()
	if st.next != nil {
		st.next.drop()
		st.next = nil
	}
	if st.cs == nil {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	_ = st.cs.Close(ctx) // the server forgets an idle cursor anyway
	st.cs = nil
}

// Read returns the next batch of changes, or one control (rule S15). Batches
// that only move the position are settled here and not returned.
func (st *stream) Read(ctx context.Context) (flow.Batch, flow.Ack, error) {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	ctx, done := st.s.join(ctx)
	defer done()
	for {
		if len(st.queue) > 0 {
			it := st.queue[0]
			if it.before != nil {
				if err := it.before(ctx); err != nil {
					return flow.Batch{}, nil, err
				}
			}
			st.queue[0] = item{}
			st.queue = st.queue[1:]
			if it.batch.Control == nil && len(it.batch.Changes) == 0 {
				st.settle(it, st.add(it.mark))
				continue
			}
			return it.batch, st.ack(it), nil
		}
		st.queue = nil
		if st.s.ctx.Err() != nil || st.s.finished(st.at.passed) {
			return flow.Batch{}, nil, io.EOF
		}
		if err := st.fill(ctx); err != nil {
			return flow.Batch{}, nil, err
		}
	}
}

// ack returns the Ack of it. Its place in the tracker is taken now, in order.
func (st *stream) ack(it item) flow.Ack {
	settle := st.add(it.mark)
	onAck := it.onAck
	return func(_ context.Context, err error) error {
		if err == nil {
			st.settle(item{onAck: onAck}, settle)
		}
		return nil
	}
}

// settle moves the position together with what the item changes in it.
func (st *stream) settle(it item, settle func()) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	settle()
	if it.onAck != nil {
		it.onAck()
	}
	s.copies.sweep()
	s.poke()
}

// fill reads one reply into the queue.
func (st *stream) fill(ctx context.Context) error {
	if st.s.sel.streamed.none {
		return st.idle(ctx)
	}
	if st.cs == nil {
		if err := st.open(ctx); err != nil {
			return st.failed(ctx, err)
		}
	}
	if st.relist {
		if err := st.recopy(ctx); err != nil {
			return st.failed(ctx, err)
		}
	}
	if st.next == nil {
		if st.cs.ID() == 0 { // the server closed it: what came last was an invalidate
			st.shut(ctx)
			return nil
		}
		st.next = fetch(st.s.ctx, st.cs)
	}
	r, err := st.next.wait(ctx)
	if err != nil {
		return err
	}
	st.next = nil
	if r.err != nil {
		return st.failed(ctx, r.err)
	}
	fresh := st.fresh
	st.fresh = false
	if len(r.raws) == 0 && (fresh || r.moved) {
		// Nothing was asked: the stream was just opened, by us or by the driver
		// (which says so by another cursor), or the server closed it.
		return nil
	}
	st.prove()
	st.failures.clear()
	return st.take(ctx, r)
}

// take queues what a reply brings. After one with events the server is asked for
// the next while this one is worked on: it needs as long to find them.
func (st *stream) take(ctx context.Context, r eventReply) error {
	got := len(r.raws) > 0
	if got {
		st.weigh(r.raws)
	}
	if got && !st.slim && st.cs.ID() != 0 {
		st.next = fetch(st.s.ctx, st.cs)
	}
	if err := st.queueUp(r); err != nil {
		return st.failed(ctx, err)
	}
	if st.slim && got {
		// The large event is behind us, or the next try finds it again.
		st.slim = false
		st.shut(ctx)
	}
	return nil
}

// queueUp parses a reply, with what was held before it, and queues its batches.
func (st *stream) queueUp(r eventReply) error {
	got := len(r.raws) > 0
	raws := append(st.hold.take(), r.raws...)
	if err := st.parse(raws); err != nil {
		return err
	}
	end, ok := markAt(r.token)
	if !ok {
		return unreadable(errBSON)
	}
	end.passed = st.passed(end, got)
	events := st.events
	if got {
		if n := openTail(events, end.time); n > 0 {
			st.hold.add(events[len(events)-n:])
			events = events[:len(events)-n]
			st.s.opts.Metrics.heldOne()
			end = mark{} // the position stays before what is held
		}
	}
	err := st.sort(events, end)
	clear(st.events) // so that nothing keeps the reply once its batch is settled
	return err
}

// weigh keeps the size of events, and with it that of replies. Nothing is being
// fetched meanwhile.
func (st *stream) weigh(raws []bson.Raw) {
	bytes := 0
	for _, r := range raws {
		bytes += len(r)
	}
	was := st.batchSize()
	size := float64(bytes) / float64(len(raws))
	if st.size == 0 {
		st.size = size
	}
	st.size += (size - st.size) / 4
	if n := st.batchSize(); n > was*5/4 || n < was*4/5 {
		st.cs.SetBatchSize(n)
	}
}

// batchSize is how many events make a reply of replyBytes.
func (st *stream) batchSize() int32 {
	size := st.size
	if size <= 0 {
		size = defaultDocSize
	}
	return int32(min(max(replyBytes/size, 100), 20_000))
}

// parse fills st.events.
func (st *stream) parse(raws []bson.Raw) error {
	st.events = st.events[:0]
	for _, r := range raws {
		var e event
		if err := e.parse(r); err != nil {
			return unreadable(err)
		}
		st.events = append(st.events, e)
	}
	return nil
}

// passed returns the time up to which all events lie before the mark at the
// end of a reply. On a replica set, a reply that leaves us at a new high-water
// mark says that the server has read its oplog up to that time, inclusive, and
// an empty one after an event that there is no more of the event's time. A
// high-water mark that did not move says nothing: it may lie in the future, as
// the first one does. On a sharded cluster another shard may add events of the
// same time.
func (st *stream) passed(end mark, got bool) bson.Timestamp {
	sure := before(end.time)
	if !st.s.caps.sharded && !st.braided && (end.high && end.time.After(st.at.time) || !end.high && !got) {
		sure = end.time
	}
	return later(st.at.passed, sure)
}
