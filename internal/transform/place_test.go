package transform

import (
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
)

func places(t testing.TB, of Templates) *Places {
	t.Helper()
	p, err := CompilePlaces(of)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// idOf is the _id of a document.
func idOf(doc bson.Raw) bson.RawValue { return doc.Lookup("_id") }

func TestPlaceOfADocument(t *testing.T) {
	at := time.Date(2024, 12, 30, 23, 59, 0, 0, time.FixedZone("east", -3600)) // 2024-12-31 in UTC, week 1 of 2025
	oid := bson.NewObjectIDFromTimestamp(at)
	doc := raw(t, bson.D{
		{Key: "_id", Value: oid},
		{Key: "at", Value: at},
		{Key: "tenant", Value: "Big Co/A"},
		{Key: "n", Value: int64(7)},
		{Key: "f", Value: 2.0},
		{Key: "half", Value: 0.5},
		{Key: "yes", Value: true},
		{Key: "empty", Value: ""},
		{Key: "null", Value: nil},
		{Key: "sub", Value: bson.D{{Key: "x", Value: "ÄÖ€"}}},
		{Key: "old", Value: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)},
	})
	ns := flow.Namespace{DB: "Shop", Coll: "Orders"}
	index := func(template, want string) {
		t.Helper()
		at, err := places(t, Templates{Index: template}).Of(ns, idOf(doc), doc)
		got := at.Index
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
	index("orders-{at:yyyy.MM}", "orders-2024.12")
	index("orders-{at:xxxx-ww}", "orders-2025-01")
	index("o-{_id:yyyyMMdd_HH}", "o-20241231_00")
	index("{db}-{collection}-{tenant}", "shop-orders-big_co_a")
	index("x-{n}-{f}-{yes}-{sub.x}", "x-7-2-true-äö_")
	index("x-{missing|none}", "x-none")
	index("x-{half|none}", "x-none")
	index("x-{missing}", "index: the field missing is missing")
	index("x-{sub.y}", "index: the field sub.y is missing")
	index("x-{half}", "index: the field half can't be used: it is double")
	index("x-{empty}", "index: the field empty is empty")
	index("x-{null}", "index: the field null can't be used: it is null")
	index("x-{at}", "index: the field at is a date, and the template gives no format ({at:yyyy.MM})")
	index("x-{tenant:yyyy}", "index: the field tenant is no date and no ObjectId, but string")
	index("x-{old:yyyy}", "index: the year of the field old has not four digits")
	got, err := places(t, Templates{ID: "{tenant}/{_id}", Routing: "{tenant}"}).Of(ns, idOf(doc), doc)
	if err != nil || got != (Place{ID: "Big Co%2FA/" + oid.Hex(), Routing: "Big Co/A"}) {
		t.Errorf("%+v %v", got, err)
	}
	ns.DB = "_x"
	index("{db}-{n}", "x_x-7")
}

func TestTemplatesThatCanNotBe(t *testing.T) {
	f := func(of Templates, want string) {
		t.Helper()
		if _, err := CompilePlaces(of); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", of, err, want)
		}
	}
	f(Templates{Index: "a-{b"}, "index: at position 3: this { has no }; a template knows {db}, {collection}")
	f(Templates{Index: "a-{b{c}}"}, "at position 3: this { has no }")
	f(Templates{Index: "a-b}"}, "at position 4: a } without a {")
	f(Templates{Index: "a-{}"}, "at position 4: there is nothing between the braces")
	f(Templates{Index: "a-{b.}"}, `"b." is no path`)
	f(Templates{Index: "a-{b:yyy}"}, `at position 6: a format of dates knows no "yyy"`)
	f(Templates{Index: "a-{b:}"}, "a format of dates is missing")
	f(Templates{Index: "a-{b:yyyy+MM}"}, "can't hold '+'")
	f(Templates{Index: "a-{b:yyyy.ww}"}, "ww goes with xxxx")
	f(Templates{Index: "a-{b|}"}, "nothing stands after |")
	f(Templates{Index: "a-{db:yyyy}"}, "takes no format")
	f(Templates{Index: "{tenant}-a"}, "at position 1: the name begins with a field")
	f(Templates{Index: "Orders-{tenant}"}, "can't be in the name of an index")
	f(Templates{Index: "orders {tenant}"}, "can't be in the name of an index")
	f(Templates{Index: "-a{tenant}"}, "can't start with")
	f(Templates{Index: "a-{tenant|X}"}, `the default "X"`)
	f(Templates{ID: "{tenant}"}, "id: {_id} has to stand in it")
	f(Templates{ID: "{_id}-{_id}"}, "twice")
	f(Templates{ID: "{tenant}{_id}"}, "has to be parted")
	f(Templates{ID: "{tenant}0{_id}"}, "has to be parted")
	f(Templates{ID: "{_id}%{tenant}"}, "has to be parted")
	f(Templates{Routing: "all"}, "the same for all documents")
	if p, err := CompilePlaces(Templates{Index: "orders"}); p != nil || err != nil {
		t.Error(p, err)
	}
}

