package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/lease/leasetest"
	"sluice/internal/pack"
)

var orders = flow.Namespace{DB: "shop", Coll: "orders"}

// world is a database and a bucket that outlive processes. What users have
// written last is the truth that must never be lost.
type world struct {
	mu     sync.Mutex
	live   map[int32]bson.Raw
	truth  map[int32]bson.Raw
	times  int64 // cluster time
	store  map[string][]byte
	runs   map[string]cold.Run
	packs  map[string]cold.Pack
	except []cold.Exception
	marks  map[string]time.Time
	holds  map[int32]bool
	leases *leasetest.Memory
	start  time.Time
	survey func(*cold.Survey)
	// deletedBy counts the deletes by the owner's fence.
	deletedBy map[int64]int
	seen      map[string]map[int32][]bson.Raw // decoded packs by manifest
}

func newWorld(docs int) *world {
	w := &world{
		live: map[int32]bson.Raw{}, truth: map[int32]bson.Raw{}, store: map[string][]byte{}, runs: map[string]cold.Run{},
		packs: map[string]cold.Pack{}, marks: map[string]time.Time{}, holds: map[int32]bool{}, leases: leasetest.NewMemory(),
		start: time.Now(), deletedBy: map[int64]int{}, seen: map[string]map[int32][]bson.Raw{},
	}
	for i := range docs {
		w.write(int32(i), w.doc(int32(i), time.Duration(i+100)*time.Hour, "first"))
	}
	return w
}

// doc makes a document of an age, with what only bytes tell apart.
func (w *world) doc(id int32, age time.Duration, text string) bson.Raw {
	raw, err := bson.Marshal(bson.D{
		{Key: "_id", Value: id},
		{Key: "at", Value: w.start.Add(-age).Truncate(time.Millisecond)},
		{Key: "text", Value: text},
		{Key: "dup", Value: int32(1)},
		{Key: "dup", Value: float64(1)},
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// write is that of a user; nil deletes.
func (w *world) write(id int32, doc bson.Raw) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times++
	if doc == nil {
		delete(w.live, id)
		delete(w.truth, id)
		return
	}
	w.live[id], w.truth[id] = doc, doc
}

// archived returns all versions of each document in committed packs whose
// object can be decoded and fits its manifest. The world is locked.
func (w *world) archived() (map[int32][]bson.Raw, error) {
	all := map[int32][]bson.Raw{}
	for key, raw := range w.store {
		if len(key) < 9 || key[len(key)-9:] != ".manifest" {
			continue
		}
		if w.seen[key] == nil {
			m, err := pack.DecodeManifest(bytes.NewReader(raw))
			if err != nil {
				return nil, err
			}
			object := w.store[m.Header.Object]
			if err := pack.Verify(context.Background(), bytes.NewReader(object), m); err != nil {
				return nil, err
			}
			docs := map[int32][]bson.Raw{}
			for doc, err := range pack.OpenReader(memory(object), m).All(context.Background()) {
				if err != nil {
					return nil, err
				}
				id := doc.Lookup("_id").Int32()
				docs[id] = append(docs[id], bytes.Clone(doc))
			}
			w.seen[key] = docs
		}
		for id, docs := range w.seen[key] {
			all[id] = append(all[id], docs...)
		}
	}
	return all, nil
}

// broken tells what rule A1 misses: nothing, or the document that is lost.
func (w *world) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	archived, err := w.archived()
	if err != nil {
		return err
	}
	for id, doc := range w.truth {
		if bytes.Equal(w.live[id], doc) {
			continue
		}
		if _, there := w.live[id]; there {
			return fmt.Errorf("document %d is live, but is another", id)
		}
		if !slices.ContainsFunc(archived[id], func(a bson.Raw) bool { return bytes.Equal(a, doc) }) {
			return fmt.Errorf("document %d is neither live nor in a committed pack", id)
		}
	}
	return nil
}

type memory []byte

func (m memory) Get(_ context.Context, off, n int64) (io.ReadCloser, error) {
	if n < 0 {
		n = int64(len(m)) - off
	}
	return io.NopCloser(bytes.NewReader(m[off : off+n])), nil
}

// proc is one process's view of the world. After its death nothing of it has
// an effect; while it is frozen its calls hang.
type proc struct {
	*world
	name   string
	mu     sync.Mutex
	dead   bool
	thawed chan struct{} // nil while not frozen
	// hook may fail a call before it works, or change the world at it.
	hook   func(call string) error
	after  func(call string) error
	writes []string
}

var errDead = errors.New("the process is dead")

func (p *proc) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *proc) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thawed = make(chan struct{})
}

