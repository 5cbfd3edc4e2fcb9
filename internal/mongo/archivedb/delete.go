package archivedb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// What one transaction may take. The server's limit is the time that it is
// open, as it blocks whoever writes to the same documents.
const (
	deleteDocs     = 1000
	deleteBytes    = 64 << 20
	deleteKeyBytes = 8 << 20
	deleteTime     = 5 * time.Second
)

// How long Delete tries: a document that others hold, and all else that passes.
const (
	conflictsInARow = 2
	singleConflicts = 8
	deletePatience  = time.Minute
)

// Deletion deletes the documents of one pack from MongoDB, each only if it
// still is what was archived (rule A3), under the lease (rule A2), by a session
// that the ledger knows (rule A5). It is for one goroutine.
type Deletion struct {
	db    *DB
	guard cold.Guard
	docs  *mongo.Collection
	// session is ours alone: Close does not give it back to the driver's pool,
	// so that no delete of anything else ever carries its lsid.
	session *mongo.Session
	id      bson.Binary
	age     bson.D
	// size is how many documents the next transaction takes, most how many it
	// may grow to (less when they are large), for calm transactions so far.
	size, most, calm int
}

// Begin prepares the deletes of a pack: it takes a session and writes the
// ledger's row for it, with majority, before anything is deleted. The pack's
// manifest must be committed. Without transactions it refuses a collection with
// a default collation, which would take documents for equal that are not. Who
// calls it calls Close.
func (db *DB) Begin(ctx context.Context, g cold.Guard) (*Deletion, error) {
	ns := g.Selection.NS
	if !g.Transactions {
		if err := db.refuseCollation(ctx, ns); err != nil {
			return nil, err
		}
	}
	session, err := db.client.StartSession()
	if err != nil {
		return nil, source.Fault("start a session to delete from", ns.String(), err)
	}
	d := &Deletion{
		db: db, guard: g, session: session, size: deleteDocs, most: deleteDocs,
		docs: db.client.Database(ns.DB).Collection(ns.Coll, majorityBoth()),
		age:  predicate(g.Selection, cold.Bounds{}),
	}
	subtype, data, ok := session.ID().Lookup("id").BinaryOK()
	if !ok {
		return nil, d.fault(flow.Fatal, errors.New("the driver's session has no id"))
	}
	d.id = bson.Binary{Subtype: subtype, Data: data}
	// A transaction that has to create a collection conflicts with others.
	_ = db.own.CreateCollection(ctx, exceptionsColl)
	if !g.Transactions {
		return d, nil // each batch has a row of its own
	}
	if err := db.putLedger(ctx, d.ledgerRow(d.id)); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Deletion) ledgerRow(id bson.Binary) cold.LedgerRow {
	return cold.LedgerRow{
		ID: id, NS: d.guard.Selection.NS.String(), Rule: d.guard.Pack.Rule, Pack: d.guard.Pack.ID,
		Object: d.guard.Object, At: time.Now().UTC(),
	}
}

// Close ends the session at the server. It never goes back to the driver's pool.
func (d *Deletion) Close(ctx context.Context) error {
	d.abort(ctx)
	// The server forgets idle sessions by itself; an error here harms nothing.
	_ = d.db.client.Database("admin").RunCommand(ctx, bson.D{{Key: "endSessions", Value: bson.A{d.session.ID()}}}).Err()
	return nil
}

// Delete deletes those of doomed that are what was archived, and returns what
// became of each. next is how many entries of the pack, in the order of
// deletion, have an outcome so far; doomed are those that follow. It takes them
// in one transaction of up to 1,000 documents and 64 MB, in several if there are
// more or if others write to them at the same time. Each transaction also moves
// the beat of the lease, the pack's next and counts, and writes the exceptions.
//
// Without transactions the documents go one by one, by a filter that holds the
// whole document: what that can't see, and what it can't know, is told at
// deletePlain and held by TestA3WithoutTransactionsIsBlindTo.
//
// With an error the fates that it returns are still true: those of the first
// ones of doomed. The lease lost, or a pack that is at another entry, is of
// class Conflict; then, and whenever the outcome of a commit could not be
// learned, the row of the pack tells how far it is.
func (d *Deletion) Delete(ctx context.Context, next int, doomed []cold.Doomed) ([]cold.Fate, error) {
	if !d.guard.Transactions {
		return d.deletePlain(ctx, next, doomed)
	}
	fates := make([]cold.Fate, 0, len(doomed))
	var p patience
	for len(fates) < len(doomed) {
		batch := fitting(doomed[len(fates):], d.size)
		part, err := d.transact(ctx, next+len(fates), batch, false)
		if err != nil {
			part, err = d.afterTrouble(ctx, &p, next+len(fates), batch, err)
		}
		if err != nil {
			return fates, err
		}
		if len(part) > 0 {
			fates = append(fates, part...)
			d.grow()
			p = patience{}
		}
	}
	return fates, nil
}

