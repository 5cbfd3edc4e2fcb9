//go:build integration

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/testkit"
)

// watchStage is a stage whose configuration is a file that a test changes. In
// its texts DB stands for the database, N for a name of the stage, and DIR for a
// directory.
type watchStage struct {
	stage
	dir, path string
	head      string
	hangup    chan os.Signal
	transport http.RoundTripper
	accept    bool
}

func newWatchStage(t *testing.T) *watchStage {
	t.Helper()
	s := &watchStage{stage: newStage(t), dir: t.TempDir(), hangup: make(chan os.Signal, 1)}
	s.path = filepath.Join(s.dir, "sluice.yaml")
	s.head = fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q]}\nstate: {path: %q}\nhttp: {listen: off}\n",
		s.cfg.MongoDB.URI.Reveal(), s.cfg.Search.URLs[0], s.cfg.State.Path)
	return s
}

// fill puts names into a text.
func (s *watchStage) fill(text string) string {
	name := strings.ReplaceAll(s.db.Name(), ".", "-")
	return s.head + strings.NewReplacer("DB", s.db.Name(), "DIR", s.dir, "N-", name+"-").Replace(text)
}

// write puts the file there at once.
func (s *watchStage) write(t *testing.T, text string) {
	t.Helper()
	tmp := s.path + ".tmp"
	if err := os.WriteFile(tmp, []byte(s.fill(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, s.path); err != nil {
		t.Fatal(err)
	}
}

// start runs the App on the file; every is how often it is looked at.
func (s *watchStage) start(t *testing.T, every time.Duration) (*App, func() error) {
	t.Helper()
	return run(t, s.options(t, every))
}

func (s *watchStage) options(t *testing.T, every time.Duration) Options {
	t.Helper()
	load := func() (*config.Config, config.Files, error) { return config.LoadFiles(s.path, config.Overrides{}) }
	cfg, files, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Config: cfg, Transport: s.transport, AcceptShape: s.accept, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Watch: &Watch{Load: load, Files: files, Every: every, Hangup: s.hangup},
	}
}

// generation waits until that configuration is in force, and all is copied.
func generation(t *testing.T, a *App, n int) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		st := a.Status()
		if st.Config.Generation != n || st.Config.Error != "" {
			return fmt.Errorf("generation %d: %s", st.Config.Generation, st.Config.Error)
		}
		return copied(a)()
	})
}

// refused waits until a configuration is refused for a reason that says so.
func refused(t *testing.T, a *App, why string) ConfigStatus {
	t.Helper()
	var st ConfigStatus
	testkit.Eventually(t, time.Minute, func() error {
		st = *a.Status().Config
		if !strings.Contains(st.Error, why) || st.Refused == nil {
			return fmt.Errorf("%+v, want it refused for %q", st, why)
		}
		return nil
	})
	return st
}

// flowNamed returns the flow that runs under that name.
func flowNamed(t *testing.T, a *App, name string) *flowRun {
	t.Helper()
	all := a.live()
	i := slices.IndexFunc(all, func(f *flowRun) bool { return f.cfg.Name == name })
	if i < 0 {
		t.Fatalf("no flow %s: %s", name, a.Status().Text())
	}
	return all[i]
}

// read is how many documents the flow has read for copies.
func read(f *flowRun) int64 { return f.status().Source.Read }

// load writes to a collection until it is told to stop.
func (s *watchStage) load(t *testing.T, coll string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for i := 100_000; ; i++ {
			_, err := s.db.Collection(coll).InsertOne(ctx, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: i}})
			if ctx.Err() != nil {
				ended <- nil
				return
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

// whole waits until the index has as many documents as the collection.
func (s *watchStage) whole(t *testing.T, coll string) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		want, err := s.db.Collection(coll).CountDocuments(t.Context(), bson.D{})
		if err != nil {
			return err
		}
		base := s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll
		var out struct{ Count int64 }
		if err := errors.Join(ask(t.Context(), http.MethodPost, base+"/_refresh", "", nil), ask(t.Context(), http.MethodGet, base+"/_count", "", &out)); err != nil {
			return err
		}
		if out.Count != want {
			return fmt.Errorf("%s: %d of %d are indexed", coll, out.Count, want)
		}
		return nil
	})
}

func sure(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
