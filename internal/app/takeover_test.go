package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
)

// TestTakeoverOfCopies: nothing that may be incomplete counts as copied.
func TestTakeoverOfCopies(t *testing.T) {
	ns := flow.Namespace{DB: "a", Coll: "x"}
	f := func(want bool, left former, by config.CopiedBy, docs int64) {
		t.Helper()
		if got := left.copied(by, ns, docs); got != want {
			t.Errorf("%+v, %s, %d documents: %v", left, by, docs, got)
		}
	}
	f(true, former{}, config.CopiedIndexed, 5)
	f(false, former{}, config.CopiedIndexed, 0)
	f(false, former{}, config.CopiedListed, 5)
	f(false, former{kept: true}, config.CopiedIndexed, 5)
	f(false, former{kept: true, listed: []string{"a.y"}}, config.CopiedIndexed, 5)
	f(true, former{kept: true, listed: []string{"a.y", "a.x"}}, config.CopiedIndexed, 5)
	f(true, former{kept: true, listed: []string{"a.x"}}, config.CopiedListed, 5)
	f(false, former{kept: true, listed: []string{"a.x"}}, config.CopiedListed, 0)
}

func TestCopiedOf(t *testing.T) {
	x, y, z := flow.Namespace{DB: "a", Coll: "x"}, flow.Namespace{DB: "a", Coll: "y"}, flow.Namespace{DB: "a", Coll: "z"}
	p := mongo.Progress{Namespaces: []mongo.NamespaceProgress{{NS: x, Phase: "following"}, {NS: y, Phase: "copying"}, {NS: z, Phase: "following"}}}
	if got := copiedOf(p, func(ns flow.Namespace) bool { return ns != z }); !slices.Equal(got, []string{"a.x"}) {
		t.Errorf("%v", got)
	}
}

// fakeFormer is the state of another program.
type fakeFormer struct {
	mu     sync.Mutex
	at     bson.Timestamp
	names  []string
	writes int
	fail   error
}

func (f *fakeFormer) Save(_ context.Context, t bson.Timestamp, _ func(string) bool, _ []string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return false, f.fail
	}
	f.writes++
	f.at = t
	return false, nil
}

func (f *fakeFormer) AddCopied(_ context.Context, names []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, names...)
	return nil
}

// TestMirrorWritesWhatIsSettled: never before anything is, at most every ten
// seconds, and once more at the end.
func TestMirrorWritesWhatIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		db := &fakeFormer{}
		at, ok := bson.Timestamp{}, false
		set := func(t uint32, fail error) {
			db.mu.Lock()
			defer db.mu.Unlock()
			at, ok, db.fail = bson.Timestamp{T: t}, true, fail
		}
		settled := func() (bson.Timestamp, bool) {
			db.mu.Lock()
			defer db.mu.Unlock()
			return at, ok
		}
		m := &mirror{
			db: db, settled: settled, copied: func() []string { return []string{"a.x"} },
			log: slog.New(slog.NewTextHandler(&log, nil)), noted: map[string]bool{},
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { m.run(ctx); close(ended) }()
		check := func(after time.Duration, wantAt uint32, writes int, names ...string) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			db.mu.Lock()
			defer db.mu.Unlock()
			if db.at.T != wantAt || db.writes != writes || !slices.Equal(db.names, names) {
				t.Errorf("at %v after %d writes, %v", db.at, db.writes, db.names)
			}
		}
		check(5*time.Second+time.Millisecond, 0, 0)
		set(7, nil)
		check(time.Second, 7, 1, "a.x")
		set(8, nil)
		check(5*time.Second, 7, 1, "a.x")
		check(5*time.Second, 8, 2, "a.x")
		check(time.Minute, 8, 2, "a.x")
		set(9, errors.New("no primary"))
		check(50*time.Second, 8, 2, "a.x")
		if n := strings.Count(log.String(), "no primary"); n != 1 {
			t.Errorf("told %d times:\n%s", n, log.String())
		}
		set(10, nil)
		stop()
		<-ended
		check(0, 10, 3, "a.x")
	})
}

// TestStreamsOfMonstache: which of its streams count, and which it would have.
func TestStreamsOfMonstache(t *testing.T) {
	f := &flowRun{cfg: &config.Flow{Namespaces: []string{"a.x", "b.*", "a.y", "/^c/"}}}
	for _, one := range []struct {
		stream string
		want   bool
	}{{"", true}, {"b", true}, {"a", true}, {"c", true}} {
		if got := f.covers(one.stream); got != one.want {
			t.Errorf("%q: %v", one.stream, got)
		}
	}
	f.cfg.Namespaces = []string{"b.*"}
	if f.covers("a") || f.covers("bb") || !f.covers("b") {
		t.Error("databases are mixed up")
	}
	if got := fmt.Sprint(f.streams()); got != "[b]" {
		t.Error(got)
	}
}
