package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/search"
	"sluice/internal/transcode"
	"sluice/internal/transform"
)

const (
	// sampleDocs is how many documents of a namespace are compared with its
	// mapping, and sampled how many namespaces of a flow.
	sampleDocs = 200
	sampled    = 50
	// visitTimeout is that of a request to the engine.
	visitTimeout = 15 * time.Second
)

// flow looks at one flow, from its collections to its indexes.
func (d *doctor) flow(ctx context.Context, cfg *config.Flow) {
	run := &flowRun{o: Options{Config: d.cfg, Transport: d.o.Transport}, cfg: cfg, log: slog.New(slog.DiscardHandler)}
	route := run.route()
	run.templates, _ = templatesOf(cfg)                // checked when the configuration was read
	run.scripts, _ = scriptsOf(cfg, nil, run.log, nil) // likewise
	var collections []mongo.Collection
	if d.mongo != nil {
		var found flow.Findings
		collections, found = d.mongo.Flow(ctx, cfg.Name, run.mongoOptions())
		d.note(found)
	}
	saved := checkpoint.State{}
	if d.cfg.State.Store == config.StoreFile {
		var found flow.Findings
		saved, found = checkpoint.VisitFile(filepath.Join(d.cfg.State.Path, cfg.Name+".state"))
		d.note(found)
	}
	routes := d.routes(cfg, collections, route, run.templates)
	if d.cluster == nil {
		return
	}
	o := reachSearch(d.cfg.Search)
	o.Timeout = min(o.Timeout, visitTimeout)
	o.Flow, o.Transport, o.Route, o.Places, o.Stream = cfg.Name, d.o.Transport, route, placementOf(run.templates), streamOf(cfg)
	writing(&o, cfg)
	if d.mongo != nil {
		o.Source = d.mongo.Identity()
	}
	client, err := search.Open(ctx, o)
	if err != nil {
		d.f.Fail(flow.FindingError, "search.reachable", cfg.Name, err, "")
		return
	}
	defer client.Close()
	if d.cfg.State.Store != config.StoreFile {
		saved = d.savedElsewhere(ctx, cfg, client)
	}
	d.takeover(ctx, run, saved)
	d.indexes(ctx, run, collections, routes, client)
	d.files(ctx, run, collections, client)
	d.binding(ctx, cfg, saved, collections, routes, client)
}

// routes finds the index of each namespace; two may not share one (S10). A
// namespace without a place has a zero Route.
func (d *doctor) routes(cfg *config.Flow, all []mongo.Collection, route func(flow.Namespace) (search.Route, error), templates *transform.Places) []search.Route {
	const check = "search.places"
	out := make([]search.Route, len(all))
	sound := true
	for i, c := range all {
		r, err := route(c.NS)
		if err != nil {
			sound = false
			d.f.Fail(flow.FindingError, check, c.NS.String(), err, "")
			continue
		}
		if p := placementOf(templates); p != nil && (p.Shared || p.Prefix != nil) {
			out[i] = r // whose an index is, it tells itself
			continue
		}
		who := "flow " + cfg.Name + ", " + c.NS.String()
		if other, taken := d.places[r.Index]; taken {
			sound = false
			d.f.Add(flow.FindingError, check, r.Index, fmt.Sprintf("the index %s is that of %s, and of %s", r.Index, other, who),
				"the second one to start refuses to run", "give one of the flows another index or index_prefix")
			continue
		}
		d.places[r.Index] = who
		out[i] = r
	}
	if sound && len(all) > 0 {
		d.f.OK(check, cfg.Name, "each collection has an index of its own")
	}
	return out
}

