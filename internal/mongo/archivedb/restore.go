package archivedb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// What one command of a restore takes, how many go on at once, and how many
// bytes of documents all of them have at hand.
const (
	restoreDocs   = 1000
	restoreBytes  = 4 << 20
	restoreLanes  = 3
	restoreMemory = 24 << 20
	restoreTries  = 6
)

// Restore puts documents back into ns, bit for bit, and never over another: it
// only inserts, with majority, and validators don't count. Each is read back
// and compared. The returns are in the order of docs; those of a repeated
// restore are Equal. Several commands go on at once, so many documents in one
// call are faster than few.
//
// ReplaceOlder also replaces a live document whose hash is among its
// Replaceable. FailConflict goes one command after the other and writes nothing
// more after the first document that is Conflicting or Duplicate; the error is
// then of class Conflict. After an error a Return without an outcome is of a
// document about which nothing is known; to restore it again does no harm.
func (db *DB) Restore(ctx context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error) {
	r := &homecoming{
		db: db, ns: ns, docs: docs, on: on, out: make([]cold.Return, len(docs)),
		coll: db.client.Database(ns.DB).Collection(ns.Coll, majorityBoth()),
	}
	if on == cold.FailConflict {
		return r.out, r.runStrict(ctx)
	}
	memory := semaphore.NewWeighted(restoreMemory)
	group, inside := errgroup.WithContext(ctx)
	group.SetLimit(restoreLanes)
	for b := range r.batches() {
		weight := min(int64(b.bytes), restoreMemory)
		if memory.Acquire(inside, weight) != nil {
			break // another batch has failed, or ctx ended: Wait tells
		}
		group.Go(func() error {
			defer memory.Release(weight)
			return r.run(inside, b)
		})
	}
	err := group.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r.out, err
}

// homecoming is one call of Restore.
type homecoming struct {
	db   *DB
	ns   flow.Namespace
	docs []cold.Homecoming
	on   cold.OnConflict
	coll *mongo.Collection
	out  []cold.Return
}

// batch is what one command takes: numbers of documents that all go by the same
// way.
type batch struct {
	way   way
	at    []int
	bytes int
	// inside: the command is part of a transaction.
	inside bool
}

// batches cuts the documents into batches of one way each.
func (r *homecoming) batches() func(yield func(batch) bool) {
	return func(yield func(batch) bool) {
		var open [ways]batch
		for i := range r.docs {
			w, reason := wayOf(r.docs[i])
			if reason != nil {
				r.out[i] = cold.Return{Returned: cold.Refused, Err: reason}
				continue
			}
			size := len(r.docs[i].Doc) + len(r.docs[i].ID.Value) + 64
			b := &open[w]
			if len(b.at) > 0 && (len(b.at) >= restoreDocs || b.bytes+size > restoreBytes) {
				if !yield(*b) {
					return
				}
				*b = batch{}
			}
			b.way, b.at, b.bytes = w, append(b.at, i), b.bytes+size
		}
		for _, b := range open {
			if len(b.at) > 0 && !yield(b) {
				return
			}
		}
	}
}

