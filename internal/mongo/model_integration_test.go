//go:build integration

package mongo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// model is an index in memory that settles every write by version alone
// (external_gte), and never forgets a delete.
type model struct {
	mu       sync.Mutex
	docs     map[flow.Namespace]map[string]modelDoc
	controls []flow.Control
	changes  int
	batches  int
	// onBatch sees every batch before it is applied; an error gives it up.
	onBatch func(b flow.Batch) error
	// prepare sees the source before it starts.
	prepare func(s *Source)
	faults  []string
}

type modelDoc struct {
	version int64
	id      bson.RawValue
	doc     bson.Raw // nil: deleted
}

func newModel() *model {
	return &model{docs: map[flow.Namespace]map[string]modelDoc{}}
}

func (m *model) apply(b flow.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches++
	if m.onBatch != nil {
		if err := m.onBatch(b); err != nil {
			return err
		}
	}
	for _, c := range b.Changes {
		m.changes++
		if c.Op == flow.OpSkip {
			continue
		}
		if c.Op == flow.OpReread || c.Version <= 0 || c.Op == flow.OpWrite && c.Doc == nil {
			m.faults = append(m.faults, fmt.Sprintf("bad change %v", c))
		}
		k := string(appendKey(nil, c.ID.Type, c.ID.Value))
		m.put(c.NS, k, modelDoc{c.Version, own(c.ID), bytes.Clone(c.Doc)})
	}
	return nil
}

func (m *model) put(ns flow.Namespace, k string, d modelDoc) {
	if m.docs[ns] == nil {
		m.docs[ns] = map[string]modelDoc{}
	}
	if old, ok := m.docs[ns][k]; ok && old.version > d.version {
		return
	}
	m.docs[ns][k] = d
}

func (m *model) control(ctx context.Context, s *Source, c flow.Control) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.controls = append(m.controls, c)
	switch {
	case c.Kind == flow.ControlDropped:
		for k, d := range m.docs[c.NS] {
			if d.doc != nil && d.version <= c.Version {
				m.docs[c.NS][k] = modelDoc{c.Version, d.id, nil}
			}
		}
	case c.Kind == flow.ControlSnapshotDone && c.Ghosts:
		var ids []bson.RawValue
		for _, d := range m.docs[c.NS] {
			if d.doc != nil {
				ids = append(ids, d.id)
			}
		}
		missing, at, err := s.Missing(ctx, c.NS, ids)
		if err != nil {
			return err
		}
		v, err := flow.VersionOf(at)
		for _, id := range missing {
			m.put(c.NS, string(appendKey(nil, id.Type, id.Value)), modelDoc{v, id, nil})
		}
		return err
	}
	return nil
}

// kinds returns the controls of ns so far, in short.
func (m *model) kinds(ns flow.Namespace) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := ""
	for _, c := range m.controls {
		if c.NS == ns {
			s += map[flow.ControlKind]string{
				flow.ControlDropped: "d", flow.ControlReplaced: "r", flow.ControlCreated: "c",
				flow.ControlSnapshotBegin: "<", flow.ControlSnapshotDone: ">",
			}[c.Kind]
		}
	}
	return s
}

// differs compares the model of ns with what MongoDB has.
func (m *model) differs(ctx context.Context, coll *mongo.Collection, filter any) error {
	cur, err := coll.Find(ctx, filter)
	if err != nil {
		return err
	}
	defer func() { _ = cur.Close(ctx) }()
	ns := flow.Namespace{DB: coll.Database().Name(), Coll: coll.Name()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.faults) > 0 {
		return errors.New(m.faults[0])
	}
	n := 0
	for cur.Next(ctx) {
		id := cur.Current.Lookup("_id")
		d, ok := m.docs[ns][string(appendKey(nil, id.Type, id.Value))]
		switch {
		case !ok || d.doc == nil:
			return fmt.Errorf("%s: %v is missing", ns, cur.Current)
		case !bytes.Equal(d.doc, cur.Current):
			return fmt.Errorf("%s: have %v, want %v", ns, d.doc, cur.Current)
		}
		n++
	}
	if err := cur.Err(); err != nil {
		return err
	}
	live := 0
	for _, d := range m.docs[ns] {
		if d.doc != nil {
			live++
		}
	}
	if live != n {
		return fmt.Errorf("%s: %d documents in the model, %d in MongoDB", ns, live, n)
	}
	return nil
}