// indexes looks at the index of each namespace, and tries our rights.
func (d *doctor) indexes(ctx context.Context, run *flowRun, all []mongo.Collection, routes []search.Route, client *search.Client) {
	tried := false
	for i, c := range all {
		if routes[i].Index == "" {
			continue
		}
		if !tried {
			tried = true
			d.note(client.VisitRights(ctx, c.NS, routes[i]))
		}
		var docs [][]byte
		if i < sampled {
			docs = d.sample(ctx, run, c, &routes[i])
		}
		shards, found := client.VisitIndex(ctx, c.NS, routes[i], docs)
		d.shards += shards
		d.note(found)
	}
	if d.cfg.State.Store == config.StoreSearch {
		d.note(client.VisitOwn(ctx, d.cfg.State.Index))
	}
	if layout := d.cfg.Stats.Index; layout != "" && !d.triedStats {
		d.triedStats = true
		d.note(client.VisitAdd(ctx, config.StatsIndex(layout, time.Now().UTC())))
	}
	if d.cfg.DeadLetters.Store == config.StoreSearch {
		d.note(client.VisitOwn(ctx, d.cfg.DeadLetters.Index+"-"+run.cfg.Name))
	}
}

// sample returns documents the way they will be written.
func (d *doctor) sample(ctx context.Context, run *flowRun, c mongo.Collection, r *search.Route) [][]byte {
	const check = "search.documents"
	raw, err := d.mongo.Sample(ctx, run.mongoOptions(), c, sampleDocs)
	if err != nil {
		d.f.Fail(flow.FindingWarning, check, c.NS.String(), err, "")
		return nil
	}
	raw = d.scripted(ctx, run, c.NS, raw)
	d.judgePlaces(run.templates, c.NS, raw, r)
	d.judgeTimes(run.cfg, c.NS, raw)
	var docs [][]byte
	var st transcode.Stats
	var first error
	bad := 0
	for _, doc := range raw {
		text, err := r.Plan.Append(nil, doc, &st)
		if err != nil {
			bad, first = bad+1, err
			continue
		}
		docs = append(docs, text)
	}
	if bad > 0 {
		d.f.Add(flow.FindingWarning, check, c.NS.String(), fmt.Sprintf("%s: %d of %d documents looked at can't be written as JSON", c.NS, bad, len(raw)),
			first.Error(), "they will lie in the dead letters; leave the field out (fields.exclude), or choose another rendering (render)")
	}
	return docs
}

// savedElsewhere loads a position that is not in a file.
func (d *doctor) savedElsewhere(ctx context.Context, cfg *config.Flow, client *search.Client) checkpoint.State {
	const check = "state.position"
	ctx, done := context.WithTimeout(ctx, visitTimeout)
	defer done()
	kept, err := openStores(ctx, d.cfg, cfg.Name, client)
	var rec checkpoint.Record
	var state checkpoint.State
	if err == nil {
		var store checkpoint.Store
		if store, _, err = kept.state(); err == nil {
			rec, err = store.Load(ctx)
		}
		_ = kept.close(context.WithoutCancel(ctx))
	}
	if err == nil {
		state, err = checkpoint.DecodeState(rec.Data)
	}
	switch {
	case err != nil:
		d.f.Fail(flow.FindingError, check, cfg.Name, err, "")
	case rec.Rev == "":
		d.f.OK(check, cfg.Name, "no position is saved: the first start copies everything")
	default:
		d.f.OK(check, cfg.Name, "a position is saved")
	}
	return state
}

// binding holds a saved position against what is there now (S12).
func (d *doctor) binding(ctx context.Context, cfg *config.Flow, saved checkpoint.State, all []mongo.Collection, routes []search.Route, client *search.Client) {
	const check = "state.binding"
	if len(saved.Position) == 0 || d.mongo == nil || d.mongo.Identity() == "" {
		return
	}
	var sound []flow.Namespace
	for i, c := range all {
		if routes[i].Index != "" {
			sound = append(sound, c.NS)
		}
	}
	now, err := newBinding(client.Sink(), cfg).find(ctx, d.mongo.Identity(), sound)
	if err != nil {
		return // what is wrong with an index is told already
	}
	decisions, err := checkpoint.Bind(saved, now, checkpoint.Choices{})
	if err != nil {
		d.f.Fail(flow.FindingError, check, cfg.Name, err, "")
		return
	}
	for _, x := range decisions {
		if x.Resync && (x.Reason == checkpoint.ReasonNoIndex || x.Reason == checkpoint.ReasonOtherIndex) {
			d.f.Add(flow.FindingWarning, check, x.NS, x.NS+" will be copied again at the next start", "its index was deleted or replaced since the position was saved", "")
		}
	}
	d.f.OK(check, cfg.Name, "the position belongs to this deployment and to these indexes")
}
