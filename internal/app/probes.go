package app

import (
	"context"
	"errors"

	"sluice/internal/web"
)

// listenProbes starts the server for supervisors without a token, if one is
// configured.
func (a *App) listenProbes() (*web.Server, error) {
	h := a.o.Config.HTTP
	if h.Probes == "" {
		return nil, nil
	}
	s := web.New(web.Options{Listen: h.Probes, Setting: "http.probes", Probes: true, Ready: a.ready, Logger: a.o.Logger})
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// stopServers ends what was started of them; nil is none.
func stopServers(ctx context.Context, servers ...*web.Server) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer done()
	var err error
	for _, s := range servers {
		if s != nil {
			err = errors.Join(err, s.Stop(ctx))
		}
	}
	return err
}
