//go:build integration

package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// users write to documents that the archive is after, and know what each of
// their writes has committed. A key belongs to one of them.
type users struct {
	v    *vault
	stop context.CancelFunc
	wg   sync.WaitGroup
	err  atomic.Pointer[error]
	ops  atomic.Int64
	lost atomic.Int64 // writes whose outcome was not learned

	// still is held for writing while nobody writes.
	still sync.RWMutex
	keys  []known
	// others are documents that no user touches.
	others map[string]string

	store objstore.Store
	cache map[string]contents // packs never change
}

// known is what a user knows of a key. It belongs to the user, or to who holds
// still.
type known struct {
	// last are the versions that may be the last one committed: one, or two while
	// an outcome is not known. "" stands for none.
	last []string
	// ever are all versions that may have been committed.
	ever []string
	// log tells of every write, before and after it.
	log []string
}

func (k *known) note(format string, args ...any) { k.log = append(k.log, fmt.Sprintf(format, args...)) }

func (k *known) is(doc string) { k.last = []string{doc}; k.ever = append(k.ever, doc) }

func (k *known) maybe(doc string) { k.last = append(k.last, doc); k.ever = append(k.ever, doc) }

// startUsers starts n users of the documents with the _id 0 to keys-1, which
// are there.
func startUsers(t *testing.T, v *vault, keys, n int, seed uint64) *users {
	t.Helper()
	u := &users{v: v, keys: make([]known, keys), others: map[string]string{}, store: v.open(t), cache: map[string]contents{}}
	docs := v.raw(t)
	for i := range u.keys {
		u.keys[i].is(docs[rawInt(i)])
	}
	ctx, cancel := context.WithCancel(context.Background())
	u.stop = cancel
	for g := range n {
		u.wg.Go(func() { u.work(ctx, rand.New(rand.NewPCG(seed, uint64(g))), g, n) })
	}
	t.Cleanup(func() { cancel(); u.wg.Wait() })
	return u
}

// rawInt is how raw names the _id i.
func rawInt(i int) string { return fmt.Sprintf(`{"$numberInt":"%d"}`, i) }

// end stops the users for good.
func (u *users) end(t *testing.T) {
	t.Helper()
	u.stop()
	u.wg.Wait()
	if err := u.err.Load(); err != nil {
		t.Fatalf("a user: %v", *err)
	}
}

func (u *users) work(ctx context.Context, r *rand.Rand, g, n int) {
	for ctx.Err() == nil {
		u.still.RLock()
		key := g + n*r.IntN(len(u.keys)/n)
		// A write that has begun is ended, so that its outcome is known.
		err := u.write(context.WithoutCancel(ctx), r, key)
		u.still.RUnlock()
		u.ops.Add(1)
		if err != nil {
			u.err.CompareAndSwap(nil, &err)
			return
		}
		pause(ctx, time.Duration(r.IntN(4))*time.Millisecond)
	}
}

// write does one write, and notes what it has committed, or may have.
func (u *users) write(ctx context.Context, r *rand.Rand, key int) error {
	k := &u.keys[key]
	ctx, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	byID := bson.D{{Key: "_id", Value: key}}
	old := time.Date(2020, 1, 1, 0, 0, r.IntN(1e6), 0, time.UTC)
	doc, err := bson.Marshal(agedDoc(r, key, r.IntN(200), old))
	if err != nil {
		return err
	}
	var next string
	written := true
	kind := r.IntN(16)
	k.note("%s: write of kind %d", time.Now().Format(time.StampMicro), kind)
	defer func() { k.note("%s: written %v, %v", time.Now().Format(time.StampMicro), written, err) }()
	switch kind {
	case 0, 1, 2, 3, 4, 5: // changes a field, or only its type
		change := bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: r.Int64()}}}}
		if r.IntN(2) == 0 {
			change = bson.D{{Key: "$set", Value: bson.D{{Key: fmt.Sprintf("more%d", r.IntN(3)), Value: float64(r.IntN(10))}}}}
		}
		got, ferr := u.v.coll().FindOneAndUpdate(ctx, byID, change, options.FindOneAndUpdate().SetReturnDocument(options.After)).Raw()
		written, err, next = ferr == nil, ferr, string(got)
		if errors.Is(ferr, mongo.ErrNoDocuments) {
			err = nil
		}
	case 6, 7: // replaces
		res, rerr := u.v.coll().ReplaceOne(ctx, byID, bson.Raw(doc))
		err, next = rerr, string(doc)
		written = rerr == nil && res.MatchedCount == 1
	case 8, 9, 10, 11: // inserts again, or finds it live
		_, err = u.v.coll().InsertOne(ctx, bson.Raw(doc))
		next = string(doc)
		if mongo.IsDuplicateKeyError(err) {
			err, written = nil, false
		}
	case 12: // grows young
		doc, _ = bson.Marshal(agedDoc(r, key, 10, time.Now()))
		res, rerr := u.v.coll().ReplaceOne(ctx, byID, bson.Raw(doc))
		err, next = rerr, string(doc)
		written = rerr == nil && res.MatchedCount == 1
	default:
		res, derr := u.v.coll().DeleteOne(ctx, byID)
		err = derr
		written = derr == nil && res.DeletedCount == 1
	}
	switch {
	case err != nil && passing(err):
		u.lost.Add(1)
		return u.reread(k, key)
	case err != nil:
		return err
	case written:
		k.is(next)
	}
	return nil
}

