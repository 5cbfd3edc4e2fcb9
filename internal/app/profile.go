package app

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/pipeline"
	"sluice/internal/search"
	"sluice/internal/transcode"
)

// writing tells the sink by whose ways, and how, a flow writes.
func writing(o *search.Options, cfg *config.Flow) {
	o.Profile, o.Write = search.Profile(cfg.Profile), search.Write(cfg.Write)
}

// renderOf is how the values of a flow are written. The profile of Monstache has
// formats of its own.
func renderOf(cfg *config.Flow) transcode.Options {
	r := cfg.Render
	if cfg.Profile == config.ProfileMonstache {
		return transcode.Options{Style: transcode.StyleMonstache, NonFinite: transcode.NonFiniteFormat(r.NonFinite)}
	}
	return transcode.Options{
		Dates: transcode.DateFormat(r.Dates), Decimal: transcode.DecimalFormat(r.Decimals),
		NonFinite: transcode.NonFiniteFormat(r.NonFinite), BadNames: transcode.BadNames(r.BadNames),
	}
}

// keysOf leads ids of the index back to keys; nil where each leads to one.
func keysOf(cfg *config.Flow) func(id string) (likely, others []bson.RawValue) {
	if cfg.Profile == config.ProfileMonstache {
		return transcode.GoKeys
	}
	return nil
}

// ghosts removes the ghosts of a flow. Where documents have no versions, what has
// changed since it was scanned stays.
func (f *flowRun) ghosts() pipeline.Ghosts {
	g := pipeline.Ghosts{
		Scan: f.sink.ScanIDs, Keys: keysOf(f.cfg), Missing: f.source.Missing, Archived: f.archived, Write: f.sink, Logger: f.log,
	}
	if f.cfg.Write == config.WriteUpdate {
		one := f.sink.Ghosts()
		g.Scan, g.Write = one.Scan, one
	}
	return g
}

// whyGhostsStay tells why nothing may be removed from the index of ns as a ghost; ""
// if it may.
func (f *flowRun) whyGhostsStay(ctx context.Context, ns flow.Namespace) (string, error) {
	if f.leavesGhosts(ns) {
		return "with on.archive: keep they can't be told from archived ones", nil
	}
	if f.cfg.Profile != config.ProfileMonstache {
		return "", nil
	}
	t, err := f.sink.Inspect(ctx, ns)
	if err == nil && t.Shared {
		return "other collections have written to it too, and nothing tells their documents apart", nil
	}
	return "", err
}
