package mongo

import (
	"context"
	"log/slog"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// maxStrands bounds the streams that one braid is made of: each costs the server
// as much as a wide one.
const maxStrands = 32

// openBraid opens narrower streams instead of the one that was denied; with
// an error that is not about rights, or where none of them is left to try, it
// returns err or that error.
func (st *stream) openBraid(ctx context.Context, denied error) (*braid, error) {
	at := st.at
	if at.token != nil && !at.high {
		at = mark{time: at.time, passed: before(at.time)} // that event is hidden from most of them
	}
	b := &braid{open: st.watchScope, sharded: st.s.caps.sharded}
	b.ctx, b.cancel = context.WithCancel(st.s.ctx)
	scopes := st.s.sel.narrower(st.s.scope)
	if scopes == nil {
		return nil, denied
	}
	for i := 0; i < len(scopes); i++ {
		cs, err := st.watchScope(ctx, scopes[i], at)
		if code, _ := codeOf(err); code == 13 {
			parts := st.s.sel.narrower(scopes[i])
			if parts != nil && len(scopes)+len(parts) <= maxStrands {
				scopes = slices.Replace(scopes, i, i+1, parts...)
				i--
				continue
			}
			err = denied
		}
		if err != nil {
			_ = b.Close(ctx)
			return nil, err
		}
		if m, ok := markAt(cs.ResumeToken()); ok && at.token == nil && at.time.IsZero() {
			at = m // all of them start where the first one does
		}
		b.strands = append(b.strands, &strand{scope: scopes[i], cs: cs, fresh: true, at: at.time, sure: before(at.time)})
	}
	b.bound = before(at.time)
	st.at = at
	if !st.braided {
		st.s.log.Info("the user may not open a change stream that is wide enough; narrower ones take its place", slog.Int("streams", len(scopes)))
	}
	st.braided = true
	return b, nil
}

// watchScope opens a stream of a scope at a mark; a zero one is now.
func (st *stream) watchScope(ctx context.Context, sc scope, at mark) (cursor, error) {
	o := options.ChangeStream().SetBatchSize(0).SetMaxAwaitTime(maxAwait)
	if sc.expanded {
		o.SetShowExpandedEvents(true)
	}
	st.askBefore(o)
	switch {
	case at.token != nil && at.invalidate:
		o.SetStartAfter(at.token)
	case at.token != nil:
		o.SetResumeAfter(at.token)
	case !at.time.IsZero():
		o.SetStartAtOperationTime(&at.time)
	}
	var cs *mongo.ChangeStream
	var err error
	switch pipeline := sc.pipeline(st.slim); sc.level {
	case levelCollection:
		cs, err = st.s.client.Database(sc.db).Collection(sc.coll).Watch(ctx, pipeline, o)
	case levelDatabase:
		cs, err = st.s.client.Database(sc.db).Watch(ctx, pipeline, o)
	default:
		cs, err = st.s.client.Watch(ctx, pipeline, o)
	}
	if err != nil {
		return nil, err
	}
	return single{cs}, nil
}

// narrower returns the scopes one level below sc that together cover the same;
// nil if there are none.
func (s selection) narrower(sc scope) []scope {
	var parts [][]pattern
	switch sc.level {
	case levelDeployment:
		for _, db := range databasesOf(s.seen()) {
			parts = append(parts, s.inDatabase(db))
		}
	case levelDatabase:
		for _, p := range s.inDatabase(sc.db) {
			if !p.plain() {
				return nil
			}
			parts = append(parts, []pattern{p})
		}
	}
	var scopes []scope
	for _, p := range parts {
		scopes = append(scopes, selection{include: p, exclude: s.exclude, reserved: s.reserved}.scope(sc.expanded))
	}
	return scopes
}

// inDatabase returns the patterns of a database whose events are to come, each once.
func (s selection) inDatabase(db string) []pattern {
	var out []pattern
	for _, p := range s.seen() {
		if p.re == nil && p.db == db && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
