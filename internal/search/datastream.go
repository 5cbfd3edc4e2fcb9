package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// timestampField is what every document of a data stream has.
const timestampField = "@timestamp"

// The reasons of verdicts on documents of data streams.
const (
	reasonExists    = "exists"
	reasonTimestamp = "timestamp"
	reasonFailures  = "failure_store"
)

// DataStream makes documents go to data streams, which are only added to: a
// document is written once, as it is when it comes first, and stays as it is.
type DataStream struct {
	// Time returns the @timestamp of a document. An error says that it has none, and
	// why; it quotes no value. Called from several goroutines.
	Time func(id bson.RawValue, doc bson.Raw) (time.Time, error)
}

// streams is what a sink knows of its data streams. An engine keeps ids apart in one
// backing index only. So where there are several, each document is looked for in
// those that take no more writes before it is added to the one that does.
type streams struct {
	*DataStream
	passed passedOver
	// looking lets one at a time refresh, so that who comes second sees what the
	// first one has refreshed.
	looking chan struct{}

	mu sync.Mutex
	// known is what is there now, former what was when it had to be looked up again.
	known, former map[flow.Namespace]*backing
}

// backing is one data stream, as it was when it was looked up; it is replaced when
// that changes.
type backing struct {
	// target is written by the name of the data stream; its concrete index is the
	// one that takes the writes.
	target *target
	// older are the others, oldest first.
	older []string
	// dirty are those of older that may hold what no search sees yet.
	dirty map[string]bool
}

func newStreams(d *DataStream) *streams {
	if d == nil {
		return nil
	}
	return &streams{
		DataStream: d, looking: make(chan struct{}, 1),
		known: map[flow.Namespace]*backing{}, former: map[flow.Namespace]*backing{},
	}
}

func (s *streams) of(ns flow.Namespace) *backing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[ns]
}

// set takes b for what is known of ns.
func (s *streams) set(ns flow.Namespace, b *backing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.former[ns]; f != nil {
		for _, name := range b.older { // what took writes until now may hold anything
			b.dirty[name] = !slices.Contains(f.older, name) || f.dirty[name]
		}
	}
	s.known[ns], s.former[ns] = b, nil
}

// stale makes that what is known of ns is looked up again, if it is b still.
func (s *streams) stale(ns flow.Namespace, b *backing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[ns] == b {
		s.known[ns], s.former[ns] = nil, b
	}
}

// forget makes that ns begins with whatever is there.
func (s *streams) forget(ns flow.Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, ns)
	delete(s.former, ns)
}

// before returns what was known of ns before it had to be looked up again.
func (s *streams) before(ns flow.Namespace) *backing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.former[ns]
}

// soil notes that any index of ns may hold what no search sees yet.
func (s *streams) soil(ns flow.Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range []*backing{s.known[ns], s.former[ns]} {
		if b == nil {
			continue
		}
		for _, name := range b.older {
			b.dirty[name] = true
		}
	}
}

// wrote notes that an index was written that may take no more writes by now.
func (s *streams) wrote(ns flow.Namespace, index string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range []*backing{s.known[ns], s.former[ns]} {
		if b != nil && b.target.concrete != index {
			b.dirty[index] = true
		}
	}
}

// streamInfo is what the engine tells of a data stream.
type streamInfo struct {
	// indexes are in the order in which they were made; the last takes the writes.
	indexes []*indexInfo
}

func (x *streamInfo) write() *indexInfo { return x.indexes[len(x.indexes)-1] }

// ours returns our part of the _meta of the newest index that has one, nil for none.
func (x *streamInfo) ours() *meta {
	for _, one := range slices.Backward(x.indexes) {
		if m := one.meta(); m != nil {
			return m
		}
	}
	return nil
}

