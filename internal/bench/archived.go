package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"sluice/internal/app"
	"sluice/internal/config"
)

// phase is a part of a run.
type phase struct {
	Name    string
	Seconds float64
}

// archiveOptions makes a configuration of one rule with default settings, but
// that it may take the whole collection, and that the governor does not mind
// what the benchmarks before have left: an oplog that was written full within
// minutes, and a cache that is dirty of it.
func archiveOptions(p params) (app.ArchiveOptions, error) {
	if err := os.MkdirAll(p.State, 0o700); err != nil {
		return app.ArchiveOptions{}, err
	}
	file := filepath.Join(p.State, "sluice.yaml")
	text := fmt.Sprintf(`mongodb: {uri: %q}
state: {path: %s}
governor: {min_oplog_window: 0, max_dirty: 1}
archive:
  - {name: bench, namespace: %s, field: created, older_than: 30d, to: "file://%s", max_share: 1}
`, p.URI, p.State, p.Namespaces[0], filepath.Join(p.State, "archive"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return app.ArchiveOptions{}, err
	}
	cfg, err := config.Load(file, config.Overrides{})
	return app.ArchiveOptions{
		Config: cfg, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, err
}

// sluiceArchive is `sluice archive run --once`.
func sluiceArchive(ctx context.Context, p params) (result, error) {
	o, err := archiveOptions(p)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	reports, err := app.ArchiveRunRules(ctx, o, make(chan struct{}), true)
	if err != nil {
		return result{}, err
	}
	r := result{Seconds: since(start)}
	if len(reports) != 1 || reports[0].Deleted != p.N {
		return r, fmt.Errorf("not all of %d documents were archived: %+v", p.N, reports)
	}
	r.Docs = reports[0].Deleted
	in := reports[0].Phases
	for _, s := range []struct {
		name string
		took time.Duration
	}{{"read", in.Read}, {"pack", in.Pack}, {"upload", in.Upload}, {"verify", in.Verify}, {"commit", in.Commit}, {"delete", in.Delete}} {
		r.Phases = append(r.Phases, phase{s.name, s.took.Seconds()})
	}
	return r, nil
}

// sluiceRestoreArchive is `sluice restore --rule bench` of what that archived.
func sluiceRestoreArchive(ctx context.Context, p params) (result, error) {
	o, err := archiveOptions(p)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	done, err := app.Restore(ctx, o, app.RestoreOptions{})
	if err == nil && done.Inserted != p.N {
		err = errors.New("not all documents came back")
	}
	return result{Docs: done.Inserted, Seconds: since(start)}, err
}

// insertOld inserts the same documents, in memory, in one call of the driver.
func insertOld(ctx context.Context, p params) (result, error) { return insertAll(ctx, p, old) }
