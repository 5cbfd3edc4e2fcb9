//go:build integration

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// The library that rotates logs keeps a goroutine for each file until the process ends.
func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun")))
}

// stage is a database and a configuration that follows all of it.
type stage struct {
	db  *driver.Database
	cfg *config.Config
}

func newStage(t *testing.T) stage {
	t.Helper()
	m, s := testkit.SharedMongo(t), testkit.SharedSearch(t)
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	name := testkit.UniqueName(t)
	cfg, err := config.FromFlags(config.Overrides{MongoDB: m.URI(), Search: []string{s.URL()}, Namespaces: []string{name + ".*"}, State: t.TempDir(), Listen: "off"})
	if err != nil {
		t.Fatal(err)
	}
	return stage{client.Database(name), cfg}
}

func (s stage) insert(t *testing.T, coll string, n int) {
	t.Helper()
	docs := make([]any, n)
	for i := range docs {
		docs[i] = bson.D{{Key: "_id", Value: i}, {Key: "n", Value: i}}
	}
	if _, err := s.db.Collection(coll).InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// run starts an App; the result drains it and returns what Run returned.
func run(t *testing.T, o Options) (a *App, stop func() error) {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	a = New(o)
	drain, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(context.Background(), drain) }()
	return a, func() error {
		close(drain)
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return errors.New("it does not end")
		}
	}
}

func copied(a *App) func() error {
	return func() error {
		if st := a.Status(); !st.Copied() {
			return fmt.Errorf("not copied: %s", st.Text())
		}
		return nil
	}
}

// TestStartAndDrain: everything starts, copies, follows, drains, and leaves no
// goroutine behind (testkit.Main looks).
func TestStartAndDrain(t *testing.T) {
	s := newStage(t)
	s.insert(t, "a", 500)
	s.insert(t, "b", 10)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	s.insert(t, "c", 20)
	testkit.Eventually(t, time.Minute, func() error {
		if n := a.Status().Settled(); n < 530 {
			return fmt.Errorf("%d changes settled", n)
		}
		return nil
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestDrainWhileStarting: a signal before anything is connected ends it.
func TestDrainWhileStarting(t *testing.T) {
	s := newStage(t)
	_, stop := run(t, Options{Config: s.cfg})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestS12ShapeRefused: a configuration that shapes documents otherwise is
// refused, accepted, or copied again, as the user says.
func TestS12ShapeRefused(t *testing.T) {
	s := newStage(t)
	s.insert(t, "a", 50)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.cfg.Flows[0].Fields.Exclude = []string{"n"}
	err := New(Options{Config: s.cfg}).Run(t.Context(), nil)
	if flow.ClassOf(err) != flow.Config {
		t.Fatalf("got %v, want a refusal", err)
	}
	a, stop = run(t, Options{Config: s.cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, func() error {
		if read := a.Status().SnapshotRead(); read < 50 {
			return fmt.Errorf("%d documents read again", read)
		}
		return copied(a)()
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	a, stop = run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	if read := a.Status().SnapshotRead(); read != 0 {
		t.Errorf("%d documents were read again, though the shape fits", read)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
