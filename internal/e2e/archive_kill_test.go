//go:build integration

package e2e

import (
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/cold"
)

// atWork are the states of a pack that is not done.
func atWork() []cold.PackState {
	return []cold.PackState{
		cold.PackPlanned, cold.PackSpooled, cold.PackPacked, cold.PackUploaded, cold.PackVerified,
		cold.PackCommitted, cold.PackDeleting, cold.PackDeleted,
	}
}

// TestA1ArchiveKillNine kills the program at random times while users change,
// replace, delete and insert again what it archives: after each kill, in the
// middle of each run and at the end, every document that a user has committed
// and not deleted is live bit for bit, or in a committed pack. At last all come
// back, none twice.
func TestA1ArchiveKillNine(t *testing.T) {
	t.Parallel()
	const docs = 3000
	v := newVault(t, vaultOptions{Rule: ", pack_size: 1MB, batch: {docs: 250}, schedule: {every: 1s}, limits: {docs_per_second: 5000}"})
	v.fill(t, docs, 600)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	u := startUsers(t, v, docs, 3, seed)
	verbs := [][]string{{"archive", "run", "--once", "-c", v.file}, {"archive", "run", "-c", v.file}}
	killed, found := 0, map[cold.PackState]int{}
	for i := range rounds(10, 100) {
		p := launch(t, verbs[i%2]...)
		pause(t.Context(), time.Duration(50+r.IntN(1000))*time.Millisecond)
		u.wantHeld(t)
		p.kill()
		if p.cmd.ProcessState.ExitCode() < 0 {
			killed++
		}
		u.wantHeld(t)
		for _, p := range v.packsIn(t, atWork()...) {
			found[p.State]++
		}
		v.handBack(t)
		u.untouched(t, 1500)
	}
	u.end(t)
	v.runOnce(t)
	v.runOnce(t) // what had changed at the first
	u.wantHeld(t)
	t.Logf("%d processes killed, packs left %v, %d writes by users, %d of unknown outcome", killed, found, u.ops.Load(), u.lost.Load())
	if killed < rounds(5, 50) || len(found) == 0 {
		t.Errorf("only %d processes were at work when they were to be killed", killed)
	}
	if left := v.packsIn(t, atWork()...); len(left) > 0 {
		t.Errorf("left unfinished: %+v", left)
	}
	v.must(t, "archive", "verify", "--deep")
	u.wantBack(t)
}

// wantBack restores everything: each document is there once, as it was last
// committed; of one that a user deleted, an archived version at most.
func (u *users) wantBack(t *testing.T) {
	t.Helper()
	proofs, err := u.v.deleted(t.Context(), u.store, u.cache)
	if err != nil {
		t.Fatal(err)
	}
	// An older version does not come back over what a user has put in its place.
	got := u.v.do(t, "restore", "--all")
	for line := range strings.Lines(got.out) {
		if strings.HasPrefix(line, u.v.ns()+" ") && !strings.Contains(line, "conflict: another document with this key is live") {
			t.Errorf("it says %s", line)
		}
	}
	if got.code != 0 && got.code != 3 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.out, got.errOut)
	}
	live := u.v.raw(t) // fails if an _id is there twice
	for i := range u.keys {
		k, doc := &u.keys[i], live[rawInt(i)]
		_, archived := proofs[sha256.Sum256([]byte(doc))]
		switch {
		case slices.Contains(k.last, doc):
		case doc != "" && archived && slices.Contains(k.last, "") && slices.Contains(k.ever, doc):
		default:
			t.Errorf("_id %d came back as %x", i, doc)
		}
	}
	for id, doc := range u.others {
		if live[id] != doc {
			t.Errorf("_id %s came back as %x", id, live[id])
		}
	}
}
