package app

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/transcode"
)

const (
	// ledgerKeys is how many sessions or keys one look-up asks for.
	ledgerKeys = 1000
	// knownSessions bounds the cache of sessions.
	knownSessions = 20_000
)

// attributes tells whether the flow has to know whose a delete is (rule A5): not
// if an archive's deletes do to the index what users' deletes do.
func attributes(on config.On) bool { return on.Attributes() }

// ledger is what the archive has put down of its deletes. Each answer is as of
// the cluster time after, or later.
type ledger interface {
	SessionsAfter(ctx context.Context, sessions []bson.Binary, after bson.Timestamp) ([]cold.LedgerRow, error)
	KeysAfter(ctx context.Context, ns string, ids []bson.RawValue, after bson.Timestamp) ([]cold.LedgerRow, error)
	HasKeysAfter(ctx context.Context, after bson.Timestamp) (has bool, now bson.Timestamp, err error)
}

// attributor finds an archive's deletes in the stream by its ledger. The stream's
// one goroutine uses it.
//
// A row is there before the first delete that it speaks of, so an answer that
// is not older than a delete is final for its session, whether there is a row
// or not: nothing is asked twice, and nothing is guessed. What can't be asked
// fails, and the stream waits.
type attributor struct {
	ledger ledger
	known  sessions
	// Up to the cluster time clear no delete without a session is an archive's:
	// no row of keys was there. now is a time that the server has reached.
	clear, now bson.Timestamp
}

func newAttributor(l ledger) *attributor {
	return &attributor{ledger: l, known: newSessions(knownSessions)}
}

// owner is an archive's side of a session; nil for any other session.
type owner struct {
	ns       flow.Namespace
	archived flow.Archived
}

// Attribute sets Archived on the deletes among changes that are an archive's.
func (a *attributor) Attribute(ctx context.Context, changes []flow.Change) error {
	owners, err := a.owners(ctx, changes)
	if err != nil {
		return err
	}
	var bare []*flow.Change
	for i := range changes {
		c := &changes[i]
		switch {
		case c.Op != flow.OpDelete:
		case c.Session == [16]byte{}:
			bare = append(bare, c)
		default:
			if o := owners[c.Session]; o != nil && o.ns == c.NS {
				c.Archived = &o.archived
			}
		}
	}
	return a.byKey(ctx, bare)
}

// owners returns whose the sessions of all deletes are.
func (a *attributor) owners(ctx context.Context, changes []flow.Change) (map[[16]byte]*owner, error) {
	var all map[[16]byte]*owner
	var unknown []bson.Binary
	var after bson.Timestamp
	for i := range changes {
		c := &changes[i]
		if c.Op != flow.OpDelete || c.Session == [16]byte{} {
			continue
		}
		if _, seen := all[c.Session]; seen {
			continue
		}
		o, known := a.known.get(c.Session)
		if !known {
			id := c.Session
			unknown = append(unknown, bson.Binary{Subtype: bson.TypeBinaryUUID, Data: id[:]})
			if after.Before(c.Time) {
				after = c.Time
			}
		}
		if all == nil {
			all = map[[16]byte]*owner{}
		}
		all[c.Session] = o
	}
	for len(unknown) > 0 {
		n := min(len(unknown), ledgerKeys)
		rows, err := a.ledger.SessionsAfter(ctx, unknown[:n], after)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			if len(rows[i].ID.Data) == 16 {
				all[[16]byte(rows[i].ID.Data)] = ownerOf(&rows[i])
			}
		}
		for _, s := range unknown[:n] {
			id := [16]byte(s.Data)
			a.known.put(id, all[id])
		}
		unknown = unknown[n:]
	}
	return all, nil
}

func ownerOf(r *cold.LedgerRow) *owner {
	ns, _ := flow.ParseNamespace(r.NS)
	return &owner{ns: ns, archived: flow.Archived{At: r.At, Rule: r.Rule, Object: r.Object}}
}

// byKey looks for the deletes that an archive made without transactions (some
// compatible servers). Hardly a deployment has any, so first it is asked whether
// there are rows of that kind at all. The answer no holds for every delete up to
// the time that the read waited for, and for no later one: a row may be written
// a moment before its delete. So a stream that catches up asks once for all of
// its backlog, and one that follows asks once per batch with deletes.
func (a *attributor) byKey(ctx context.Context, deletes []*flow.Change) error {
	var last bson.Timestamp
	for _, c := range deletes {
		if last.Before(c.Time) {
			last = c.Time
		}
	}
	if len(deletes) == 0 || !a.clear.Before(last) {
		return nil
	}
	after := last
	if after.Before(a.now) { // reached already: it is not waited for
		after = a.now
	}
	has, now, err := a.ledger.HasKeysAfter(ctx, after)
	if err != nil {
		return err
	}
	if a.now.Before(now) {
		a.now = now
	}
	if !has {
		a.clear = after
		return nil
	}
	for len(deletes) > 0 {
		n := 1
		for n < len(deletes) && n < ledgerKeys && deletes[n].NS == deletes[0].NS {
			n++
		}
		if err := a.someByKey(ctx, deletes[:n], last); err != nil {
			return err
		}
		deletes = deletes[n:]
	}
	return nil
}

