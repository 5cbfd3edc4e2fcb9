package checkpoint

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// A flow saves rising positions while the disk fails at any step and the
// process dies at any time. What the next life finds is never older than the
// last save that was acknowledged, and never newer than the last one tried.
func TestS3KeeperOverADiskThatFails(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		l := &life{path: filepath.Join(dir, fmt.Sprint(runs))}
		l.start(t)
		defer func() { _ = l.store.Close() }()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				if err := l.store.Close(); err != nil {
					t.Fatal(err)
				}
				l.start(t)
			case 1, 2, 3:
				step := rapid.SampledFrom([]string{"create", "write", "sync", "close", "rename", "syncDir"}).Draw(t, "step")
				l.store.disk = &badDisk{step: step, err: syscall.ENOSPC}
				if l.save(t) == nil {
					t.Fatalf("a save went well although %s failed", step)
				}
				l.store.disk = osDisk{}
			default:
				if err := l.save(t); err != nil {
					t.Fatal(err)
				}
				l.acked = l.tried
			}
		}
	})
}

// life is one process after the other on one file.
type life struct {
	path         string
	store        *FileStore
	keeper       *Keeper
	acked, tried int
}

// start opens the file as a new process would, and checks what it finds.
func (l *life) start(t *rapid.T) {
	s, err := OpenFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.store, l.keeper = s, NewKeeper(KeeperOptions{Store: s, Flow: "shop"})
	state, err := l.keeper.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	if state.Position != nil {
		if err := json.Unmarshal(state.Position, &found); err != nil {
			t.Fatal(err)
		}
	}
	if found < l.acked || found > l.tried {
		t.Fatalf("found %d; %d was acknowledged, %d was tried last", found, l.acked, l.tried)
	}
	// From here on it is what a save has to be newer than.
	l.acked, l.tried = found, found
}

func (l *life) save(t *rapid.T) error {
	l.tried++
	return l.keeper.Save(t.Context(), at(l.tried))
}
