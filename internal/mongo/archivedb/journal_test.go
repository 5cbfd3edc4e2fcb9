package archivedb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

func TestA2PackRowKeepsWhatDeletesCount(t *testing.T) {
	p := cold.Pack{ID: "p", State: cold.PackDeleting, Next: 5, Deleted: 4, Gone: 1, MinAge: day(1)}
	row, err := bson.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	update, err := packUpdate(row)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for _, op := range update {
		for _, e := range op.Value.(bson.D) {
			fields[e.Key] = op.Key
		}
	}
	for field, want := range map[string]string{
		"next": "$max", "deleted": "$max", "changed": "$max", "gone": "$max", "state": "$set", "fence": "$set",
		"min_age": "$set", "max_age": "$unset", "delete_after": "$unset",
	} {
		if fields[field] != want {
			t.Errorf("%s by %q, want %q", field, fields[field], want)
		}
	}
	if _, ok := fields["_id"]; ok {
		t.Error("_id is changed")
	}
}

func TestA2SamePackButForCounts(t *testing.T) {
	row := func(p cold.Pack) bson.Raw {
		b, err := bson.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := cold.Pack{ID: "p", State: cold.PackDeleting, Docs: 5}
	b := a
	b.Next, b.Deleted, b.Updated = 3, 3, day(1)
	if !samePack(row(a), row(b)) {
		t.Error("counts make a difference")
	}
	b.Docs = 6
	if samePack(row(a), row(b)) {
		t.Error("the number of documents makes none")
	}
}
