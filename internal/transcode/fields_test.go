package transcode

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func order() bson.D {
	return bson.D{
		{Key: "_id", Value: 1},
		{Key: "number", Value: "n1"},
		{Key: "customer", Value: bson.D{{Key: "name", Value: "x"}, {Key: "email", Value: "e"}}},
		{Key: "lines", Value: bson.A{
			bson.D{{Key: "sku", Value: "a"}, {Key: "price", Value: 1}},
			"no document",
			bson.A{bson.D{{Key: "sku", Value: "b"}, {Key: "price", Value: 2}}},
		}},
	}
}

func TestFields(t *testing.T) {
	f := func(rules Fields, want string) {
		t.Helper()
		p := mustCompile(t, Options{}, rules)
		var st Stats
		if got, err := p.Append(nil, mustMarshal(t, order()), &st); err != nil || string(got) != want {
			t.Errorf("%+v: %v\ngot  %s\nwant %s", rules, err, got, want)
		}
	}
	f(Fields{}, `{"number":"n1","customer":{"name":"x","email":"e"},"lines":[{"sku":"a","price":1},"no document",[{"sku":"b","price":2}]]}`)
	f(Fields{Include: []string{"number"}}, `{"number":"n1"}`)
	f(Fields{Include: []string{"customer"}}, `{"customer":{"name":"x","email":"e"}}`)
	f(Fields{Include: []string{"customer.name"}}, `{"customer":{"name":"x"}}`)
	f(Fields{Include: []string{"customer.phone"}}, `{"customer":{}}`)
	f(Fields{Include: []string{"number.part"}}, `{}`)
	f(Fields{Include: []string{"lines.sku"}}, `{"lines":[{"sku":"a"},[{"sku":"b"}]]}`)
	f(Fields{Exclude: []string{"number", "lines"}}, `{"customer":{"name":"x","email":"e"}}`)
	f(Fields{Exclude: []string{"lines.price", "customer", "number.part"}}, `{"number":"n1","lines":[{"sku":"a"},"no document",[{"sku":"b"}]]}`)
	f(Fields{Include: []string{"customer"}, Exclude: []string{"customer.email"}}, `{"customer":{"name":"x"}}`)
	f(Fields{Rename: map[string]string{"number": "no", "customer.name": "customer.full_name", "lines.sku": "lines.article"}},
		`{"no":"n1","customer":{"full_name":"x","email":"e"},"lines":[{"article":"a","price":1},"no document",[{"article":"b","price":2}]]}`)
	f(Fields{Rename: map[string]string{"number": "customer", "customer": "number"}, Exclude: []string{"lines", "customer.email"}},
		`{"customer":"n1","number":{"name":"x"}}`)
	f(Fields{Include: []string{"customer.name"}, Rename: map[string]string{"customer": "buyer", "customer.name": "customer.n\"m"}},
		`{"buyer":{"n\"m":"x"}}`)
}

func TestRenameOntoAFieldOfTheDocument(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{Rename: map[string]string{"a": "b", "d": "e", "x": "_"}})
	f := func(doc bson.D, want string, duplicates uint64) {
		t.Helper()
		var st Stats
		got, err := p.Append(nil, mustMarshal(t, doc), &st)
		if err != nil || string(got) != want || st.DuplicateKeys != duplicates {
			t.Errorf("%v: %v: %s, %+v", doc, err, got, st)
		}
	}
	f(bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 2}}, `{"b":1}`, 1)
	f(bson.D{{Key: "b", Value: 2}, {Key: "a", Value: 1}}, `{"b":2}`, 1)
	f(bson.D{{Key: "a", Value: 1}, {Key: "a", Value: 2}}, `{"b":1}`, 1)
	// A name that is repaired leaves the new names of others alone.
	f(bson.D{{Key: "", Value: 1}, {Key: "x", Value: 2}}, `{"__":1,"_":2}`, 0)
	var wide bson.D
	for i := range 100 {
		wide = append(wide, bson.E{Key: fmt.Sprintf("f%d", i), Value: nil})
	}
	var st Stats
	wide = append(append(wide, bson.E{Key: "b", Value: 1}), append(slices.Clone(wide), bson.E{Key: "a", Value: 2}, bson.E{Key: "d", Value: 3},
		bson.E{Key: "e", Value: 4})...)
	got, err := p.Append(nil, mustMarshal(t, wide), &st)
	if err != nil || !strings.HasSuffix(string(got), `"f99":null,"b":1,"e":3}`) || st.DuplicateKeys != 102 {
		t.Errorf("%v: %+v: %s", err, st, got)
	}
}

