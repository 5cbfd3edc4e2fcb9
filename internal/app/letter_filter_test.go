package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/deadletter"
	"sluice/internal/flow"
)

// rested is a flow at rest whose letters are in a file, with some in it.
func rested(t *testing.T, ids ...any) RestOptions {
	t.Helper()
	dir := t.TempDir()
	cfg, err := config.FromFlags(config.Overrides{MongoDB: "mongodb://127.0.0.1:1/", Search: []string{"http://127.0.0.1:1"}, Namespaces: []string{"shop.orders"}, State: dir, Listen: "off"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.DeadLetters.Store, cfg.DeadLetters.Path = config.StoreFile, dir
	store, err := deadletter.OpenFile(filepath.Join(dir, cfg.Flows[0].Name+".dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	book, err := deadletter.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		typ, raw, err := bson.MarshalValue(id)
		if err != nil {
			t.Fatal(err)
		}
		c := flow.Change{Op: flow.OpWrite, NS: flow.Namespace{DB: "shop", Coll: "orders"}, ID: bson.RawValue{Type: typ, Value: raw}, Version: 1}
		v := flow.Verdict{Outcome: flow.DeadLetter, Reason: fmt.Sprint("r", i%2), Err: errors.New("bad value")}
		if err := book.Put(t.Context(), []flow.Change{c}, []flow.Verdict{v}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return RestOptions{Config: cfg}
}

func TestS7LettersAreChosen(t *testing.T) {
	o := rested(t, 1, "1", "plain", bson.ObjectID{1}, 5.5)
	f := func(filter LetterFilter, shown, total int) {
		t.Helper()
		list, err := DeadLetters(t.Context(), o, filter)
		if err != nil || len(list.Letters) != shown || list.Total != total {
			t.Errorf("%+v: %+v, %v", filter, list, err)
		}
		for _, l := range list.Letters {
			if (l.Error != "") != filter.Errors {
				t.Errorf("%+v has an error text", l)
			}
			// What is told can be given back.
			again, err := DeadLetters(t.Context(), o, LetterFilter{Keys: []string{string(l.ID)}})
			if err != nil || len(again.Letters) != 1 || again.Letters[0].Key != l.Key {
				t.Errorf("%s: %+v, %v", l.ID, again, err)
			}
		}
	}
	f(LetterFilter{}, 5, 5)
	f(LetterFilter{Errors: true}, 5, 5)
	f(LetterFilter{Limit: 2}, 2, 5)
	f(LetterFilter{Limit: 1}, 1, 5)
	f(LetterFilter{Reason: "r1"}, 2, 2)
	f(LetterFilter{Reason: "r"}, 0, 0)
	f(LetterFilter{Namespace: "shop.orders"}, 5, 5)
	f(LetterFilter{Namespace: "shop.others"}, 0, 0)
	f(LetterFilter{Keys: []string{"1"}}, 1, 1)
	f(LetterFilter{Keys: []string{"1.0", `"1"`}}, 2, 2)
	f(LetterFilter{Before: time.Now().Add(-time.Hour)}, 0, 0)
	for _, bad := range []LetterFilter{{Namespace: "shop"}, {Keys: []string{""}}, {Keys: []string{"{"}}} {
		if _, err := DeadLetters(t.Context(), o, bad); flow.ClassOf(err) != flow.Config {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestS7DropWantsAChoice(t *testing.T) {
	o := rested(t, 1, 2, 3)
	f := func(filter LetterFilter, all bool, want int, class flow.Class) {
		t.Helper()
		done, err := DropDeadLetters(t.Context(), o, filter, all)
		if done.Dropped != want || flow.ClassOf(err) != class {
			t.Errorf("%+v: %+v, %v", filter, done, err)
		}
	}
	f(LetterFilter{}, false, 0, flow.Config)
	f(LetterFilter{Keys: []string{"2"}}, false, 1, flow.Unknown)
	f(LetterFilter{Keys: []string{"2"}}, false, 0, flow.Unknown)
	f(LetterFilter{}, true, 2, flow.Unknown)
	// Where no lock of this machine can tell who has the flow, it is not taken.
	o.Config.State.Store = config.StoreSearch
	f(LetterFilter{}, true, 0, flow.Conflict)
	o.Sure = true
	f(LetterFilter{}, true, 0, flow.Unknown)
	o.Flow = "another"
	f(LetterFilter{}, true, 0, flow.Config)
}

// TestS7LettersAreLocked: what a process has open is not worked on beside it.
func TestS7LettersAreLocked(t *testing.T) {
	o := rested(t, 1)
	store, err := deadletter.OpenFile(filepath.Join(o.Config.DeadLetters.Path, o.Config.Flows[0].Name+".dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DropDeadLetters(context.Background(), o, LetterFilter{}, true); flow.ClassOf(err) != flow.Conflict {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
