package transform

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

var (
	shopOrders = flow.Namespace{DB: "shop", Coll: "orders"}
	shopLines  = flow.Namespace{DB: "shop", Coll: "lines"}
)

func ordersAndLines() *Join {
	return &Join{
		Field: "relation", Parents: map[flow.Namespace]string{shopOrders: "order"},
		Children: map[flow.Namespace]Child{shopLines: {Relation: "line", Of: shopOrders, Parent: "of.order"}},
	}
}

// TestS10JoinPutsChildrenWhereTheirParentsLie: the routing of a child, and what its
// join field names, is the id that its parent has, whatever kind of key that is.
func TestS10JoinPutsChildrenWhereTheirParentsLie(t *testing.T) {
	p := places(t, Templates{Index: "shop", ID: "{db}.{collection}:{_id}", Join: ordersAndLines()})
	long := strings.Repeat("x", 600)
	for _, key := range [][2]any{
		{int32(1), 1.0},
		{"a:b", "a:b"},
		{long, long},
		{bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: 1}}},
		{bson.ObjectID{1}, bson.ObjectID{1}},
	} {
		order := raw(t, bson.D{{Key: "_id", Value: key[0]}})
		line := raw(t, bson.D{{Key: "_id", Value: 1}, {Key: "of", Value: bson.D{{Key: "order", Value: key[1]}}}})
		parent, err := p.Of(shopOrders, idOf(order), order)
		child, err2 := p.Of(shopLines, idOf(line), line)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if parent.Routing != "" || parent.Field != `"order"` || child.Routing != parent.ID || child.ID != "shop.lines:1" ||
			child.Field != `{"name":"line","parent":`+quoted(parent.ID)+`}` {
			t.Errorf("%v: %+v %+v", key, parent, child)
		}
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

func TestJoinWithoutAParent(t *testing.T) {
	p := places(t, Templates{Index: "shop", ID: "{db}.{collection}:{_id}", Join: ordersAndLines()})
	f := func(want string, d bson.D) {
		t.Helper()
		doc := raw(t, append(bson.D{{Key: "_id", Value: 1}}, d...))
		if _, err := p.Of(shopLines, idOf(doc), doc); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	f("join: the field of.order is missing, which holds the parent", nil)
	f("join: the field of.order holds no parent: it is null", bson.D{{Key: "of", Value: bson.D{{Key: "order", Value: nil}}}})
	f("join: the field of.order holds no parent: it is array", bson.D{{Key: "of", Value: bson.D{{Key: "order", Value: bson.A{1}}}}})
}

func TestJoinNeedsAnID(t *testing.T) {
	f := func(id, want string) {
		t.Helper()
		_, err := CompilePlaces(Templates{Index: "shop", ID: id, Join: ordersAndLines()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	f("", "{db} and {collection} have to stand in it")
	f("{collection}:{_id}", "{db} and {collection} have to stand in it")
	f("{db}.{collection}:{tenant}:{_id}", "{tenant} can't stand in it")
}

func TestJoinMapping(t *testing.T) {
	j := ordersAndLines()
	j.Children[flow.Namespace{DB: "shop", Coll: "notes"}] = Child{Relation: "a", Of: shopOrders}
	j.Children[flow.Namespace{DB: "shop", Coll: "more"}] = Child{Relation: "line", Of: shopOrders}
	if got := string(j.Mapping()); got != `{"relations":{"order":["a","line"]},"type":"join"}` {
		t.Error(got)
	}
	if a, b := j.text(), ordersAndLines().text(); a == b || b != ordersAndLines().text() {
		t.Error(a, b)
	}
}
