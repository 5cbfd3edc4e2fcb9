//go:build integration

package e2e

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/testkit"
)

// TestA2ArchiveBacklog: ten times the documents go in one run, in parallel
// ranges, and each comes back once.
func TestA2ArchiveBacklog(t *testing.T) {
	t.Parallel()
	few, many := newVault(t, vaultOptions{Rule: ", parallel: 4"}), newVault(t, vaultOptions{Rule: ", parallel: 4"})
	for v, n := range map[*vault]int{few: 1500, many: 15_000} {
		v.fill(t, n, 20)
		before := v.raw(t)
		if r := v.runOnce(t); r.Deleted != int64(n) || r.Changed+r.Gone != 0 || r.Run == nil || r.Run.State != cold.RunClosed || !r.Run.Complete {
			t.Fatalf("%+v", r)
		}
		if left := v.count(t); left != n {
			t.Fatalf("%d documents are left of %d", left, 2*n)
		}
		if packs := v.packsIn(t, cold.PackClosed); n == 15_000 && len(packs) < 3 {
			t.Errorf("%d packs of 4 ranges", len(packs))
		}
		if r := v.runOnce(t); r.Run != nil || r.Deleted != 0 {
			t.Errorf("the second run finds %+v", r)
		}
		v.must(t, "restore", "--all")
		wantSame(t, v.raw(t), before)
	}
}

// TestA2ArchiveDaemon: by a schedule, what grows old later goes too, and a
// young document stays.
func TestA2ArchiveDaemon(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{Rule: ", schedule: {every: 1s}"})
	v.fill(t, 200, 0)
	p := start(t, "run", "-c", v.file)
	left := func(n int) func() error {
		return func() error {
			got, err := v.coll().CountDocuments(t.Context(), bson.D{})
			if err == nil && int(got) != n {
				err = fmt.Errorf("%d documents are left, want %d", got, n)
			}
			return err
		}
	}
	p.eventually(t, 30*time.Second, left(200))
	v.add(t, 1000, 1100, 0, time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))
	p.eventually(t, 30*time.Second, left(200))
	// One that was young is old now.
	set(t, v.coll(), 200, "at", time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC))
	p.eventually(t, 30*time.Second, left(199))
	// The delete is seen before its run is closed.
	p.eventually(t, 30*time.Second, func() error {
		n, err := v.own("archive_runs").CountDocuments(t.Context(), bson.D{{Key: "rule", Value: v.rule}, {Key: "state", Value: cold.RunClosed}})
		if err == nil && n < 3 {
			err = fmt.Errorf("%d runs are closed", n)
		}
		return err
	})
	p.wantDrain(t)
	var runs []struct{ Run cold.Run }
	v.json(t, &runs, "archive", "ls", "--rule", v.rule)
	docs := int64(0)
	for _, r := range runs {
		docs += r.Run.Docs
		if r.Run.State != cold.RunClosed {
			t.Errorf("%+v", r.Run)
		}
	}
	if docs != 301 || len(runs) < 3 {
		t.Errorf("%d runs with %d documents", len(runs), docs)
	}
}

// TestA2ArchiveSoak: what is committed is deleted no sooner than the soak says,
// by a later run, and what changed meanwhile stays.
func TestA2ArchiveSoak(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{Rule: ", soak: 1d"})
	v.fill(t, 300, 0)
	before := v.raw(t)
	r := v.runOnce(t)
	if r.Deleted != 0 || r.Waiting != 1 || r.Run == nil || r.Run.State != cold.RunSoaking {
		t.Fatalf("%+v", r)
	}
	objects := v.objects(t)
	if r = v.runOnce(t); r.Deleted != 0 || r.Run != nil {
		t.Errorf("the second run did %+v", r)
	}
	if !maps.Equal(v.objects(t), objects) {
		t.Error("what soaks was copied again")
	}
	wantSame(t, v.raw(t), before)
	set(t, v.coll(), 7, "n", "changed")
	// The day goes by.
	yesterday := bson.D{{Key: "$set", Value: bson.D{{Key: "delete_after", Value: time.Now().Add(-time.Hour)}}}}
	if _, err := v.own("archive_packs").UpdateMany(t.Context(), bson.D{{Key: "rule", Value: v.rule}}, yesterday); err != nil {
		t.Fatal(err)
	}
	if r = v.runOnce(t); r.Deleted != 299 || r.Changed != 1 {
		t.Errorf("after the soak: %+v", r)
	}
	if n := v.count(t); n != 301 {
		t.Errorf("%d documents are left", n)
	}
	// What had changed is archived anew, and soaks.
	if r = v.runOnce(t); r.Deleted != 0 || len(v.packsIn(t, cold.PackCommitted)) != 1 {
		t.Errorf("what had changed: %+v", r)
	}
}

// TestA2ArchiveCopies: delete: false copies everything once, and deletes nothing.
func TestA2ArchiveCopies(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{Rule: ", delete: false"})
	v.fill(t, 300, 0)
	before := v.raw(t)
	for i, want := range []int64{300, 0} {
		if r := v.runOnce(t); r.Deleted != 0 || (r.Run == nil) != (want == 0) || r.Run != nil && r.Run.Docs != want {
			t.Errorf("run %d did %+v", i+1, r.Run)
		}
	}
	wantSame(t, v.raw(t), before)
	// What grows old within the next second is copied once, too.
	v.add(t, 1000, 1001, 0, time.Now().Add(time.Second-365*24*time.Hour-1000*time.Second))
	copied := func() error {
		v.runOnce(t)
		docs := 0
		for _, p := range v.packsIn(t, cold.PackClosed) {
			docs += p.Docs
		}
		if docs != 301 {
			return fmt.Errorf("%d documents were copied", docs)
		}
		return nil
	}
	testkit.Eventually(t, 30*time.Second, copied)
	if err := copied(); err != nil {
		t.Error(err)
	}
}

// TestA2ArchiveShadow: shadow mode does all but delete, and counts what it would
// have done.
func TestA2ArchiveShadow(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{Rule: ", shadow: true"})
	v.fill(t, 300, 0)
	before := v.raw(t)
	if r := v.runOnce(t); r.Deleted != 300 || r.Run == nil || !r.Run.Shadow || r.Run.State != cold.RunClosed {
		t.Errorf("%+v, %+v", r, r.Run)
	}
	wantSame(t, v.raw(t), before)
	// Turned on for real, everything goes.
	real := v.variant(t, ", shadow: true", "")
	if r := verb(t, nil, "archive", "run", "--once", "-c", real); r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if n := v.count(t); n != 300 {
		t.Errorf("%d documents are left", n)
	}
	v.must(t, "restore", "--all")
	wantSame(t, v.raw(t), before)
}
