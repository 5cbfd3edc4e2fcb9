package app

import (
	"context"
	"log/slog"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
)

// begin is where the stream starts: at the saved position, or where the
// configuration has a flow without one start.
func (f *flowRun) begin(ctx context.Context) (flow.Position, error) {
	at := f.cfg.Stream.StartAt
	if len(f.saved.Position) > 0 || at == (config.StartAt{}) {
		return flow.Position(f.saved.Position), nil
	}
	t := at.Time
	var err error
	if at.Earliest {
		if t, err = f.source.Reach(ctx); err != nil {
			return "", err
		}
	}
	if err := f.source.MayBegin(ctx, "stream.start_at", t); err != nil {
		return "", err
	}
	f.log.Info("the changes begin where stream.start_at says", slog.Any(flow.LogTime, t))
	return mongo.PositionAt(t, nil), nil
}

// reserved are the databases that hold the state of others.
func (f *flowRun) reserved() []string {
	if !f.cfg.Takeover.Given() {
		return nil
	}
	return []string{f.cfg.Takeover.Database}
}

// onDrop is what a drop of ns leads to.
func (f *flowRun) onDrop(ns flow.Namespace) config.DropPolicy {
	if !f.cfg.Stream.CountsDrop(ns.String()) {
		return config.DropIgnore
	}
	return f.cfg.On.Drop
}