func (p *proc) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.thawed)
	p.thawed = nil
}

// still returns when the process is neither frozen nor dead.
func (p *proc) still() error {
	p.mu.Lock()
	dead, thawed := p.dead, p.thawed
	p.mu.Unlock()
	if dead {
		return errDead
	}
	if thawed != nil {
		<-thawed
	}
	return nil
}

// call begins a call; write is what to remember if it changes something.
func (p *proc) call(name string) error {
	if err := p.still(); err != nil {
		return err
	}
	if p.hook != nil {
		if err := p.hook(name); err != nil {
			return err
		}
	}
	return p.still()
}

func (p *proc) done(name string) error {
	p.mu.Lock()
	p.writes = append(p.writes, name)
	p.mu.Unlock()
	if p.after != nil {
		return p.after(name)
	}
	return nil
}

func lostFault(op string) error {
	return &flow.Error{Op: op, Class: flow.Conflict, Err: lease.ErrLost}
}

// Load and Save are those of the lease.
type procLease struct{ *proc }

func (p procLease) Load(ctx context.Context, name string) (lease.Row, error) {
	if err := p.still(); err != nil {
		return lease.Row{}, err
	}
	return p.leases.Load(ctx, name)
}

func (p procLease) Save(ctx context.Context, old, next lease.Row) error {
	if err := p.still(); err != nil {
		return err
	}
	return p.leases.Save(ctx, old, next)
}

func (p *proc) ServerTime(context.Context) (time.Time, bson.Timestamp, error) {
	return time.Now(), p.at(), p.call("time")
}

func (w *world) at() bson.Timestamp {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bson.Timestamp{T: uint32(time.Now().Unix()), I: uint32(w.times)}
}

func inside(doc bson.Raw, sel cold.Selection, b cold.Bounds) bool {
	ms, ok := ageOf(doc, []string{sel.Field}, sel.Kind)
	t := time.UnixMilli(ms)
	return ok && t.Before(sel.Before) && !t.Before(sel.From) && !t.Before(sel.Floor) &&
		!t.Before(b.From) && (b.Before.IsZero() || t.Before(b.Before))
}

func (w *world) old(sel cold.Selection, b cold.Bounds) []bson.Raw {
	w.mu.Lock()
	defer w.mu.Unlock()
	var docs []bson.Raw
	for _, d := range w.live {
		if inside(d, sel, b) {
			docs = append(docs, d)
		}
	}
	slices.SortFunc(docs, byAge(sel))
	return docs
}

func byAge(sel cold.Selection) func(a, b bson.Raw) int {
	return func(a, b bson.Raw) int {
		x, _ := ageOf(a, []string{sel.Field}, sel.Kind)
		y, _ := ageOf(b, []string{sel.Field}, sel.Kind)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.Lookup("_id").Int32(), b.Lookup("_id").Int32()))
	}
}

func (p *proc) Survey(_ context.Context, sel cold.Selection) (cold.Survey, error) {
	if err := p.call("survey"); err != nil {
		return cold.Survey{}, err
	}
	n := int64(len(p.old(sel, cold.Bounds{})))
	s := cold.Survey{
		Kind: cold.KindCollection, UUID: "u", Total: int64(len(p.live)), TotalBytes: int64(len(p.live)) * 80, Count: n,
		Index: "at_1", Examined: n, Returned: n, Census: map[string]int64{"date": n}, CensusOf: n,
		ServerTime: time.Now(), Transactions: true, Version: "6.0.5",
	}
	if p.survey != nil {
		p.survey(&s)
	}
	return s, nil
}

type fakeCursor struct {
	*proc
	sel  cold.Selection
	b    cold.Bounds
	size int
	last bson.Raw
}

func (p *proc) Read(_ context.Context, sel cold.Selection, b cold.Bounds, o ReadOptions) (Cursor, error) {
	return &fakeCursor{proc: p, sel: sel, b: b, size: o.BatchDocs}, p.call("read")
}

