package app

import (
	"context"
	"errors"
	"os"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/pipeline"
	"sluice/internal/web"
)

// listenAll starts every server that is configured, or none.
func (a *App) listenAll(ctx context.Context) ([]*web.Server, error) {
	var all []*web.Server
	for _, one := range []func() (*web.Server, error){a.listen, a.listenProbes, a.listenMonstache} {
		s, err := one()
		if err != nil {
			return nil, errors.Join(err, stopServers(ctx, all...))
		}
		all = append(all, s)
	}
	a.web = all[0]
	return all, nil
}

// listenMonstache starts the server with Monstache's paths, if one is configured.
func (a *App) listenMonstache() (*web.Server, error) {
	h := a.o.Config.HTTP.Monstache
	if h.Listen == "" {
		return nil, nil
	}
	m := &web.Monstache{Uptime: func() time.Duration { return time.Since(a.started) }, Instance: a.instance, Pprof: h.Pprof}
	if a.o.Config.Stats.On() {
		m.Stats = func() any { return a.WriteStats() }
	}
	s := web.New(web.Options{Listen: h.Listen, Setting: "http.monstache.listen", Monstache: m, Logger: a.o.Logger})
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// instance tells how we are as Monstache does: enabled if a flow runs that was not
// paused, and the time up to which every flow has settled what there was.
func (a *App) instance() web.Instance {
	i := web.Instance{PID: os.Getpid(), Hostname: hostname()}
	var last bson.Timestamp
	for n, f := range a.live() {
		if n == 0 {
			i.ResumeName = f.cfg.Name
		}
		st := f.status()
		i.Enabled = i.Enabled || st.State == "running" && st.Paused == ""
		i.InBackoff = i.InBackoff || st.Pump.State == pipeline.BlockedSink
		if !f.opened.Load() {
			continue
		}
		if at := f.source.Progress().SettledTime; !at.IsZero() && (last.IsZero() || at.Before(last)) {
			last = at
		}
	}
	if !last.IsZero() {
		i.LastTs = web.Timestamp{T: last.T, I: last.I}
		i.LastTsFormat = time.Unix(int64(last.T), 0).Local().Format("2006-01-02T15:04:05")
	}
	return i
}
