package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// eventReply is one reply of a change stream.
type eventReply struct {
	raws  []bson.Raw // none: the server had nothing new
	token bson.Raw   // where the stream stands after it
	moved bool       // the cursor changed: it was opened again, or closed
	err   error
}

// fetching is a reply on its way. The change stream is its own until it is here.
type fetching struct {
	cancel context.CancelFunc
	done   chan eventReply
}

// fetch asks cs for the next reply. Only ctx ends the wait for it early.
func fetch(ctx context.Context, cs cursor) *fetching {
	ctx, cancel := context.WithCancel(ctx)
	f := &fetching{cancel: cancel, done: make(chan eventReply, 1)}
	go func() { f.done <- cs.next(ctx) }()
	return f
}

// wait returns the reply. With an error of ctx it is still on its way, and
// another wait goes on with it: a getMore that is given up eats events.
func (f *fetching) wait(ctx context.Context) (eventReply, error) {
	select {
	case r := <-f.done:
		f.cancel()
		return r, nil
	case <-ctx.Done():
		return eventReply{}, context.Cause(ctx)
	}
}

// drop gives the reply up, with its change stream, and waits for its end.
func (f *fetching) drop() {
	f.cancel()
	<-f.done
}

// next reads one reply, all events of it.
func (cs single) next(ctx context.Context) eventReply {
	cursor := cs.ID()
	got := cs.TryNext(ctx)
	r := eventReply{err: cs.Err()}
	if got {
		r.raws = append(make([]bson.Raw, 0, cs.RemainingBatchLength()+1), cs.Current)
		for cs.RemainingBatchLength() > 0 && cs.TryNext(ctx) {
			r.raws = append(r.raws, cs.Current)
		}
		r.err = cs.Err()
	}
	r.moved = cs.ID() != cursor
	r.token = cs.ResumeToken()
	return r
}
