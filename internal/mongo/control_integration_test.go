//go:build integration

package mongo

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// each level of the stream, for a database in which "a" and "b" are followed.
func scopes(db *mongo.Database) map[string][]string {
	return map[string][]string{
		"collection": {db.Name() + ".a"},
		"database":   {db.Name() + ".a", db.Name() + ".b"},
		"all of it":  {db.Name() + ".*"},
		"deployment": {"/^" + db.Name() + `\.[ab]$/`},
	}
}

func rename(t *testing.T, from, to *mongo.Collection) {
	t.Helper()
	must(t, from.Database().Client().Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "renameCollection", Value: nsOf(from).String()},
		{Key: "to", Value: nsOf(to).String()},
		{Key: "dropTarget", Value: true},
	}).Err())
}

func insert(t *testing.T, coll *mongo.Collection, from, to int) {
	t.Helper()
	var docs []any
	for i := from; i < to; i++ {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "from", Value: coll.Name()}})
	}
	_, err := coll.InsertMany(t.Context(), docs)
	must(t, err)
}

// waitKinds waits until the controls of coll are want.
func (p *pump) waitKinds(coll *mongo.Collection, want string) {
	p.t.Helper()
	testkit.Eventually(p.t, 30*time.Second, func() error {
		if err := p.failure(); err != nil {
			p.t.Fatal(err)
		}
		if k := p.m.kinds(nsOf(coll)); k != want {
			return fmt.Errorf("controls of %s: %s, want %s", coll.Name(), k, want)
		}
		return nil
	})
}

func TestS15DropAndCreateAgain(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	for name, namespaces := range scopes(db) {
		t.Run(name, func(t *testing.T) {
			a := db.Collection("a")
			must(t, db.Drop(t.Context()))
			insert(t, a, 0, 2000)
			o := small(uri)
			o.Namespaces = namespaces
			p := startPump(t, o, "", newModel())
			p.waitEqual(a)
			must(t, a.Drop(t.Context()))
			p.waitKinds(a, "<>d")
			insert(t, a, 1000, 1100)
			p.waitKinds(a, "<>dc")
			p.waitEqual(a)
			// All in one reply: the model must end with the last generation.
			must(t, a.Drop(t.Context()))
			insert(t, a, 5, 10)
			must(t, a.Drop(t.Context()))
			insert(t, a, 7, 20)
			p.waitKinds(a, "<>dcdcdc")
			p.waitEqual(a)
			must(t, db.Drop(t.Context()))
			p.waitKinds(a, "<>dcdcdcd")
			insert(t, a, 0, 3)
			p.waitKinds(a, "<>dcdcdcdc")
			p.waitEqual(a)
		})
	}
}

func TestS15RenamesAndOut(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	for name, namespaces := range scopes(db) {
		t.Run(name, func(t *testing.T) {
			must(t, db.Drop(t.Context()))
			a, other := db.Collection("a"), db.Collection("tmp_other")
			if name == "all of it" {
				other = newDB(t, uri).Collection("other")
			}
			insert(t, a, 0, 1000)
			o := small(uri)
			o.Namespaces = namespaces
			p := startPump(t, o, "", newModel())
			p.waitEqual(a)

			// From a namespace that nobody follows: no events for its documents.
			insert(t, other, 500, 1500)
			rename(t, other, a)
			p.waitKinds(a, "<>r<>")
			p.waitEqual(a)

			// $out, with documents that are not in the old one.
			insert(t, other, 3000, 3100)
			_, err := other.Aggregate(t.Context(), bson.A{bson.D{{Key: "$out", Value: bson.D{{Key: "db", Value: db.Name()}, {Key: "coll", Value: "a"}}}}})
			must(t, err)
			p.waitKinds(a, "<>r<>r<>")
			p.waitEqual(a)

			// In place.
			must(t, db.RunCommand(t.Context(), bson.D{{Key: "convertToCapped", Value: "a"}, {Key: "size", Value: 1 << 20}}).Err())
			p.waitKinds(a, "<>r<>r<>r<>")
			p.waitEqual(a)

			// Away.
			rename(t, a, other)
			p.waitKinds(a, "<>r<>r<>r<>d")
			p.waitEqual(a)

			// A clone has documents without events.
			insert(t, other, 9000, 9010)
			if other.Database().Name() == db.Name() {
				must(t, db.RunCommand(t.Context(), bson.D{
					{Key: "cloneCollectionAsCapped", Value: other.Name()},
					{Key: "toCollection", Value: "a"},
					{Key: "size", Value: 1 << 20},
				}).Err())
				p.waitKinds(a, "<>r<>r<>r<>dr<>")
				p.waitEqual(a)
			}
		})
	}
}

func TestS15RenameBetweenFollowed(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	a, b := db.Collection("a"), db.Collection("b")
	insert(t, a, 0, 1000)
	insert(t, b, 500, 700)
	p := startPump(t, small(uri, a, b), "", newModel())
	p.waitEqual(a)
	p.waitEqual(b)
	rename(t, a, b)
	p.waitKinds(a, "<>d")
	p.waitKinds(b, "<>r<>")
	p.waitEqual(b)
	p.waitEqual(a)
}