// lookupStream returns the data stream of that name, nil if there is none; an index
// or alias of that name is refused.
func (c *Client) lookupStream(ctx context.Context, name string) (*streamInfo, error) {
	var list struct {
		Streams []struct {
			Name    string `json:"name"`
			Indexes []struct {
				Name string `json:"index_name"`
			} `json:"indices"`
		} `json:"data_streams"`
	}
	err := c.call(ctx, "look up data stream", name, get("/_data_stream/"+url.PathEscape(name)+"?filter_path=data_streams.name,data_streams.indices.index_name"), &list)
	switch apiErrorOf(err).Status {
	case http.StatusMethodNotAllowed, http.StatusBadRequest:
		return nil, &flow.Error{
			Op: "look up data stream", Object: name, Class: flow.Config, Err: err,
			Hint: "this engine has no data streams: leave data_stream out, and write to an index",
		}
	case http.StatusNotFound:
		err = nil
	}
	if err != nil {
		return nil, err
	}
	var all map[string]*indexInfo
	path := "/" + url.PathEscape(name) + "?expand_wildcards=all&flat_settings=true&filter_path=*.aliases,*.mappings._meta,*.settings,*.data_stream"
	if err := c.call(ctx, "look up data stream", name, get(path), &all); err != nil {
		if apiErrorOf(err).Status == http.StatusNotFound {
			return nil, nil
		}
		return nil, err
	}
	if len(list.Streams) != 1 || list.Streams[0].Name != name {
		for one := range all {
			return nil, &flow.Error{
				Op: "use data stream", Object: name, Class: flow.Config,
				Err:  fmt.Errorf("there is an index or alias of this name (%s), and no data stream", one),
				Hint: "give the data stream another name (data_stream.name), or delete what bears this one",
			}
		}
		return nil, nil
	}
	x := &streamInfo{}
	for _, one := range list.Streams[0].Indexes {
		info := all[one.Name]
		if info == nil { // it rolls over just now
			return nil, &flow.Error{Op: "look up data stream", Object: name, Class: flow.Transient, Err: errChanging}
		}
		info.name = one.Name
		x.indexes = append(x.indexes, info)
	}
	if len(x.indexes) == 0 {
		return nil, &flow.Error{Op: "look up data stream", Object: name, Class: flow.Transient, Err: errChanging}
	}
	if mode := x.write().setting("index.mode"); mode == "time_series" {
		return nil, &flow.Error{
			Op: "use data stream", Object: name, Class: flow.Config,
			Err:  errors.New("it is a time series data stream (index.mode: time_series), which makes the ids of its documents itself"),
			Hint: "give the data stream another name (data_stream.name)",
		}
	}
	return x, nil
}

