//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
)

// TestErrorStateLocked: a second process may not work on the same state.
func TestErrorStateLocked(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 100)
	p := following(t, b.args("orders")...)
	wantFailure(t, 1, b.args("orders"), []string{
		filepath.Join(b.state, "sync.state"), fmt.Sprintf("process %d", p.cmd.Process.Pid), "in use", "another state path",
	})
	set(t, coll, 1, "while", "the other was refused")
	p.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	p.kill() // the lock goes with the process, however that ends
	q := following(t, b.args("orders")...)
	set(t, coll, 2, "after", "the first has ended")
	q.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
}

// TestErrorStateTakenOver: where the state has no lock, the second process has
// it, and the first hears of that before it saves anything.
func TestErrorStateTakenOver(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 100)
	file := configFile(t, fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q]}
state: {store: search, index: %s-state}
flows: [{name: %s, namespaces: [%q]}]
`, b.uri, b.search, b.db.Name(), b.db.Name(), b.db.Name()+".orders"))
	p := following(t, "run", "-c", file)
	copied := time.Now()
	p.eventually(t, 20*time.Second, func() error {
		if at := p.flowStatus(t).Saved; at.Before(copied) {
			return fmt.Errorf("the position was last saved at %s", at)
		}
		return nil
	})
	q := following(t, "run", "-c", file)
	set(t, coll, 1, "after", "the take-over")
	if code := p.wait(t, 30*time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	wantWords(t, lastWords(p.output()), "another sluice took over", fmt.Sprintf("process %d", q.cmd.Process.Pid), "let one sluice work on a flow")
	q.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	if st, err := q.status(t.Context()); err != nil || st.SnapshotRead() != 0 {
		t.Errorf("%d documents were copied again: %v", st.SnapshotRead(), err)
	}
	q.wantDrain(t)
}

// TestErrorStateReadOnly: the state can't be written where it should be.
func TestErrorStateReadOnly(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 10)
	good := b.state
	file := filepath.Join(good, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.state = filepath.Join(file, "state")
	wantFailure(t, 2, b.args("orders"), []string{b.state, "not a directory", "writable"})
	b.state = filepath.Join(good, "locked")
	if err := os.Mkdir(b.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if setReadOnly(t, b.state) {
		wantFailure(t, 2, b.args("orders"), []string{b.state, "open ", "writable"})
	}
	b.state = good
	following(t, b.args("orders")...).wantDrain(t)
}

// TestErrorStateFull: no room for the position in the middle: the work goes on,
// the status and /readyz tell, and it is saved as soon as there is room.
func TestErrorStateFull(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 300)
	fill := smallDisk(t, b.state)
	p := following(t, b.args("orders")...)
	p.eventually(t, 10*time.Second, func() error { return ready(t.Context(), p, http.StatusOK) })
	free := fill()
	set(t, coll, 1, "while", "there is no room")
	p.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	p.eventually(t, 20*time.Second, func() error {
		return ready(t.Context(), p, http.StatusServiceUnavailable, "the position is not saved", b.state, "make room")
	})
	f := p.flowStatus(t)
	wantWords(t, f.SaveError, b.state, "nothing is lost")
	before := f.Saved
	wantWords(t, p.output(), "state not saved; work goes on", "sync.state")
	free()
	p.eventually(t, 20*time.Second, func() error { return ready(t.Context(), p, http.StatusOK) })
	if f := p.flowStatus(t); f.SaveError != "" || !f.Saved.After(before) {
		t.Errorf("saved %s, before %s: %s", f.Saved, before, f.SaveError)
	}
	wantWords(t, p.output(), "state is saved again")
	p.wantDrain(t)

	// Full at the start: nothing begins that could not be kept.
	if _, err := coll.DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 9}}}}); err != nil {
		t.Fatal(err)
	}
	free = fill()
	wantFailure(t, 1, b.args("orders"), []string{filepath.Join(b.state, "sync.state"), "make room"})
	if err := os.Remove(filepath.Join(b.state, "filler")); err == nil { // a disk, so a flow without a state can be tried
		free = fill()
		wantFailure(t, 1, append(b.args("orders"), "--name", "other"), []string{filepath.Join(b.state, "other.state"), "make room"})
	}
	free()
	q := following(t, b.args("orders")...)
	q.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	if st, err := q.status(t.Context()); err != nil || st.SnapshotRead() != 0 {
		t.Errorf("%d documents were copied again: %v", st.SnapshotRead(), err)
	}
}

// ready is nil when /readyz answers with status and says all words.
func ready(ctx context.Context, p *process, status int, words ...string) error {
	code, body, err := fetch(ctx, "http://"+p.addr+"/readyz", "")
	if err != nil {
		return err
	}
	if code != status {
		return fmt.Errorf("/readyz: %d %s", code, body)
	}
	for _, w := range words {
		if !strings.Contains(body, w) {
			return fmt.Errorf("/readyz lacks %q: %s", w, body)
		}
	}
	return nil
}

// fetch asks with a bearer token, if it is not empty.
func fetch(ctx context.Context, url, token string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// smallDisk makes dir a disk of its own that fill fills up, if this user may
// mount one; else fill puts a folder where the next state is to be written,
// which fails at the same step. fill returns what undoes it.
func smallDisk(t *testing.T, dir string) (fill func() (free func())) {
	t.Helper()
	if !mountSmall(t, dir) {
		t.Log("no disk can be mounted here: a folder is in the way instead")
		blocker := filepath.Join(dir, "sync.state.tmp")
		return func() func() {
			testkit.Eventually(t, 10*time.Second, func() error { return os.Mkdir(blocker, 0o700) })
			return func() {
				if err := os.Remove(blocker); err != nil {
					t.Error(err)
				}
			}
		}
	}
	filler := filepath.Join(dir, "filler")
	return func() func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if !isFull(err) {
			t.Fatal(errors.New("the disk never got full"), err)
		}
		return func() {
			if err := os.Remove(filler); err != nil {
				t.Error(err)
			}
		}
	}
}
