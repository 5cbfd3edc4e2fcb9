package archivedb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

func raws(t testing.TB, texts ...string) []bson.Raw {
	t.Helper()
	var all []bson.Raw
	for _, s := range texts {
		var r bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(s), false, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestA6IndexThatFits(t *testing.T) {
	f := func(field, want string, indexes ...string) {
		t.Helper()
		sel := cold.Selection{Field: field, Kind: cold.AgeDate}
		if got := choose(sel, raws(t, indexes...), nil).name; got != want {
			t.Errorf("%v: %q, want %q", indexes, got, want)
		}
	}
	id := `{"key":{"_id":1},"name":"_id_"}`
	f("at", "", id)
	f("at", "one", id, `{"key":{"at":1},"name":"one"}`)
	f("at", "down", id, `{"key":{"at":-1},"name":"down"}`)
	f("at", "both", `{"key":{"at":1},"name":"one"}`, `{"key":{"at":1,"_id":1},"name":"both"}`)
	f("at", "both", `{"key":{"at":1},"name":"one"}`, `{"key":{"at":-1,"_id":-1},"name":"both"}`)
	f("at", "one", `{"key":{"at":1},"name":"one"}`, `{"key":{"at":1,"_id":-1},"name":"mixed"}`)
	f("at", "one", `{"key":{"at":1,"x":1},"name":"two"}`, `{"key":{"at":1},"name":"one"}`)
	f("at", "two", `{"key":{"at":1,"x":1},"name":"two"}`)
	f("at", "float", `{"key":{"at":1.0},"name":"float"}`)
	f("at", "", `{"key":{"x":1,"at":1},"name":"second"}`)
	f("at", "", `{"key":{"at":"hashed"},"name":"h"}`)
	f("at", "", `{"key":{"at":"text"},"name":"t"}`)
	f("at", "", `{"key":{"at":1,"x":"text"},"name":"t"}`)
	f("at", "", `{"key":{"$**":1},"name":"wild"}`)
	f("at", "", `{"key":{"at":1},"name":"hidden","hidden":true}`)
	f("at", "sparse", `{"key":{"at":1},"name":"sparse","sparse":true}`)
	f("at", "", `{"key":{"at":1},"name":"part","partialFilterExpression":{"state":"done"}}`)
	f("at", "", `{"key":{"at":1},"name":"part","partialFilterExpression":{"at":{"$gt":5}}}`)
	f("at", "", `{"key":{"at":1},"name":"part","partialFilterExpression":{"at":{"$exists":false}}}`)
	f("at", "part", `{"key":{"at":1},"name":"part","partialFilterExpression":{"at":{"$exists":true}}}`)
	f("at", "", `{"key":{"at":1},"name":"coll","collation":{"locale":"de"}}`)
	f("_id", "_id_", id)
	f("_id", "_id_", `{"key":{"_id":1,"x":1},"name":"wide"}`, id)
	f("_id", "", `{"key":{"_id":"hashed"},"name":"h"}`)
}

func TestA6IndexInACollationOfTheCollection(t *testing.T) {
	all := raws(t, `{"key":{"at":1},"name":"simple"}`, `{"key":{"at":1},"name":"own","collation":{"locale":"de"}}`, `{"locale":"de"}`)
	if got := choose(cold.Selection{Field: "at"}, all[:2], all[2]).name; got != "own" {
		t.Errorf("%q, want own", got)
	}
}

func TestA6TTLOnTheField(t *testing.T) {
	ix := raws(t, `{"key":{"at":1},"name":"ttl","expireAfterSeconds":0}`, `{"key":{"x":1},"name":"other","expireAfterSeconds":5}`, `{"key":{"at":1,"x":1},"name":"no"}`)
	if got := ttlOn("at", ix); len(got) != 1 || got[0] != "ttl" {
		t.Errorf("got %q, want ttl", got)
	}
}

func TestA6MultikeyOnlyOnTheField(t *testing.T) {
	f := func(want bool, plan string) {
		t.Helper()
		r := raws(t, `{"p":`+plan+`}`)[0]
		if got := multikey(r.Lookup("p"), "at"); got != want {
			t.Errorf("%s: %v, want %v", plan, got, want)
		}
	}
	f(false, `{"stage":"FETCH","inputStage":{"stage":"IXSCAN","isMultiKey":false,"multiKeyPaths":{"at":[]}}}`)
	f(true, `{"stage":"FETCH","inputStage":{"stage":"IXSCAN","isMultiKey":true,"multiKeyPaths":{"at":["at"]}}}`)
	f(false, `{"stage":"FETCH","inputStage":{"stage":"IXSCAN","isMultiKey":true,"multiKeyPaths":{"at":[],"tags":["tags"]}}}`)
	f(true, `{"stage":"FETCH","inputStage":{"stage":"IXSCAN","isMultiKey":true}}`)
	f(true, `{"shards":[{"queryPlan":{"stage":"FETCH","inputStage":{"stage":"IXSCAN","isMultiKey":true,"multiKeyPaths":{"at":["at"]}}}}]}`)
}