// TestS10IDsOfTemplatesAreInjective: whatever the fields hold, two keys never
// have one id, nor do two namespaces where the template names them.
func TestS10IDsOfTemplatesAreInjective(t *testing.T) {
	all := []*Places{
		places(t, Templates{ID: "{tenant}-{_id}"}), places(t, Templates{ID: "{_id}-{tenant}"}),
		places(t, Templates{ID: "a{db}-{tenant}:{_id}:-{tenant}"}), places(t, Templates{ID: "{db}.{collection}-{tenant|-}-{_id}"}),
	}
	text := rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("ab-:.%2D")), 0, 5, -1), rapid.String(), rapid.StringN(600, 700, -1))
	rapid.Check(t, func(r *rapid.T) {
		draw := func(name string) (flow.Namespace, bson.Raw, string) {
			ns := flow.Namespace{DB: rapid.StringOfN(rapid.RuneFrom([]rune("ab-")), 1, 3, -1).Draw(r, "db"), Coll: rapid.StringOfN(rapid.RuneFrom([]rune("ab-.")), 1, 3, -1).Draw(r, "coll")}
			key := text.Draw(r, "key "+name)
			return ns, raw(t, bson.D{{Key: "_id", Value: key}, {Key: "tenant", Value: text.Draw(r, "tenant "+name)}}), key
		}
		nsA, a, keyA := draw("a")
		nsB, b, keyB := draw("b")
		for i, p := range all {
			named, _ := p.NamesNamespace()
			if !named {
				nsB = nsA
			}
			pa, errA := p.Of(nsA, idOf(a), a)
			pb, errB := p.Of(nsB, idOf(b), b)
			if errA != nil || errB != nil {
				continue
			}
			if pa.ID == pb.ID && (keyA != keyB || named && nsA != nsB) {
				r.Fatalf("template %d: %q of %s and %q of %s have the id %q", i, keyA, nsA, keyB, nsB, pa.ID)
			}
			if len(pa.ID) > maxPlaceID {
				r.Fatalf("%d bytes", len(pa.ID))
			}
		}
	})
}

// The same text, cut in two at different places, is two keys and so two ids.
func TestS10CutsOfOneTextAreTwoIDs(t *testing.T) {
	all := []*Places{places(t, Templates{ID: "{tenant}-{_id}"}), places(t, Templates{ID: "{_id}-{tenant}"}), places(t, Templates{ID: "{collection}-{_id}"})}
	cut := func(r *rapid.T, s []string) (string, string) {
		i := rapid.IntRange(1, len(s)-1).Draw(r, "cut")
		return strings.Join(s[:i], "-"), strings.Join(s[i:], "-")
	}
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "%2D", "%", ""}), 3, 6).Draw(r, "text")
		for i, p := range all {
			a, b := cut(r, text)
			c, d := cut(r, text)
			if a == "" || b == "" || c == "" || d == "" || a == c {
				continue
			}
			of := func(first, second string) string {
				ns := flow.Namespace{DB: "x", Coll: first}
				doc := raw(t, bson.D{{Key: "_id", Value: second}, {Key: "tenant", Value: first}})
				if i == 1 {
					doc = raw(t, bson.D{{Key: "_id", Value: first}, {Key: "tenant", Value: second}})
				}
				at, err := p.Of(ns, idOf(doc), doc)
				if err != nil {
					r.Fatal(err)
				}
				return at.ID
			}
			if x := of(a, b); x == of(c, d) {
				r.Fatalf("%q and %q, %q and %q have the id %q", a, b, c, d, x)
			}
		}
	})
}

// TestT33IndexNamesAreValid: whatever the fields hold, an engine takes the name,
// and it begins as all of its namespace do; making it safe twice changes nothing.
func TestT33IndexNamesAreValid(t *testing.T) {
	p := places(t, Templates{Index: "{db}-x-{tenant}"})
	rapid.Check(t, func(r *rapid.T) {
		ns := flow.Namespace{DB: rapid.StringOfN(rapid.RuneFrom([]rune("aB-_+.ß")), 1, 4, -1).Draw(r, "db"), Coll: "c"}
		doc := raw(t, bson.D{{Key: "_id", Value: 1}, {Key: "tenant", Value: rapid.String().Draw(r, "tenant")}})
		at, err := p.Of(ns, idOf(doc), doc)
		if err != nil {
			return
		}
		name := at.Index
		switch {
		case strings.ToLower(name) != name, strings.ContainsAny(name, "\\/*?\"<>| ,#:\x00\n{}"), strings.ContainsAny(name[:1], "-_+."), len(name) > maxPlaceIndex:
			r.Fatalf("%q", name)
		case string(appendSafe(nil, name)) != name, !strings.HasPrefix(name, p.Prefix(ns)):
			r.Fatalf("%q of %q", name, p.Prefix(ns))
		}
	})
}

// TestPlacesNeverPanics: no text of a template, and no document, does harm.
func TestPlacesNeverPanics(t *testing.T) {
	piece := rapid.SampledFrom([]string{"{", "}", "a", "-", "{a}", "{_id}", "{a:yyyy}", "|", ":", "{db}", "%", "{a|b}", "é"})
	rapid.Check(t, func(r *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(r, "template"), "")
		doc := bson.Raw(rapid.SliceOf(rapid.Byte()).Draw(r, "document"))
		for _, of := range []Templates{{Index: text}, {ID: text}, {Routing: text}} {
			p, err := CompilePlaces(of)
			if p == nil || err != nil {
				continue
			}
			_, _ = p.Of(orders, idOf(raw(t, bson.D{{Key: "_id", Value: 1}})), doc)
			_ = p.Prefix(orders)
		}
	})
}
