package app

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/mongo"
	"sluice/internal/mongo/vitals"
)

// governorLimits turn what the configuration does not ask for ("0") into bounds
// that nothing reaches.
func governorLimits(g config.Governor) governor.Options {
	out := governor.Options{
		MaxLag: g.MaxLag, MinWindow: g.MinOplogWindow, MaxDirty: g.MaxDirty, MaxQueued: int64(g.MaxQueue),
		AllowUnknownLag: g.UnknownLag == config.LagAllow, PauseFile: g.PauseFile,
	}
	if out.MaxLag == 0 {
		out.MaxLag = math.MaxInt64
	}
	if out.MaxQueued == 0 {
		out.MaxQueued = math.MaxInt64
	}
	if out.MaxDirty == 0 {
		out.MaxDirty = math.SmallestNonzeroFloat64
	}
	return out
}

// openPace makes what paces the copies of the flow; nil if nothing does. A copy
// only reads, so an unknown lag does not hold it up, and the oplog's window is
// watched by the source itself, against where its stream is.
func (f *flowRun) openPace(ctx context.Context) (mongo.Pacer, error) {
	if f.cfg.Snapshot.Pace != config.PaceAuto || !f.cfg.Snapshot.Enabled {
		return nil, nil
	}
	v, err := vitals.Open(ctx, f.o.Config.MongoDB.URI.Reveal(), "sluice "+Version)
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, v.Close)
	o := governorLimits(f.o.Config.Governor)
	o.AllowUnknownLag = true
	o.Load = func(ctx context.Context) (governor.Load, error) {
		l, err := v.Load(ctx)
		l.WindowKnown = false
		return l, err
	}
	o.Who, o.Logger, o.Waited = "the snapshot", f.log, f.metrics.mongo.Waited
	return governor.New(o), nil
}

// endBulkLoads puts back what a copy of an earlier run has changed in indexes
// that are not copied to now: it may have been killed, and the flow may follow
// other collections since.
func (f *flowRun) endBulkLoads(ctx context.Context) error {
	followed := map[string]bool{}
	for _, n := range f.source.Progress().Namespaces {
		followed[n.NS.String()] = true
		if n.Phase != "following" || !f.writes(n.NS) {
			continue
		}
		if err := f.sink.Restore(ctx, n.NS); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.saved.Targets)) {
		ns, ok := flow.ParseNamespace(name)
		if !ok || followed[name] {
			continue
		}
		if err := f.sink.Restore(ctx, ns); err != nil {
			f.log.Warn("the index of a collection that is no longer followed may keep the refresh interval of a snapshot",
				slog.String(flow.LogNS, name), slog.Any(flow.LogErr, err))
		}
		f.places.release(ns) // another may have its index
	}
	return nil
}
