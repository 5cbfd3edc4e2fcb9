package app

import (
	"context"
	"fmt"
	"time"
)

// ready is nil when every flow runs, its position is saved, both servers
// answer and, if asked for, it is caught up within http.ready_lag.
func (a *App) ready(ctx context.Context) error {
	for _, f := range a.live() {
		if f.life.quiet.Load() {
			continue
		}
		if err := f.ready(ctx, a.config().HTTP.ReadyLag); err != nil {
			return fmt.Errorf("flow %s: %w", f.cfg.Name, err)
		}
	}
	return a.archiveReady(ctx)
}

func (f *flowRun) ready(ctx context.Context, maxLag time.Duration) error {
	st := f.status()
	if st.State != "running" {
		return fmt.Errorf("it is %s", st.State)
	}
	if err := f.keeper.Err(); err != nil {
		return fmt.Errorf("the position is not saved: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := f.source.Ping(ctx); err != nil {
		return err
	}
	if err := f.client.Ping(ctx); err != nil {
		return err
	}
	if maxLag > 0 && f.cfg.Stream.Enabled && (st.Source.LagSeconds < 0 || st.Source.LagSeconds > maxLag.Seconds()) {
		return fmt.Errorf("it is %.1f s behind, more than http.ready_lag (%s)", st.Source.LagSeconds, maxLag)
	}
	return nil
}