// run brings a batch home. What the server says is there and can't be read
// (deleted again, or not yet on a majority) is tried once more, as is all of it
// after the network failed.
func (r *homecoming) run(ctx context.Context, b batch) error {
	for try := 0; ; try++ {
		last := try+1 >= restoreTries
		errs, err := r.write(ctx, b, false)
		if err == nil {
			b.at, err = r.judge(ctx, b, errs, last)
		} else if ofDocument(err) {
			return r.apart(ctx, b, err, r.run)
		}
		if err == nil && len(b.at) == 0 {
			return nil
		}
		if err != nil && (last || ctx.Err() != nil || !restoreAgain(err)) {
			return source.Fault("restore to", r.ns.String(), err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// apart finds the document that makes the server refuse a whole command: it
// goes on with both halves, and a single one is refused.
func (r *homecoming) apart(ctx context.Context, b batch, reason error, run func(context.Context, batch) error) error {
	if len(b.at) == 1 {
		r.out[b.at[0]] = cold.Return{Returned: cold.Refused, Err: reason}
		return nil
	}
	half := len(b.at) / 2
	if err := run(ctx, batch{way: b.way, at: b.at[:half:half]}); err != nil {
		return err
	}
	return run(ctx, batch{way: b.way, at: b.at[half:]})
}

// restoreAgain tells whether a failed command may be sent again.
func restoreAgain(err error) bool {
	return hasLabel(err, labelRetry) || hasLabel(err, labelTransient) || mongo.IsNetworkError(err) ||
		flow.ClassOf(source.Fault("", "", err)) == flow.Transient
}

// judge reads the documents of a batch back and says what became of each. errs
// are the server's refusals, by the place in b. It returns those to try again,
// none at the last try.
func (r *homecoming) judge(ctx context.Context, b batch, errs map[int]mongo.WriteError, last bool) (again []int, err error) {
	live, err := r.readBack(ctx, b.at)
	if err != nil {
		return nil, err
	}
	for n, i := range b.at {
		refusal, refused := errs[n]
		ret := verdict(r.docs[i], live[n], refusal, refused)
		switch {
		case ret.Returned == "" && !last:
			again = append(again, i)
			continue
		case ret.Returned == "":
			ret = cold.Return{Returned: cold.Refused, Err: vanished(refused)}
		case ret.Returned == cold.Conflicting && r.on == cold.ReplaceOlder && live[n].replaceable(r.docs[i]):
			if ret, err = r.replace(ctx, i, live[n]); err != nil {
				return nil, err
			}
		}
		r.out[i] = ret
	}
	return again, nil
}

func vanished(refused bool) error {
	if refused {
		return errors.New("the server has another document with its _id, which can't be read yet")
	}
	return errors.New("it was inserted, and was deleted at once (by a TTL index?)")
}

// live is what a document that was read back is.
type live struct {
	there, equal bool
	doc          bson.Raw // only if it is not equal
}

func (l live) replaceable(h cold.Homecoming) bool {
	return slices.Contains(h.Replaceable, cold.Hash(sha256.Sum256(l.doc)))
}

// verdict says what became of a document; nothing if that can't be said yet.
func verdict(h cold.Homecoming, l live, refusal mongo.WriteError, refused bool) cold.Return {
	switch {
	case l.equal && !refused:
		return cold.Return{Returned: cold.Inserted}
	case l.equal:
		return cold.Return{Returned: cold.Equal}
	case l.there:
		return cold.Return{Returned: cold.Conflicting, Live: l.doc}
	case !refused:
		return cold.Return{}
	case refusal.Code != codeDuplicateKey:
		return cold.Return{Returned: cold.Refused, Err: fmt.Errorf("%s (%d)", refusal.Message, refusal.Code)}
	}
	if index := indexOf(refusal.Message); index != "" && index != "_id_" {
		return cold.Return{Returned: cold.Duplicate, Index: index, Err: fmt.Errorf("%s (%d)", refusal.Message, refusal.Code)}
	}
	return cold.Return{}
}

// runStrict is Restore with FailConflict: it looks before it writes, writes in
// order, and ends at the first conflict.
func (r *homecoming) runStrict(ctx context.Context) error {
	for b := range r.batches() {
		there, err := r.readBack(ctx, b.at)
		if err != nil {
			return source.Fault("restore to", r.ns.String(), err)
		}
		var missing []int
		for n, i := range b.at {
			switch {
			case there[n].equal:
				r.out[i] = cold.Return{Returned: cold.Equal}
			case there[n].there:
				r.out[i] = cold.Return{Returned: cold.Conflicting, Live: there[n].doc}
				return r.conflict(i)
			default:
				missing = append(missing, i)
			}
		}
		b.at = missing
		if err := r.runOrdered(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// runOrdered brings a batch home in order, up to the first conflict.
func (r *homecoming) runOrdered(ctx context.Context, b batch) error {
	for try := 0; len(b.at) > 0; try++ {
		last := try+1 >= restoreTries
		var again []int
		errs, err := r.write(ctx, b, true)
		tried := b.at
		for n := range errs { // one at most; what follows it was not tried
			tried = b.at[:n+1]
		}
		if err == nil {
			again, err = r.judge(ctx, batch{way: b.way, at: tried}, errs, last)
		} else if ofDocument(err) {
			return r.apart(ctx, b, err, r.runOrdered)
		}
		if err != nil && (last || ctx.Err() != nil || !restoreAgain(err)) {
			return source.Fault("restore to", r.ns.String(), err)
		}
		if err == nil {
			for _, i := range tried {
				if was := r.out[i].Returned; was == cold.Conflicting || was == cold.Duplicate {
					return r.conflict(i)
				}
			}
			b.at = append(again, b.at[len(tried):]...)
			if len(again) == 0 {
				try = -1
				continue
			}
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return nil
}

func (r *homecoming) conflict(i int) error {
	e := &flow.Error{
		Op: "restore to", Object: r.ns.String(), Class: flow.Conflict, Err: errors.New("another document with the same _id is live"),
		Hint: "keep the live documents, replace those that are archived versions, or restore to another collection",
	}
	if r.out[i].Returned == cold.Duplicate {
		e.Err = fmt.Errorf("the unique index %s has another document with the same values", r.out[i].Index)
	}
	return e
}