// grow lets the next transaction be larger after one that went well.
func (d *Deletion) grow() {
	if d.calm++; d.calm >= 16 {
		d.calm, d.most = 0, min(2*d.most, deleteDocs)
	}
	d.size = min(2*d.size, d.most)
}

// fitting takes the first of doomed whose keys fit into one command.
func fitting(doomed []cold.Doomed, most int) []cold.Doomed {
	bytes := 0
	for i := range doomed {
		bytes += len(doomed[i].ID.Value) + len(doomed[i].Key) + 16
		if i >= most || i > 0 && bytes > deleteKeyBytes {
			return doomed[:i]
		}
	}
	return doomed
}

// patience counts what went wrong since something went well.
type patience struct {
	since     time.Time
	conflicts int // of documents, since the batch was cut
	all       int
}

// afterTrouble decides how to go on after a transaction that did not commit: by
// another try (no fates, no error), with fewer documents, without the one
// document that others hold, or not at all.
func (d *Deletion) afterTrouble(ctx context.Context, p *patience, next int, batch []cold.Doomed, err error) ([]cold.Fate, error) {
	var t *trouble
	if ctx.Err() != nil || !errors.As(err, &t) {
		return nil, err
	}
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
	}
	if now.Sub(p.since) > deletePatience {
		return nil, source.Fault("delete from", d.object(), t.err)
	}
	p.all++
	wait := p.all
	switch t.kind {
	case tooLarge:
		d.size, d.calm = max(1, t.fits), 0
		d.most = d.size
		return nil, nil
	case contested:
		p.conflicts++
		wait = min(p.all, 4)
		if len(batch) == 1 && p.conflicts >= singleConflicts {
			return d.spare(ctx, next, batch)
		}
		if len(batch) > 1 && p.conflicts >= conflictsInARow {
			d.size, p.conflicts = len(batch)/2, 0
		}
	case tooSlow:
		d.size = max(1, len(batch)/2)
	case passing:
	}
	return nil, pause(ctx, wait)
}

// spare leaves a document where it is which others hold for so long that a
// transaction never gets it. It counts as changed: a later run takes it again.
func (d *Deletion) spare(ctx context.Context, next int, batch []cold.Doomed) ([]cold.Fate, error) {
	fates, err := d.transact(ctx, next, batch, true)
	if err == nil && fates[0].Outcome == cold.Changed {
		d.db.log.Warn("a document is left for a later run", flow.LogNS, d.object(), "pack", d.guard.Pack.ID,
			"entry", batch[0].Entry, flow.LogReason, "others write to it again and again, or hold it in a transaction")
	}
	var t *trouble
	if errors.As(err, &t) {
		return nil, pause(ctx, singleConflicts)
	}
	return fates, err
}

func (d *Deletion) object() string { return d.guard.Selection.NS.String() }

// denied is the error of a delete; if the right to it is missing, that is named.
func (d *Deletion) denied(err error) error {
	ns := d.guard.Selection.NS
	return d.db.explained("delete from", ns, err, right{ns.DB, ns.Coll, "remove"})
}

func (d *Deletion) fault(class flow.Class, err error) error {
	return &flow.Error{Op: "delete from", Object: d.object(), Class: class, Err: err}
}

// pause waits for a short time, longer with each try, and never the same.
func pause(ctx context.Context, try int) error {
	most := min(5*time.Millisecond<<min(try, 10), 500*time.Millisecond)
	timer := time.NewTimer(most/4 + rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to try again: %w", context.Cause(ctx))
	}
}