// Next sees what is live now, as a real cursor may.
func (c *fakeCursor) Next(context.Context) (cold.Read, error) {
	if err := c.call("next"); err != nil {
		return cold.Read{}, err
	}
	docs := c.old(c.sel, c.b)
	if c.last != nil {
		docs = slices.DeleteFunc(docs, func(d bson.Raw) bool { return byAge(c.sel)(d, c.last) <= 0 })
	}
	if len(docs) == 0 {
		return cold.Read{}, io.EOF
	}
	docs = docs[:min(len(docs), c.size)]
	c.last = docs[len(docs)-1]
	return cold.Read{Docs: docs, At: c.at()}, nil
}

func (c *fakeCursor) Close(context.Context) {}

func (p *proc) ReadIDs(_ context.Context, sel cold.Selection, ids []bson.RawValue) (cold.Read, error) {
	if err := p.call("readids"); err != nil {
		return cold.Read{}, err
	}
	r := cold.Read{At: p.at()}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	for _, id := range ids {
		if d, ok := p.live[id.Int32()]; ok && inside(d, sel, cold.Bounds{}) {
			r.Docs = append(r.Docs, d)
		}
	}
	return r, nil
}

func (p *proc) Split(_ context.Context, sel cold.Selection, n int) ([]cold.Bounds, error) {
	docs := p.old(sel, cold.Bounds{})
	var cuts []time.Time
	for i := 1; i < n && len(docs) > n; i++ {
		ms, _ := ageOf(docs[i*len(docs)/n], []string{sel.Field}, sel.Kind)
		if t := time.UnixMilli(ms); len(cuts) == 0 || t.After(cuts[len(cuts)-1]) {
			cuts = append(cuts, t)
		}
	}
	var all []cold.Bounds
	from := time.Time{}
	for _, c := range cuts {
		all = append(all, cold.Bounds{From: from, Before: c})
		from = c
	}
	return append(all, cold.Bounds{From: from}), p.call("split")
}

func (p *proc) PutRun(_ context.Context, r cold.Run) error {
	if err := p.call("putrun"); err != nil {
		return err
	}
	p.world.mu.Lock()
	if p.runs[r.ID].Fence > r.Fence {
		p.world.mu.Unlock()
		return lostFault("put run")
	}
	p.runs[r.ID] = r
	p.world.mu.Unlock()
	return p.done("putrun")
}

func (p *proc) PutPack(_ context.Context, row cold.Pack, from cold.PackState) error {
	if err := p.call("putpack"); err != nil {
		return err
	}
	p.world.mu.Lock()
	is, ok := p.packs[row.ID]
	if ok == (from == "") || is.State != from || is.Fence > row.Fence {
		p.world.mu.Unlock()
		return lostFault("put pack")
	}
	row.Next, row.Deleted = max(row.Next, is.Next), max(row.Deleted, is.Deleted)
	row.Changed, row.Gone = max(row.Changed, is.Changed), max(row.Gone, is.Gone)
	p.packs[row.ID] = row
	p.world.mu.Unlock()
	return p.done("putpack " + string(row.State))
}

func (p *proc) Runs(_ context.Context, q RunQuery) ([]cold.Run, error) {
	if err := p.call("runs"); err != nil {
		return nil, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	var all []cold.Run
	for _, r := range p.runs {
		if (q.Rule == "" || q.Rule == r.Rule) && (q.IDs == nil || slices.Contains(q.IDs, r.ID)) &&
			(q.States == nil || slices.Contains(q.States, r.State)) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b cold.Run) int { return cmp.Compare(b.ID, a.ID) })
	return all, nil
}