// backing returns the data stream of ns, ready to be written: it is made if there is
// none, and one that belongs to another flow is refused.
func (s *Sink) backing(ctx context.Context, ns flow.Namespace) (*backing, error) {
	if b := s.streams.of(ns); b != nil {
		return b, nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if b := s.streams.of(ns); b != nil {
		return b, nil
	}
	r, err := s.route(ns)
	if err != nil {
		return nil, err
	}
	former := s.streams.before(ns)
	created := false
	for range 3 { // what was looked up may change before it is used
		x, err := s.client.lookupStream(ctx, r.Index)
		if err != nil {
			return nil, err
		}
		if former != nil && !s.succeeds(ns, x, former) {
			return nil, &flow.Error{Op: "write to data stream", Object: r.Index, Class: flow.Fatal, Err: errStreamGone, Hint: hintMissing}
		}
		if x == nil {
			if created, err = s.createStream(ctx, &r); err != nil {
				return nil, err
			}
			continue
		}
		if err := s.claimStream(ctx, ns, x, created); err != nil {
			return nil, err
		}
		if created {
			s.client.log.LogAttrs(ctx, slog.LevelInfo, "data stream is there", slog.String(flow.LogNS, ns.String()), slog.String(flow.LogIndex, r.Index))
		}
		b := newBacking(ns, r, x)
		s.streams.set(ns, b)
		return b, nil
	}
	return nil, &flow.Error{Op: "prepare data stream", Object: r.Index, Class: flow.Transient, Err: errChanging}
}

// succeeds tells whether it is the data stream that b was, which has rolled over or
// lost old indexes since.
func (s *Sink) succeeds(ns flow.Namespace, x *streamInfo, b *backing) bool {
	return x != nil && slices.ContainsFunc(x.indexes, func(one *indexInfo) bool {
		return one.name == b.target.concrete && one.uuid() == b.target.uuid || s.claims(ns, one)
	})
}

// claims tells whether the _meta of an index says that ns goes there.
func (s *Sink) claims(ns flow.Namespace, x *indexInfo) bool {
	m := x.meta()
	return m.isOurs(x.name, &s.client.opts) && m.has(ns)
}

// newBacking is what was found.
func newBacking(ns flow.Namespace, r Route, x *streamInfo) *backing {
	b := &backing{target: newTarget(ns, r, x.write(), false), dirty: map[string]bool{}}
	for _, one := range x.indexes[:len(x.indexes)-1] {
		b.older = append(b.older, one.name)
		b.dirty[one.name] = true
	}
	return b
}

// claimStream checks whose data stream it is, and writes into the _meta of the index
// that takes the writes that ns goes there. The template does not say so: a data
// stream that was deleted, and that a late write made anew, is none of ours (S12).
func (s *Sink) claimStream(ctx context.Context, ns flow.Namespace, x *streamInfo, created bool) error {
	o := &s.client.opts
	for _, one := range x.indexes {
		m := one.meta()
		if m == nil {
			continue
		}
		if err := m.check(one.name, o); err != nil {
			return err
		}
		if !m.has(ns) {
			return &flow.Error{
				Op: "use data stream", Object: x.write().name, Class: flow.Config,
				Err:  fmt.Errorf("%s goes there, and %s would too, where documents of one _id are one document", m.Namespaces, ns),
				Hint: "give each collection a data stream of its own (data_stream.name, index_prefix)",
			}
		}
	}
	w := x.write()
	if m := w.meta(); m != nil && (m.Source != "" || o.Source == "") {
		return nil
	}
	m := meta{Format: metaFormat, Scheme: schemeNative, Flow: o.Flow, Source: o.Source, Namespaces: []string{ns.String()}, Created: created}
	if former := x.ours(); former != nil {
		m = *former
		if m.Source == "" {
			m.Source = o.Source
		}
	}
	return s.client.putMeta(ctx, w, &m)
}

// The UUID of a data stream, whose indexes come and go: one that we have written to,
// and one that is not known yet.
const (
	StreamUUID    = "data stream"
	newStreamUUID = "another data stream"
)

// inspectStream is Inspect for a data stream.
func (s *Sink) inspectStream(ctx context.Context, ns flow.Namespace, r Route) (Target, error) {
	x, err := s.client.lookupStream(ctx, r.Index)
	if err != nil || x == nil {
		return Target{}, err
	}
	t := Target{Index: r.Index, UUID: newStreamUUID, Exists: true}
	if slices.ContainsFunc(x.indexes, func(one *indexInfo) bool { return s.claims(ns, one) }) {
		t.UUID = StreamUUID
	}
	t.Docs, err = s.client.count(ctx, r.Index)
	return t, err
}

// applyStream is Apply where documents go to data streams.
func (s *Sink) applyStream(ctx context.Context, c flow.Control) error {
	switch c.Kind {
	case flow.ControlDropped:
		return s.droppedStream(ctx, c.NS)
	case flow.ControlCreated, flow.ControlReplaced, flow.ControlSnapshotBegin:
		return s.Prepare(ctx, c.NS)
	case flow.ControlSnapshotDone:
		b, err := s.backing(ctx, c.NS)
		if err != nil {
			return err
		}
		return s.client.refresh(ctx, b.target.name)
	}
	return nil
}

// droppedStream follows the drop of a collection: the data stream goes if that is
// wanted, and if we made it.
func (s *Sink) droppedStream(ctx context.Context, ns flow.Namespace) error {
	r, err := s.route(ns)
	if err != nil || r.Drop != DropIndex {
		return err
	}
	x, err := s.client.lookupStream(ctx, r.Index)
	if err != nil || x == nil {
		return err
	}
	log := s.client.log.With(slog.String(flow.LogNS, ns.String()), slog.String(flow.LogIndex, r.Index))
	m := x.ours()
	if !m.isOurs(r.Index, &s.client.opts) || !m.has(ns) || !m.Created {
		log.LogAttrs(ctx, slog.LevelWarn, "the collection was dropped; sluice has not made its data stream, which stays as it is")
		return nil
	}
	err = s.client.call(ctx, "delete data stream", r.Index, del("/_data_stream/"+url.PathEscape(r.Index)), nil)
	if err != nil && apiErrorOf(err).Status != http.StatusNotFound {
		return err
	}
	s.streams.forget(ns)
	log.LogAttrs(ctx, slog.LevelInfo, "the collection was dropped; its data stream is deleted")
	return nil
}
