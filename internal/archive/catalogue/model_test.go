package catalogue

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/cold"
)

// version is one archived version of a key in the model.
type version struct {
	pack    string
	at      uint32
	entry   int
	id, v   int
	outcome cold.Outcome
}

// Whatever packs, outcomes and erasures there are, what is found is what a simple
// model tells.
func TestA9FindEqualsTheModel(t *testing.T) {
	temp := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		s := New(m, Options{TempDir: temp, Now: func() time.Time { return day0.AddDate(1, 0, 0) }})
		var model []version
		n := 0
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"pack", "pack", "forget", "gc"}).Draw(t, "step") {
			case "pack":
				model = append(model, drawPack(t, s, &n)...)
			case "forget":
				id := rapid.IntRange(0, 6).Draw(t, "forgotten")
				f, err := s.Forget(context.Background(), ForgetOptions{IDs: []bson.RawValue{idValue(t, id)}})
				if err != nil {
					t.Fatal(err)
				}
				was := len(model)
				model = slices.DeleteFunc(model, func(v version) bool { return v.id == id && v.outcome != "pending" })
				if f.Documents != was-len(model) {
					t.Fatalf("%d documents erased, not %d", f.Documents, was-len(model))
				}
			case "gc":
				if all, err := s.GC(context.Background(), GCOptions{}); err != nil || len(all) > 0 {
					t.Fatal(all, err)
				}
			}
			same(t, "versions", find(t, s, FindQuery{Versions: true}), modelled(model, true))
			same(t, "newest", find(t, s, FindQuery{}), modelled(model, false))
		}
	})
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("temporary files stay: %v %v", left, err)
	}
}

func drawPack(t *rapid.T, s *Shelf, n *int) []version {
	*n++
	p := spec{
		id: fmt.Sprintf("p%03d", *n), at: rapid.Uint32Range(1, 5).Draw(t, "at"),
		copied: rapid.Bool().Draw(t, "copied"), open: rapid.Bool().Draw(t, "open"),
	}
	ids := rapid.SliceOfN(rapid.IntRange(0, 6), 1, 5).Draw(t, "ids")
	var some []version
	for i, id := range ids {
		v := version{p.id, p.at, i, id, 100**n + i, ""}
		p.docs = append(p.docs, doc(t, id, v.v))
		outcome := rapid.SampledFrom([]cold.Outcome{cold.Deleted, cold.Changed, cold.Gone, cold.Unknown}).Draw(t, "outcome")
		switch {
		case p.copied:
		case p.open:
			v.outcome = "pending"
		default:
			v.outcome = outcome
			if outcome != cold.Deleted {
				p.ex = append(p.ex, cold.Exception{Entry: i, Outcome: outcome})
			}
		}
		some = append(some, v)
	}
	put(t, s, p)
	return some
}

func modelled(model []version, versions bool) []string {
	newest := map[int]version{}
	var all []string
	text := func(v version) string {
		o := v.outcome
		if o == "pending" {
			o = ""
		}
		return fmt.Sprintf(`{"$numberInt":"%d"}/%d %s`, v.id, v.v, o)
	}
	for _, v := range model {
		if versions {
			all = append(all, text(v))
			continue
		}
		old, ok := newest[v.id]
		if v.outcome != cold.Changed && (!ok || v.at > old.at || v.at == old.at && (v.pack > old.pack || v.pack == old.pack && v.entry > old.entry)) {
			newest[v.id] = v
		}
	}
	for _, v := range newest {
		all = append(all, text(v))
	}
	slices.Sort(all)
	return all
}
