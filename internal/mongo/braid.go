package mongo

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// cursor is a change stream, or what stands for one.
type cursor interface {
	// next reads one reply, all events of it.
	next(ctx context.Context) eventReply
	// ID is 0 when the server has closed it.
	ID() int64
	ResumeToken() bson.Raw
	SetBatchSize(n int32)
	Close(ctx context.Context) error
}

// single is one change stream.
type single struct{ *mongo.ChangeStream }

// braid makes one stream of several that are narrower, for who may not open the
// wide one. Its events come in the order of their times, each when every strand
// has got past its time, and its tokens are high-water marks, which fit any width.
type braid struct {
	strands []*strand
	// open opens a strand (again).
	open    func(ctx context.Context, sc scope, at mark) (cursor, error)
	sharded bool

	ctx    context.Context // of what is fetched
	cancel context.CancelFunc
	wg     sync.WaitGroup
	size   atomic.Int32
	bound  bson.Timestamp
}

// strand is one of them. All but done is its fetch's own while done is not nil.
type strand struct {
	scope scope
	cs    cursor
	fresh bool // the first TryNext after an open asks nothing
	// at is the time of the last token, sure that up to which all events came.
	at, sure bson.Timestamp
	over     bool // the server closed it, with an invalidate
	pending  []timed
	done     chan eventReply
}

// timed is an event with its time.
type timed struct {
	raw bson.Raw
	at  bson.Timestamp
}

// next waits for the strand that is furthest behind: no other can bring anything.
func (b *braid) next(ctx context.Context) eventReply {
	last := b.furthestBehind()
	for _, s := range b.strands {
		if s.done == nil && (s == last || len(s.pending) == 0) {
			s.done = make(chan eventReply, 1)
			b.wg.Go(func() { s.done <- b.read(s) })
		}
	}
	select {
	case r := <-last.done:
		if err := b.take(last, r); err != nil {
			return eventReply{err: err}
		}
	case <-ctx.Done():
		return eventReply{err: context.Cause(ctx)}
	}
	for _, s := range b.strands {
		if s.done == nil {
			continue
		}
		select {
		case r := <-s.done:
			if err := b.take(s, r); err != nil {
				return eventReply{err: err}
			}
		default:
		}
	}
	return b.weave()
}

func (b *braid) furthestBehind() *strand {
	return slices.MinFunc(b.strands, func(x, y *strand) int { return x.sure.Compare(y.sure) })
}

// read fetches one reply of s.
func (b *braid) read(s *strand) eventReply {
	if s.over {
		cs, err := b.open(b.ctx, s.scope, markAfter(s.sure))
		if err != nil {
			return eventReply{err: err}
		}
		s.cs, s.fresh, s.over = cs, true, false
	}
	s.cs.SetBatchSize(b.size.Load())
	r := s.cs.next(b.ctx)
	if s.fresh && r.err == nil && len(r.raws) == 0 && s.cs.ID() != 0 {
		r = s.cs.next(b.ctx)
	}
	s.fresh = false
	return r
}

// take notes what a reply brings, and how far it makes sure.
func (b *braid) take(s *strand, r eventReply) error {
	s.done = nil
	if r.err != nil {
		return r.err
	}
	var invalid bson.Timestamp
	for _, raw := range r.raws {
		var e event
		if err := e.parse(raw); err != nil {
			return unreadable(err)
		}
		if e.kind == kindInvalidate { // that of one strand ends no other
			invalid = e.time
			continue
		}
		s.pending = append(s.pending, timed{raw, e.time})
	}
	end, ok := readToken(r.token)
	if !ok {
		return unreadable(errBSON)
	}
	sure := before(end.time)
	if !b.sharded && (end.high && end.time.After(s.at) || !end.high && len(r.raws) == 0) {
		sure = end.time // see stream.passed
	}
	s.at, s.sure = end.time, later(later(s.sure, sure), invalid)
	s.over = s.cs.ID() == 0
	return nil
}

// weave returns all events that no strand can bring an earlier one than.
func (b *braid) weave() eventReply {
	b.bound = later(b.bound, b.furthestBehind().sure)
	var out []timed
	for _, s := range b.strands {
		n := 0
		for n < len(s.pending) && !s.pending[n].at.After(b.bound) {
			n++
		}
		out = append(out, s.pending[:n]...)
		s.pending = slices.Clone(s.pending[n:])
	}
	slices.SortStableFunc(out, func(x, y timed) int { return x.at.Compare(y.at) })
	r := eventReply{token: b.ResumeToken()}
	for _, e := range out {
		r.raws = append(r.raws, e.raw)
	}
	return r
}

// ID is never 0: a strand that the server closed is opened again.
func (b *braid) ID() int64 { return 1 }

// ResumeToken is a high-water mark: everything up to the bound was returned.
func (b *braid) ResumeToken() bson.Raw { return markAfter(b.bound).token }

// SetBatchSize counts from the next reply of each strand on.
func (b *braid) SetBatchSize(n int32) { b.size.Store(n) }

// Close ends all strands.
func (b *braid) Close(ctx context.Context) error {
	b.cancel()
	b.wg.Wait()
	var first error
	for _, s := range b.strands {
		first = cmp.Or(first, s.cs.Close(ctx))
	}
	return first
}

// markAfter is the high-water mark after t.
func markAfter(t bson.Timestamp) mark {
	token, _ := bson.Marshal(bson.D{{Key: "_data", Value: TokenAfter(t)}}) // a text: it can't fail
	m, _ := markAt(token)
	m.passed = t
	return m
}