func TestFieldsThatCompileRefuses(t *testing.T) {
	f := func(rules Fields, want string) {
		t.Helper()
		if _, err := Compile(Options{}, rules); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", rules, err, want)
		}
	}
	f(Fields{Include: []string{"a..b"}}, "no path")
	f(Fields{Include: []string{""}}, "no path")
	f(Fields{Exclude: []string{"_id"}}, "_id is the id")
	f(Fields{Rename: map[string]string{"_id": "id"}}, "_id is the id")
	f(Fields{Include: []string{"a", "a"}}, "twice")
	f(Fields{Include: []string{"a", "a.b"}}, "there already by a")
	f(Fields{Include: []string{"a.b", "a"}}, "field below it")
	f(Fields{Include: []string{"a"}, Exclude: []string{"a"}}, "in include, too")
	f(Fields{Include: []string{"a"}, Exclude: []string{"b"}}, "left out anyhow")
	f(Fields{Include: []string{"a.b"}, Exclude: []string{"a"}}, "include names below it")
	f(Fields{Exclude: []string{"a", "a.b"}}, "left out already by a")
	f(Fields{Exclude: []string{"a.b", "a"}}, "field below it")
	f(Fields{Rename: map[string]string{"a.b": "c"}}, "write a. and the new name")
	f(Fields{Rename: map[string]string{"a": "b.c"}}, "only the last part")
	f(Fields{Rename: map[string]string{"a": "a"}}, "has that name already")
	f(Fields{Rename: map[string]string{"a": ""}}, "engines refuse")
	f(Fields{Rename: map[string]string{"a": "_source"}}, "engines refuse")
	f(Fields{Rename: map[string]string{"a": "c", "b": "c"}}, "a and b would both be c")
	f(Fields{Rename: map[string]string{"a": "b", "b.c": "b.d"}}, "a would be b, and so would the field b itself")
	f(Fields{Include: []string{"a", "b"}, Rename: map[string]string{"a": "b"}}, "a would be b, and so would")
	f(Fields{Include: []string{"a"}, Rename: map[string]string{"b": "c"}}, "not among the fields of include")
	f(Fields{Exclude: []string{"a"}, Rename: map[string]string{"a": "c"}}, "left out by exclude")
	g := func(o Options, want string) {
		t.Helper()
		if _, err := Compile(o, Fields{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	g(Options{Dates: "x"}, "dates")
	g(Options{Decimal: "x"}, "decimals")
	g(Options{NonFinite: "x"}, "non_finite")
	g(Options{BadNames: "x"}, "bad_names")
}

// TestFieldsAsIfDoneByHand compares the plan with a plain rewrite of the document.
func TestFieldsAsIfDoneByHand(t *testing.T) {
	path := rapid.StringMatching(`[a-c](\.[a-c]){0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		f := Fields{Rename: map[string]string{}}
		f.Include = rapid.SliceOfN(path, 0, 2).Draw(t, "include")
		f.Exclude = rapid.SliceOfN(path, 0, 2).Draw(t, "exclude")
		for _, from := range rapid.SliceOfN(path, 0, 2).Draw(t, "rename") {
			f.Rename[from] = from[:len(from)-1] + rapid.StringMatching(`[a-d]`).Draw(t, "to")
		}
		p, err := Compile(Options{}, f)
		if err != nil {
			return
		}
		doc := plainDocument(3).Draw(t, "document")
		want := (&reference{}).document(project(f, doc, ""), true)
		var st Stats
		got, err := p.Append(nil, mustMarshal(t, doc), &st)
		if err != nil || string(got) != want {
			t.Fatalf("%+v: %v\ngot  %s\nwant %s", f, err, got, want)
		}
	})
}

func plainDocument(depth int) *rapid.Generator[bson.D] {
	return rapid.Custom(func(t *rapid.T) bson.D {
		d := make(bson.D, rapid.IntRange(0, 5).Draw(t, "fields"))
		for i := range d {
			d[i].Key = rapid.StringMatching(`[a-d]`).Draw(t, "name")
			d[i].Value = plainValue(depth).Draw(t, "value")
		}
		return d
	})
}

func plainValue(depth int) *rapid.Generator[any] {
	if depth == 0 {
		return rapid.Just[any]("text")
	}
	return rapid.OneOf(rapid.Just[any](int32(1)), plainDocument(depth-1).AsAny(),
		rapid.Map(rapid.SliceOfN(plainValue(depth-1), 0, 3), func(a []any) any { return bson.A(a) }))
}

// project applies field rules to a decoded document.
func project(f Fields, d bson.D, prefix string) bson.D {
	var out bson.D
	for _, e := range d {
		path := prefix + e.Key
		below := func(p string) bool { return strings.HasPrefix(p, path+".") }
		covered := len(f.Include) == 0 || slices.ContainsFunc(f.Include, func(p string) bool {
			return path == p || strings.HasPrefix(path, p+".")
		})
		_, doc := e.Value.(bson.D)
		_, array := e.Value.(bson.A)
		if slices.Contains(f.Exclude, path) || !covered && (!slices.ContainsFunc(f.Include, below) || !doc && !array) {
			continue
		}
		name := e.Key
		if to, ok := f.Rename[path]; ok {
			name = to[strings.LastIndexByte(to, '.')+1:]
		}
		out = append(out, bson.E{Key: name, Value: projectValue(f, e.Value, path+".", covered)})
	}
	return out
}

func projectValue(f Fields, v any, prefix string, covered bool) any {
	switch v := v.(type) {
	case bson.D:
		return project(f, v, prefix)
	case bson.A:
		out := bson.A{}
		for _, x := range v {
			_, doc := x.(bson.D)
			_, array := x.(bson.A)
			if covered || doc || array {
				out = append(out, projectValue(f, x, prefix, covered))
			}
		}
		return out
	}
	return v
}