// someByKey looks up deletes of one namespace.
func (a *attributor) someByKey(ctx context.Context, deletes []*flow.Change, after bson.Timestamp) error {
	ids := make([]bson.RawValue, len(deletes))
	for i, c := range deletes {
		ids[i] = c.ID
	}
	rows, err := a.ledger.KeysAfter(ctx, deletes[0].NS.String(), ids, after)
	if err != nil || len(rows) == 0 {
		return err
	}
	byKey := map[string][]*cold.LedgerRow{}
	var buf []byte
	for i := range rows {
		for _, id := range rows[i].Keys {
			buf = transcode.AppendID(buf[:0], id)
			byKey[string(buf)] = append(byKey[string(buf)], &rows[i])
		}
	}
	owners := map[*cold.LedgerRow]*owner{}
	for _, c := range deletes {
		buf = transcode.AppendID(buf[:0], c.ID)
		var best *cold.LedgerRow
		for _, r := range byKey[string(buf)] {
			if during(r, c.Time) && (best == nil || best.From.Before(r.From)) {
				best = r
			}
		}
		if best == nil {
			continue
		}
		if owners[best] == nil {
			owners[best] = ownerOf(best)
		}
		c.Archived = &owners[best].archived
	}
	return nil
}

// during tells whether a time lies in the interval of a row.
func during(r *cold.LedgerRow, t bson.Timestamp) bool {
	return !t.Before(r.From) && (r.To.IsZero() || !r.To.Before(t))
}

// sessions is a bounded cache of whose sessions are. It forgets what was not
// asked for in a while: of two generations, the older goes when the younger is full.
type sessions struct {
	young, old map[[16]byte]*owner
	most       int
}

func newSessions(most int) sessions {
	return sessions{young: map[[16]byte]*owner{}, most: max(most/2, 1)}
}

func (s *sessions) get(id [16]byte) (o *owner, known bool) {
	if o, known = s.young[id]; known {
		return o, true
	}
	if o, known = s.old[id]; known {
		s.put(id, o)
	}
	return o, known
}

func (s *sessions) put(id [16]byte, o *owner) {
	if len(s.young) >= s.most {
		s.old, s.young = s.young, map[[16]byte]*owner{}
	}
	s.young[id] = o
}

// openLedger connects to the ledger and reads it once: who may not read it is
// told at the start.
func (f *flowRun) openLedger(ctx context.Context) error {
	if !attributes(f.cfg.On) {
		return nil
	}
	db, err := archivedb.Open(ctx, archivedb.Options{URI: f.o.Config.MongoDB.URI.Reveal(), AppName: "sluice " + Version, Logger: f.log})
	if err != nil {
		return err
	}
	f.closers = append(f.closers, db.Close)
	if _, _, err := db.HasKeysAfter(ctx, bson.Timestamp{}); err != nil {
		return err
	}
	f.attributor = newAttributor(db)
	if f.shelf == nil && len(f.o.Config.Archive) > 0 {
		sh := newShelves(f.o.Config)
		f.closers = append(f.closers, sh.close)
		f.shelf = sh
	}
	return nil
}

// shelf finds documents in the archive by their keys.
type shelf interface {
	// Covers tells whether the archive that can be asked takes documents of ns.
	Covers(ns flow.Namespace) bool
	// ArchivedIDs returns for each of ids, which are not in MongoDB, where the
	// archive holds the document that it deleted from ns, nil where it holds none.
	ArchivedIDs(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error)
}

// knowsArchived tells whether the archive can be asked about documents of ns.
func (f *flowRun) knowsArchived(ns flow.Namespace) bool { return f.shelf != nil && f.shelf.Covers(ns) }

// leavesGhosts tells whether nothing may be removed from the index of ns as a
// ghost: archived documents stay there, nothing in the index tells them apart,
// and no archive is at hand to be asked.
func (f *flowRun) leavesGhosts(ns flow.Namespace) bool {
	return f.cfg.On.Archive == config.ArchiveKeep && !f.knowsArchived(ns)
}

// archived asks the archive about ids that ns does not have inside its filter.
// One that is there outside of it is live: it must leave the index.
func (f *flowRun) archived(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error) {
	if !attributes(f.cfg.On) || !f.knowsArchived(ns) {
		return make([]*flow.Archived, len(ids)), nil
	}
	all, err := f.shelf.ArchivedIDs(ctx, ns, ids)
	if err != nil {
		return nil, err
	}
	outside, err := f.outside(ctx, ns, ids)
	for i := range outside {
		if outside[i] {
			all[i] = nil
		}
	}
	return all, err
}
