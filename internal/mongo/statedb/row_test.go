package statedb

import (
	"context"
	"reflect"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/deadletter"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// A field that a letter gains is kept, or this fails.
func TestRowKeepsEveryField(t *testing.T) {
	l := deadletter.Letter{
		Key: deadletter.Key{NS: flow.Namespace{DB: "shop", Coll: "or/ders.x"}, ID: "\xff\x00é"}, RawID: `{"_id":1}`, Op: "write",
		Version: 1 << 62, Time: bson.Timestamp{T: 1 << 31, I: 1 << 31}, Reason: "mapping", Error: "failed",
		At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("%s is not set: set it here, and keep it in the row", v.Type().Field(i).Name)
		}
	}
	s := DeadLetters{flow: "orders"}
	doc, err := bson.Marshal(s.row(&l))
	if err != nil {
		t.Fatal(err)
	}
	var row letterRow
	if err := bson.Unmarshal(doc, &row); err != nil {
		t.Fatal(err)
	}
	if got := row.letter(); got != l || row.Flow != "orders" || row.ID != s.id(l.Key) {
		t.Errorf("%+v came back as %+v in %+v", l, got, row)
	}
}

// The range of a flow's rows holds none of a flow whose name starts like it.
func TestRowsOfOtherFlowsAreOutside(t *testing.T) {
	s := DeadLetters{flow: "orders"}
	bounds := s.all()[0].Value.(bson.D)
	from, to := bounds[0].Value.(string), bounds[1].Value.(string)
	f := func(id string, want bool) {
		t.Helper()
		if got := from <= id && id < to; got != want {
			t.Errorf("%q inside: %v", id, got)
		}
	}
	k := deadletter.Key{NS: flow.Namespace{DB: "a", Coll: "b"}, ID: "1"}
	f(s.id(k), true)
	f("orders/", true)
	for _, other := range []string{"order", "orders-", "orders-2", "orders0", "orders_", "ordersa", ""} {
		f((&DeadLetters{flow: other}).id(k), false)
	}
	f(".probe/orders", false)
}

// TestS12OwnDatabaseIsNotFollowed: a save would be a change that leads to the
// next save.
func TestS12OwnDatabaseIsNotFollowed(t *testing.T) {
	for _, coll := range []string{checkpointsColl, deadLettersColl} {
		_, err := source.Open(t.Context(), source.Options{URI: "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", Namespaces: []string{database + "." + coll}})
		if flow.ClassOf(err) != flow.Config {
			t.Errorf("%s is followed: %v", coll, err)
		}
	}
}

// What does not fit in a document is refused before it is sent.
func TestTooLargePosition(t *testing.T) {
	s := (&DB{}).Checkpoints("orders")
	_, err := s.Save(context.Background(), checkpoint.Record{Data: make([]byte, maxData+1)})
	if flow.ClassOf(err) != flow.Config {
		t.Errorf("got %v, want a refusal that names the choices", err)
	}
}
