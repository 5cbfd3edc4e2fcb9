package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"sluice/internal/app"
	"sluice/internal/config"
	"sluice/internal/search"
)

// running is the product, running in this process with default settings.
type running struct {
	*app.App
	stop  chan struct{}
	ended chan error
}

// start makes a configuration of one flow and runs it.
func start(ctx context.Context, p params) (*running, error) {
	url := p.Search
	if url == "" {
		url = "http://127.0.0.1:9" // nobody asks it
	}
	cfg, err := config.FromFlags(config.Overrides{
		MongoDB: p.URI, Search: []string{url}, Namespaces: p.Namespaces, State: p.State, Listen: "off",
	})
	if err != nil {
		return nil, err
	}
	o := app.Options{
		Config: cfg, Once: p.Once,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if p.Search == "" {
		o.Transport = search.NewDiscard()
		cfg.DeadLetters.Store, cfg.DeadLetters.Path = config.StoreFile, p.State
	}
	r := &running{App: app.New(o), stop: make(chan struct{}), ended: make(chan error, 1)}
	go func() { r.ended <- r.Run(ctx, r.stop) }()
	return r, nil
}

// patience ends what seems to hang.
const patience = 90 * time.Second

// await asks until done says so. It returns early, with its error if there was
// one, when the flow ends by itself.
func (r *running) await(every time.Duration, done func(app.Status) bool) error {
	moved, last := time.Now(), int64(-1)
	for !done(r.Status()) {
		select {
		case err := <-r.ended:
			r.ended <- err
			if err == nil && !done(r.Status()) {
				err = fmt.Errorf("it ended with %d changes settled", r.Status().Settled())
			}
			return err
		default:
		}
		if n := r.Status().Settled(); n != last {
			moved, last = time.Now(), n
		}
		if time.Since(moved) > patience {
			text, _ := r.Status().JSON()
			return fmt.Errorf("nothing has moved for %s\n%s", patience, text)
		}
		time.Sleep(every)
	}
	return nil
}

// drain ends the flow as a signal would, and waits for it.
func (r *running) drain() error {
	close(r.stop)
	return <-r.ended
}

// poll is how often a long run is looked at: seldom enough to cost nothing.
const poll = 4 * time.Millisecond

// sluiceSnapshot copies the namespaces until N documents are settled, or with
// Once until it ends by itself. The clock starts when the first batch was read.
func sluiceSnapshot(ctx context.Context, p params) (result, error) {
	engine := cpuOf(p.PID)
	r, err := start(ctx, p)
	if err != nil {
		return result{}, err
	}
	if err := r.await(poll/4, func(s app.Status) bool { return s.SnapshotRead() > 0 }); err != nil {
		return result{}, err
	}
	begun := time.Now()
	if err := r.await(poll, func(s app.Status) bool { return s.SnapshotSettled() >= p.N }); err != nil {
		return result{}, err
	}
	out := result{Docs: r.Status().SnapshotSettled(), Seconds: since(begun)}
	out.Stream = r.Status().Settled() - out.Docs
	if p.Once {
		return out, <-r.ended
	}
	if err := r.drain(); err != nil || p.Search == "" {
		return out, err
	}
	err = settleEngine(ctx, p.Search, p.Namespaces[0])
	out.Engine = cpuOf(p.PID) - engine
	return out, err
}

// sluiceStream goes on from a saved position until N changes are settled. The
// clock starts when everything is connected, before the first reply is asked for.
func sluiceStream(ctx context.Context, p params) (result, error) {
	r, err := start(ctx, p)
	if err != nil {
		return result{}, err
	}
	isRunning := func(s app.Status) bool { return len(s.Flows) > 0 && s.Flows[0].State == "running" }
	if err := r.await(poll/16, isRunning); err != nil {
		return result{}, err
	}
	begun := time.Now()
	if err := r.await(poll, func(s app.Status) bool { return s.Settled() >= p.N }); err != nil {
		return result{}, err
	}
	st := r.Status()
	out := result{Docs: p.N, Seconds: since(begun), Queries: st.Rereads(), Stream: st.Settled()}
	if n := st.SnapshotRead(); n > 0 {
		return out, fmt.Errorf("%d documents came by a snapshot: it did not go on from its position", n)
	}
	return out, r.drain()
}