func (p *proc) Packs(_ context.Context, q PackQuery) ([]cold.Pack, error) {
	if err := p.call("packs"); err != nil {
		return nil, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	var all []cold.Pack
	for _, r := range p.packs {
		if (q.Rule == "" || q.Rule == r.Rule) && (q.Run == "" || q.Run == r.Run) && (q.IDs == nil || slices.Contains(q.IDs, r.ID)) &&
			(q.States == nil || slices.Contains(q.States, r.State)) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b cold.Pack) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

func (p *proc) Exceptions(_ context.Context, packID string) ([]cold.Exception, error) {
	if err := p.still(); err != nil {
		return nil, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	var all []cold.Exception
	for _, e := range p.except {
		if e.Pack == packID {
			all = append(all, e)
		}
	}
	return all, nil
}

func (p *proc) RuleExceptions(_ context.Context, _, _ string, o cold.Outcome, limit int) ([]cold.Exception, error) {
	if err := p.still(); err != nil {
		return nil, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	var all []cold.Exception
	for _, e := range p.except {
		if e.Outcome == o && len(all) < limit {
			all = append(all, e)
		}
	}
	return all, nil
}

func (p *proc) DropExceptions(_ context.Context, ex []cold.Exception) error {
	if err := p.call("drop"); err != nil {
		return err
	}
	p.world.mu.Lock()
	p.except = slices.DeleteFunc(p.except, func(e cold.Exception) bool {
		return slices.ContainsFunc(ex, func(x cold.Exception) bool { return x.Pack == e.Pack && x.Entry == e.Entry })
	})
	p.world.mu.Unlock()
	return p.done("drop")
}

func (p *proc) Mark(_ context.Context, rule, _ string) (time.Time, error) {
	if err := p.still(); err != nil {
		return time.Time{}, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return p.marks[rule], nil
}

func (p *proc) SetMark(_ context.Context, rule, _ string, t time.Time, _ int64) error {
	if err := p.call("setmark"); err != nil {
		return err
	}
	p.world.mu.Lock()
	p.marks[rule] = t
	p.world.mu.Unlock()
	return p.done("setmark")
}

func (p *proc) HasHolds(context.Context, flow.Namespace) (bool, error) {
	if err := p.still(); err != nil {
		return false, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return len(p.holds) > 0, nil
}

func (p *proc) Held(_ context.Context, _ flow.Namespace, ids []bson.RawValue) (map[int]time.Time, error) {
	if err := p.still(); err != nil {
		return nil, err
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	held := map[int]time.Time{}
	for i, id := range ids {
		if p.holds[id.Int32()] {
			held[i] = time.Now().Add(time.Hour)
		}
	}
	return held, nil
}

// fakeDeletion is the guarded delete in one transaction.
type fakeDeletion struct {
	*proc
	g cold.Guard
}

func (p *proc) Begin(_ context.Context, g cold.Guard) (Deletion, error) {
	return &fakeDeletion{p, g}, p.call("begin")
}

func (d *fakeDeletion) Delete(_ context.Context, next int, doomed []cold.Doomed) ([]cold.Fate, error) {
	if err := d.call("delete"); err != nil {
		return nil, err
	}
	fates, err := d.transact(next, doomed)
	if err != nil {
		return nil, err
	}
	return fates, d.done("delete")
}

func (d *fakeDeletion) transact(next int, doomed []cold.Doomed) ([]cold.Fate, error) {
	if err := d.leases.Bump(d.g.Fence.Lease, d.g.Fence.Owner, d.g.Fence.Number); err != nil {
		return nil, err
	}
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	row := d.packs[d.g.Pack.ID]
	if row.Next != next || row.State != cold.PackDeleting {
		return nil, &flow.Error{Op: "delete", Class: flow.Conflict, Err: lease.ErrConflict}
	}
	fates := make([]cold.Fate, len(doomed))
	for i, x := range doomed {
		id := x.ID.Int32()
		doc, ok := d.live[id]
		same := cold.Hash(sha256.Sum256(doc)) == x.Hash
		if !d.g.Transactions {
			if x.Hash != sha256.Sum256(x.Doc) {
				return nil, &flow.Error{Op: "delete", Class: flow.Fatal, Err: errors.New("not the document of the manifest")}
			}
			same = bytes.Equal(doc, x.Doc)
		}
		fates[i] = cold.Fate{Entry: x.Entry, Outcome: cold.Deleted}
		switch {
		case !ok && d.g.Pack.Rebuilt:
			fates[i].Outcome = cold.Unknown
		case !ok:
			fates[i].Outcome = cold.Gone
			row.Gone++
		case same && !inside(doc, d.g.Selection, cold.Bounds{}):
			// MongoDB's side takes that for a bug, and nothing is deleted.
			return nil, &flow.Error{Op: "delete", Class: flow.Fatal, Err: errors.New("what was archived is not old")}
		case !same:
			fates[i].Outcome = cold.Changed
			row.Changed++
		default:
			delete(d.live, id)
			row.Deleted++
			d.deletedBy[d.g.Fence.Number]++
		}
		if fates[i].Outcome != cold.Deleted {
			d.except = append(d.except, cold.Exception{Pack: row.ID, Entry: x.Entry, Outcome: fates[i].Outcome, ID: x.ID})
		}
	}
	row.Next += len(doomed)
	d.packs[row.ID] = row
	return fates, nil
}

func (d *fakeDeletion) Close(context.Context) error { return nil }