// reread: the outcome of a write is not known, and what it would have left
// neither. What is live now is a version; what was is another one.
func (u *users) reread(k *known, key int) error {
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	doc, err := u.v.coll().FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Raw()
	switch {
	case err == nil:
		k.is(string(doc))
	case errors.Is(err, mongo.ErrNoDocuments):
		k.maybe("")
	default:
		return err
	}
	return nil
}

// untouched inserts n old documents that no user touches.
func (u *users) untouched(t *testing.T, n int) {
	t.Helper()
	from := 1_000_000 + len(u.others)
	u.v.add(t, from, from+n, 600, time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC))
	cur, err := u.v.coll().Find(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: from}}}})
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.Raw
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	if len(docs) != n {
		t.Fatalf("%d documents of %d", len(docs), n)
	}
	for _, d := range docs {
		u.others[d.Lookup("_id").String()] = string(d)
	}
}

// proof is where a version of a document was archived and deleted.
type proof struct{ pack, state string }

// deleted reads every committed pack, and returns for each version of a document
// in them that has the outcome deleted where. A version that is in two packs
// with it is a fault.
//
// It reads the journal's rows, and of the bucket what cache does not have.
func (v *vault) deleted(ctx context.Context, s objstore.Reader, cache map[string]contents) (map[cold.Hash]proof, error) {
	packs, err := v.packs(ctx)
	if err != nil {
		return nil, err
	}
	all := map[cold.Hash]proof{}
	for _, p := range packs {
		if !slices.Contains([]cold.PackState{cold.PackDeleting, cold.PackDeleted, cold.PackClosed}, p.State) {
			continue
		}
		c, ok := cache[p.ID]
		if !ok {
			if c, err = readPack(ctx, s, p); err != nil {
				return nil, fmt.Errorf("pack %s is %s: %w", p.ID, p.State, err)
			}
			cache[p.ID] = c
		}
		if len(c.docs) != len(c.manifest.Entries) {
			return nil, fmt.Errorf("pack %s has %d documents and %d entries", p.ID, len(c.docs), len(c.manifest.Entries))
		}
		kept, err := v.exceptions(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, n := range pack.DeleteOrder(c.manifest.Entries)[:p.Next] {
			if kept[int(n)] {
				continue
			}
			h := cold.Hash(sha256.Sum256(c.docs[n]))
			if h != c.manifest.Entries[n].Hash {
				return nil, fmt.Errorf("entry %d of pack %s is not what its manifest tells", n, p.ID)
			}
			if was, twice := all[h]; twice {
				return nil, fmt.Errorf("one version was deleted by %s and by %s", was.pack, p.ID)
			}
			all[h] = proof{p.ID, string(p.State)}
		}
	}
	return all, nil
}

// exceptions are the entries of a pack that were not deleted by us.
func (v *vault) exceptions(ctx context.Context, pack string) (map[int]bool, error) {
	cur, err := v.own("archive_exceptions").Find(ctx, bson.D{{Key: "pack", Value: pack}})
	if err != nil {
		return nil, err
	}
	var rows []cold.Exception
	if err := cur.All(ctx, &rows); err != nil {
		return nil, err
	}
	kept := map[int]bool{}
	for _, x := range rows {
		kept[x.Entry] = true
	}
	return kept, nil
}

// wantHeld checks rule A1 for every key at one moment at which no user writes:
// its last version is live, or in a committed pack and deleted by us.
func (u *users) wantHeld(t *testing.T) {
	t.Helper()
	u.still.Lock()
	defer u.still.Unlock()
	// What is not live in the first read was proven to be archived before that.
	live := u.v.raw(t)
	proofs, err := u.v.deleted(t.Context(), u.store, u.cache)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for i := range u.keys {
		k := &u.keys[i]
		if err := k.held(live[rawInt(i)], proofs); err != nil {
			if bad++; bad <= 5 {
				t.Errorf("_id %d: %v", i, err)
			}
		}
	}
	for id, doc := range u.others {
		k := known{last: []string{doc}}
		if err := k.held(live[id], proofs); err != nil {
			if bad++; bad <= 5 {
				t.Errorf("_id %s: %v", id, err)
			}
		}
	}
	if bad > 0 {
		t.Fatalf("%d of %d documents are not held; %d writes are of unknown outcome", bad, len(u.keys)+len(u.others), u.lost.Load())
	}
}

func (k *known) held(live string, proofs map[cold.Hash]proof) error {
	for _, last := range k.last {
		switch _, archived := proofs[sha256.Sum256([]byte(last))]; {
		case live == last, live == "" && archived:
			return nil
		}
	}
	if live == "" {
		return fmt.Errorf("its last version is neither live nor archived; its writes: %q", k.log)
	}
	at := slices.Index(k.ever, live)
	return fmt.Errorf("live is a version that is not the last, but number %d of %d: %.300s; the last is %.300s; its writes: %q", at+1, len(k.ever), bson.Raw(live), bson.Raw(k.last[0]), k.log)
}
