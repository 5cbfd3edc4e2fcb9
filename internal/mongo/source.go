package mongo

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/flow"
)

// Source reads one flow's collections: a change stream, and copies that join
// it. Its methods may be called from several goroutines, unless they say
// otherwise; Open, Start and Close come once each, in this order.
type Source struct {
	opts   Options
	sel    selection
	scope  scope
	log    *slog.Logger
	uri    string // redacted
	client *mongo.Client
	caps   capabilities
	id     string
	prefs  struct{ copies, rereads *readpref.ReadPref }

	ctx    context.Context // done when the source is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// rereads counts queries.
	rereads atomic.Int64

	stream  *stream
	copies  *copies
	related *relations

	// mu guards what the stream, the copies and Position share; it is held for
	// moments only, never during a call to the server.
	mu          sync.Mutex
	changed     chan struct{} // closed and made anew when something below changes
	collections []Collection
	// bound holds the namespaces that the position knows, with their UUIDs.
	bound map[flow.Namespace]string
	// frozen is the position until the stream has proven its start.
	frozen flow.Position
	// given: where the stream starts was said by the caller, and is not our own.
	given bool
	// lost counts how often history was lost since all was copied.
	lost int
	// clock is the highest operationTime seen, committed the highest time known
	// to be committed by a majority, readTime that of the stream's last reply.
	clock, committed, readTime bson.Timestamp
	// eventTime is that of the last event read. A high-water mark may lie ahead of
	// the server's clock, so reads take their time from this and clock only.
	eventTime bson.Timestamp
	// endTime is what the stream has to pass before a run with Once is over.
	endTime    bson.Timestamp
	over       bool
	oplogFirst bson.Timestamp
	// oplogFull: the server removes the oldest entries already.
	oplogFull bool
}

// Resync asks for a copy of a namespace at Start, whatever its position says.
type Resync struct {
	NS flow.Namespace
	// Ghosts: the copy ends with the removal of what MongoDB does not have.
	Ghosts bool
}

// Open connects, finds out what the server is and can, and lists what the
// flow follows. Errors name the cure: class Config for a server or a
// configuration that can't work, Auth for login and rights, Transient when
// nobody answers.
func Open(ctx context.Context, o Options) (*Source, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Source{opts: o, log: o.Logger, uri: redact(o.URI), changed: make(chan struct{}), bound: map[flow.Namespace]string{}}
	if s.sel, err = newSelection(o); err != nil {
		return nil, err
	}
	if s.related, err = newRelations(s); err != nil {
		return nil, err
	}
	if s.prefs.copies, err = o.Snapshot.readPref(); err != nil {
		return nil, err
	}
	var co *options.ClientOptions
	if s.client, co, err = connect(ctx, o); err != nil {
		return nil, err
	}
	s.prefs.rereads = co.ReadPreference
	if s.prefs.rereads == nil {
		s.prefs.rereads = readpref.Primary()
	}
	if err := s.examine(ctx); err != nil {
		_ = s.client.Disconnect(context.WithoutCancel(ctx))
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.stream = newStream(s)
	s.copies = newCopies(s)
	return s, nil
}

// examine asks the server what Open has to know.
func (s *Source) examine(ctx context.Context) error {
	var err error
	if s.caps, s.id, err = probe(ctx, s.client, s.uri); err != nil {
		return err
	}
	s.scope = s.sel.scope(s.caps.expanded)
	if s.collections, err = s.discover(ctx); err != nil {
		return err
	}
	if err := s.related.examine(ctx); err != nil {
		return err
	}
	return s.probeSnapshot(ctx)
}

// Identity names the deployment: the replicaSetId of a replica set, the
// clusterId of a sharded cluster.
func (s *Source) Identity() string { return s.id }

// Collections returns what the flow follows, sorted by name, as last listed.
func (s *Source) Collections() []Collection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.collections)
}

// Stream returns the change stream; one goroutine reads it. Its Read returns
// io.EOF only with Options.Once, or after Close.
func (s *Source) Stream() flow.Source { return s.stream }

// Snapshot returns the copies; several goroutines may read it. Its Read
// returns io.EOF only with Options.Once, or after Close.
func (s *Source) Snapshot() flow.Source { return s.copies }

// Now returns the operationTime of the primary, asked for afresh: no event has
// a later one yet.
func (s *Source) Now(ctx context.Context) (bson.Timestamp, error) { return s.serverTime(ctx) }

// Ping asks the primary for a sign of life.
func (s *Source) Ping(ctx context.Context) error {
	_, err := s.serverTime(ctx)
	return err
}

// Close ends everything that Start started and waits for it until ctx is done.
func (s *Source) Close(ctx context.Context) error {
	s.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.wg.Wait()
		s.stream.close(context.WithoutCancel(ctx))
		s.related.close()
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if e := s.client.Disconnect(context.WithoutCancel(ctx)); e != nil && err == nil {
		err = fault("close the connections to", s.uri, e)
	}
	return err
}

// poke wakes who waits for a change; mu is held.
func (s *Source) poke() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait returns when something changed after the caller took the channel.
func (s *Source) wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return io.EOF
	}
}

// join returns a context that ends with ctx or with the source.
func (s *Source) join(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// copyPref is how the copies read.
func (s *Source) copyPref() *options.RunCmdOptionsBuilder {
	return options.RunCmd().SetReadPreference(s.prefs.copies)
}

// Position returns what is settled now, as JSON; "" until the start of the
// stream is proven (rule S6). Safe at any time.
func (s *Source) Position() flow.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.positionLocked()
}

// positionLocked is Position with mu held.
func (s *Source) positionLocked() flow.Position {
	low, ok := s.stream.low()
	if !ok {
		return s.frozen
	}
	p := position{
		Format: positionFormat, Stream: low.state(s.fingerprint()), Lost: s.lost,
		Namespaces: make(map[string]nsState, len(s.bound)),
	}
	for ns, uuid := range s.bound {
		p.Namespaces[ns.String()] = nsState{UUID: uuid, Copy: s.copies.state(ns), Still: !s.sel.streams(ns)}
	}
	s.related.state(&p)
	return p.encode()
}

// OldestOpen returns the oldest time of a read of the copies whose batch is
// not yet acked, false if there is none (rule S5).
func (s *Source) OldestOpen() (bson.Timestamp, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies.oldest()
}

// settledPassed returns the time up to which all events are settled; mu is held.
func (s *Source) settledPassed() bson.Timestamp {
	low, ok := s.stream.low()
	if !ok {
		return bson.Timestamp{}
	}
	return low.passed
}
