//go:build integration

package statedb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/deadletter"
	"sluice/internal/deadletter/deadlettertest"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// TestS3MajorityAndElections: one set of three, in turn without a majority and
// with primaries that are killed.
func TestS3MajorityAndElections(t *testing.T) {
	m := start(t, testkit.MongoOptions{Nodes: 3, FailPoints: true})
	db := openAt(t, m.URI())
	t.Run("majority", func(t *testing.T) { testMajority(t, m, db) })
	t.Run("elections", func(t *testing.T) { testElections(t, m, db) })
}

// testMajority: while the others stand still, nothing is confirmed, neither
// written nor read; afterwards Load tells what became of it.
func testMajority(t *testing.T, m *testkit.Mongo, db *DB) {
	s, letters := db.Checkpoints(flowOf(t, db)), db.DeadLetters(flowOf(t, db))
	first := save(t, s, checkpoint.Record{Fence: 1, Data: []byte("1")})
	primary, err := m.Primary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	others := []*DB{openAt(t, m.DirectURI((primary+1)%3)), openAt(t, m.DirectURI((primary+2)%3))}
	for _, o := range others {
		failpoint(t, o, "rsSyncApplyStop", "alwaysOn", bson.D{})
	}
	brief := func(f func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f(ctx); flow.ClassOf(err) != flow.Transient || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a majority: %s %v", flow.ClassOf(err), err)
		}
	}
	brief(func(ctx context.Context) error {
		_, err := s.Save(ctx, checkpoint.Record{Rev: first.Rev, Fence: 1, Data: []byte("2")})
		return err
	})
	brief(func(ctx context.Context) error { _, err := s.Load(ctx); return err })
	brief(func(ctx context.Context) error {
		return letters.Put(ctx, []deadletter.Letter{deadlettertest.Letter("orders", "1", 1)})
	})
	brief(func(ctx context.Context) error {
		return letters.Load(ctx, func(deadletter.Letter) error { return nil })
	})
	for _, o := range others {
		failpoint(t, o, "rsSyncApplyStop", "off", bson.D{})
	}
	got, err := s.Load(t.Context())
	if err != nil || string(got.Data) != "2" || got.Rev == first.Rev {
		t.Errorf("%+v %v", got, err)
	}
	if got := keysOf(t, letters); len(got) != 1 {
		t.Errorf("letters %q", got)
	}
}

// testElections kills primaries while positions and letters are written. No
// confirmed one is lost, and after each failure Load shows the old one or ours.
func testElections(t *testing.T, m *testkit.Mongo, db *DB) {
	s, letters := db.Checkpoints(flowOf(t, db)), db.DeadLetters(flowOf(t, db))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var written atomic.Int64
	ended := make(chan error, 1)
	go func() { ended <- write(ctx, s, letters, &written) }()
	progress := func() {
		t.Helper()
		from := written.Load()
		testkit.Eventually(t, time.Minute, func() error {
			select {
			case err := <-ended:
				t.Fatal(err)
			default:
			}
			if written.Load() < from+20 {
				return fmt.Errorf("%d written", written.Load()-from)
			}
			return nil
		})
	}
	for range 2 {
		progress()
		i, err := m.KillPrimary(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// At once, with the new primary's first steps.
		fresh := openAt(t, m.URI())
		check(t, fresh.Checkpoints(s.flow), fresh.DeadLetters(letters.flow), &written)
		progress()
		if err := m.Restart(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	check(t, s, letters, &written)
}

// write saves the numbers from 1 and a letter for each, until ctx is done. It
// fails if what is stored is neither the last confirmed nor the last tried.
func write(ctx context.Context, s checkpoint.Store, letters deadletter.Store, written *atomic.Int64) error {
	var known checkpoint.Record
	for n := int64(1); ctx.Err() == nil; n++ {
		l := deadlettertest.Letter("orders", fmt.Sprint(n), n)
		for letters.Put(ctx, []deadletter.Letter{l}) != nil && ctx.Err() == nil {
			continue
		}
		for done := false; !done && ctx.Err() == nil; {
			var err error
			if known, done, err = saveOrTell(ctx, s, known, fmt.Sprint(n)); err != nil {
				return err
			}
		}
		if ctx.Err() == nil {
			written.Store(n)
		}
	}
	return nil
}

// saveOrTell saves data over known, and after a failure asks what is stored:
// done is false if that still is known.
func saveOrTell(ctx context.Context, s checkpoint.Store, known checkpoint.Record, data string) (stored checkpoint.Record, done bool, err error) {
	stored, saveErr := s.Save(ctx, checkpoint.Record{Rev: known.Rev, Fence: 1, Data: []byte(data)})
	if saveErr == nil {
		return stored, true, nil
	}
	for stored, err = s.Load(ctx); err != nil && ctx.Err() == nil; {
		stored, err = s.Load(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return known, false, ctx.Err()
	case string(stored.Data) == data:
		return stored, true, nil
	case stored.Rev == known.Rev:
		return known, false, nil
	}
	return known, false, fmt.Errorf("stored is %q, confirmed was %q, tried was %s: %w", stored.Data, known.Data, data, saveErr)
}

// check tells whether all that was confirmed before is there.
func check(t *testing.T, s checkpoint.Store, letters deadletter.Store, written *atomic.Int64) {
	t.Helper()
	least := written.Load()
	var r checkpoint.Record
	testkit.Eventually(t, time.Minute, func() (err error) {
		r, err = s.Load(t.Context())
		return err
	})
	if n, err := strconv.ParseInt(string(r.Data), 10, 64); err != nil || n < least {
		t.Errorf("stored is %q, confirmed was %d (%v)", r.Data, least, err)
	}
	have := map[string]bool{}
	testkit.Eventually(t, time.Minute, func() error {
		return letters.Load(t.Context(), func(l deadletter.Letter) error {
			have[l.ID] = true
			return nil
		})
	})
	for n := int64(1); n <= least; n++ {
		if !have[fmt.Sprint(n)] {
			t.Errorf("letter %d of %d is lost", n, least)
		}
	}
}