// While a copy runs, its collection is dropped: nothing of it may come after
// the control, and everything handed out is acked before.
func TestS15DropDuringSnapshot(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	for round := range rounds(6, 60) {
		db := newDB(t, uri)
		a := db.Collection("a")
		insert(t, a, 0, 3000)
		m := newModel()
		dropped := false
		seen, gate := make(chan struct{}, 1), make(chan struct{})
		m.onBatch = func(b flow.Batch) error {
			if b.Snapshot {
				for _, c := range m.controls {
					dropped = dropped || c.Kind == flow.ControlDropped
				}
				if dropped && round%2 == 0 {
					return errors.New("a snapshot batch after the drop")
				}
				select {
				case seen <- struct{}{}:
				default:
				}
				<-gate
			}
			return nil
		}
		p := startPump(t, small(uri, a), "", m)
		<-seen
		if round%2 == 0 {
			must(t, a.Drop(t.Context()))
			close(gate)
			p.waitKinds(a, "<d")
		} else {
			other := db.Collection("other")
			insert(t, other, 2000, 4000)
			rename(t, other, a)
			close(gate)
			p.waitKinds(a, "<r<>")
		}
		p.waitEqual(a)
		insert(t, a, 10000, 10010)
		p.waitEqual(a)
		p.stop()
	}
}

// What happened while nobody looked is seen at the next start.
func TestS12ChangesWhileDown(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	for i, act := range []func(t *testing.T, a, other *mongo.Collection){
		func(t *testing.T, a, _ *mongo.Collection) { must(t, a.Drop(t.Context())) },
		func(t *testing.T, a, _ *mongo.Collection) {
			must(t, a.Drop(t.Context()))
			insert(t, a, 50, 60)
		},
		func(t *testing.T, a, other *mongo.Collection) { rename(t, other, a) },
		func(t *testing.T, a, other *mongo.Collection) {
			rename(t, a, a.Database().Collection("away"))
			insert(t, a, 70, 80)
			must(t, a.Drop(t.Context()))
			rename(t, other, a)
		},
		func(t *testing.T, a, other *mongo.Collection) {
			insert(t, a, 5000, 5010)
			must(t, a.Database().Drop(t.Context()))
			insert(t, a, 3, 6)
		},
	} {
		for _, half := range []bool{false, true} { // after the copy, and in its middle
			t.Run(fmt.Sprint(i, half), func(t *testing.T) {
				db := newDB(t, uri)
				a, other := db.Collection("a"), db.Collection("other")
				insert(t, a, 0, 3000)
				insert(t, other, 2500, 3500)
				o := small(uri, a)
				m := newModel()
				n := 0
				o.Snapshot.BatchBytes, o.Snapshot.Rate = 1000, 6000
				m.onBatch = func(b flow.Batch) error {
					if n++; half && n > 50 {
						return errors.New("crash")
					}
					return nil
				}
				p := startPump(t, o, "", m)
				if half {
					testkit.Eventually(t, 20*time.Second, func() error {
						m.mu.Lock()
						defer m.mu.Unlock()
						if n <= 50 {
							return errors.New("not there yet")
						}
						return nil
					})
				} else {
					p.waitEqual(a)
				}
				pos := p.stop()
				m.onBatch = nil
				act(t, a, other)
				p = startPump(t, o, pos, m)
				p.waitEqual(a)
				insert(t, a, 90000, 90002)
				p.waitEqual(a)
			})
		}
	}
}

func TestCreatedIsToldForNewCollections(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	o := small(uri)
	o.Namespaces, o.Exclude = []string{db.Name() + ".*"}, []string{db.Name() + ".not"}
	p := startPump(t, o, "", newModel())
	insert(t, db.Collection("not"), 0, 3)
	must(t, db.CreateCollection(t.Context(), "series", options.CreateCollection().SetTimeSeriesOptions(options.TimeSeries().SetTimeField("t"))))
	_, err := db.Collection("series").InsertOne(t.Context(), bson.D{{Key: "t", Value: time.Now()}})
	must(t, err)
	must(t, db.CreateView(t.Context(), "view", "new", bson.A{}))
	insert(t, db.Collection("new"), 0, 3)
	p.waitKinds(db.Collection("new"), "c")
	p.waitEqual(db.Collection("new"))
	for _, name := range []string{"not", "series", "view"} {
		p.waitKinds(db.Collection(name), "")
	}
	pos := p.stop()
	p = startPump(t, o, pos, p.m)
	insert(t, db.Collection("new"), 10, 13)
	p.waitEqual(db.Collection("new"))
	p.waitKinds(db.Collection("new"), "c")
}

func TestSnapshotDisabled(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	a := newDB(t, uri).Collection("a")
	insert(t, a, 0, 10)
	o := small(uri, a)
	o.Snapshot.Disabled = true
	p := startPump(t, o, "", newModel(), Resync{NS: nsOf(a)})
	insert(t, a, 10, 20)
	testkit.Eventually(t, 10*time.Second, func() error {
		p.m.mu.Lock()
		defer p.m.mu.Unlock()
		if n := len(p.m.docs[nsOf(a)]); n != 10 {
			return fmt.Errorf("%d documents", n)
		}
		return nil
	})
	p.waitKinds(a, "c")
}
