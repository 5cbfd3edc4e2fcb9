//go:build integration

package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// aLife is what became of one key so far.
type aLife struct {
	state string // live, archived, or "" for deleted by a user
	names []string
}

// TestA5RandomLives: whatever happens to a few keys while sync runs, is down and
// starts again, at the end the index holds what is live, marks what the archive
// took with a document of that life, and has nothing of what users deleted.
func TestA5RandomLives(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := newStage(t)
	s.cfg.Flows[0].On.Archive = config.ArchiveMark
	const keys = 25
	lives := make([]aLife, keys)
	s.insert(t, "a", keys)
	for i := range lives {
		lives[i] = aLife{"live", []string{""}}
	}
	archive, id := s.session(t)
	s.ledgerRow(t, "a", cold.LedgerRow{ID: id})
	user, _ := s.session(t)
	for round := range 3 {
		s.live(t, rnd, lives, 150, archive, user, round)
		a, stop := run(t, Options{Config: s.cfg})
		if round == 0 {
			testkit.Eventually(t, time.Minute, copied(a))
		}
		s.live(t, rnd, lives, 150, archive, user, round)
		testkit.Eventually(t, time.Minute, func() error { return s.compare(t.Context(), lives, round == 0) })
		must(t, stop())
	}
}

// live lets things happen.
func (s stage) live(t *testing.T, rnd *rand.Rand, lives []aLife, n int, archive, user *driver.Session, round int) {
	t.Helper()
	coll := s.db.Collection("a")
	for i := range n {
		k := rnd.IntN(len(lives))
		l, name := &lives[k], fmt.Sprintf("r%d.%d", round, i)
		byID := bson.D{{Key: "_id", Value: k}}
		switch op := rnd.IntN(4); {
		case l.state != "live":
			*l = aLife{"live", []string{name}}
			s.put(t, "a", k, k+1, name)
		case op == 0:
			l.names = append(l.names, name)
			_, err := coll.UpdateOne(t.Context(), byID, bson.D{{Key: "$set", Value: bson.D{{Key: "name", Value: name}}}})
			must(t, err)
		case op == 1:
			l.state = ""
			_, err := coll.DeleteOne(t.Context(), byID)
			must(t, err)
		case op == 2:
			l.state = ""
			s.deleteIn(t, user, "a", bson.A{k})
		default:
			l.state = "archived"
			s.deleteIn(t, archive, "a", bson.A{k})
		}
	}
}

// compare holds the index against what happened. What the archive took before
// the first copy was never in the index; it may be absent.
func (s stage) compare(ctx context.Context, lives []aLife, first bool) error {
	have, err := s.found(ctx, "a")
	if err != nil {
		return err
	}
	for k, l := range lives {
		got := have[fmt.Sprint(k)]
		var ok bool
		switch l.state {
		case "live":
			ok = got == entry("live", l.names[len(l.names)-1])
		case "archived":
			ok = first && got == "" || slices.ContainsFunc(l.names, func(n string) bool { return got == entry("archived", n) })
		default:
			ok = got == ""
		}
		if !ok {
			return fmt.Errorf("%d is %q, want %q of %v", k, got, l.state, l.names)
		}
	}
	return nil
}

func entry(state, name string) string {
	if name == "" {
		return state
	}
	return state + " " + name
}