// pump is a small pipeline: it applies what a source delivers to a model.
type pump struct {
	t      *testing.T
	s      *Source
	m      *model
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error
	ended  chan struct{}
}

// startPump opens and starts a source and pumps it into m.
func startPump(t *testing.T, o Options, pos flow.Position, m *model, resync ...Resync) *pump {
	t.Helper()
	p, err := tryPump(t, o, pos, m, resync...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryPump(t *testing.T, o Options, pos flow.Position, m *model, resync ...Resync) (*pump, error) {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		return nil, err
	}
	if m.prepare != nil {
		m.prepare(s)
	}
	if err := s.Start(t.Context(), pos, resync); err != nil {
		_ = s.Close(context.Background())
		return nil, err
	}
	p := &pump{t: t, s: s, m: m, ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(func() { p.run(s.Stream()) })
	for range 2 {
		p.wg.Go(func() { p.run(s.Snapshot()) })
	}
	go func() { p.wg.Wait(); close(p.ended) }()
	t.Cleanup(func() { p.stop() })
	return p, nil
}

func (p *pump) run(src flow.Source) {
	for {
		b, ack, err := src.Read(p.ctx)
		switch {
		case errors.Is(err, io.EOF), p.ctx.Err() != nil && err != nil:
			return
		case err != nil:
			if flow.ClassOf(err) == flow.Transient {
				continue
			}
			p.fail(err)
			return
		}
		err = p.settle(b)
		if e := ack(p.ctx, err); e != nil {
			p.fail(e)
		}
		if err != nil { // as a pipeline that ends
			if flow.ClassOf(err) != flow.Unknown {
				p.fail(err)
			}
			return
		}
	}
}

func (p *pump) settle(b flow.Batch) error {
	if b.Control != nil {
		return p.m.control(p.ctx, p.s, *b.Control)
	}
	for {
		out, err := p.s.Reread().Apply(p.ctx, b)
		switch {
		case err == nil:
			return p.m.apply(out)
		case flow.ClassOf(err) != flow.Transient || p.ctx.Err() != nil:
			return err
		}
	}
}

func (p *pump) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *pump) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// stop ends the pump as a crash would and returns the position.
func (p *pump) stop() flow.Position {
	p.cancel()
	p.wg.Wait()
	pos := p.s.Position()
	ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
	defer done()
	if err := p.s.Close(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		p.t.Error(err)
	}
	return pos
}

// waitEqual waits until the model has what coll has, and no copy is under way.
func (p *pump) waitEqual(coll *mongo.Collection) {
	p.t.Helper()
	testkit.Eventually(p.t, 60*time.Second, func() error {
		if err := p.failure(); err != nil {
			p.t.Fatal(err)
		}
		for _, n := range p.s.Progress().Namespaces {
			if n.Phase != "following" {
				return fmt.Errorf("%s: %s, %d chunks open", n.NS, n.Phase, n.ChunksOpen)
			}
		}
		return p.m.differs(p.t.Context(), coll, bson.D{})
	})
}

// waitEnd waits for the end of a run with Once.
func (p *pump) waitEnd() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(60 * time.Second):
		p.t.Fatal("it does not end")
	}
	if err := p.failure(); err != nil {
		p.t.Fatal(err)
	}
}

// startMongo starts a server of the test's own.
func startMongo(t *testing.T, o testkit.MongoOptions) *testkit.Mongo {
	t.Helper()
	o.Own = true
	m, err := testkit.StartMongo(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { _ = m.Stop() })
	return m
}

func newDB(t *testing.T, uri string) *mongo.Database {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	db := c.Database(testkit.UniqueName(t))
	t.Cleanup(func() {
		ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		_ = db.Drop(ctx)
		_ = c.Disconnect(context.Background())
	})
	return db
}

func nsOf(coll *mongo.Collection) flow.Namespace {
	return flow.Namespace{DB: coll.Database().Name(), Coll: coll.Name()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// atLeast wants that many batches.
func atLeast(m *model, batches int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.batches < batches {
		return fmt.Errorf("%d batches", m.batches)
	}
	return nil
}
