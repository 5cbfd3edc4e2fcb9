package mql

import (
	"bytes"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	f := func(query, doc string, want bool) {
		t.Helper()
		m, err := Compile(ext(t, query))
		if err != nil {
			t.Errorf("%s: %v", query, err)
			return
		}
		if got := m.Match(ext(t, doc)); got != want {
			t.Errorf("%s on %s: %v, want %v", query, doc, got, want)
		}
	}
	f(`{}`, `{}`, true)
	f(`{"a":1}`, `{"a":1.0}`, true)
	f(`{"a":1}`, `{"a":{"$numberDecimal":"1.00"}}`, true)
	f(`{"a":1}`, `{"a":"1"}`, false)
	f(`{"a":{"$gt":1}}`, `{"a":"b"}`, false)
	f(`{"a":null}`, `{}`, true)
	f(`{"a.b":null}`, `{"a":[1]}`, false)
	f(`{"a.b":null}`, `{"a":[{}]}`, true)
	f(`{"a.b":{"$ne":1}}`, `{"a":[{"b":1},{"b":2}]}`, false)
	f(`{"a.b":{"$gt":5,"$lt":3}}`, `{"a":[{"b":0},{"b":5}]}`, false)
	f(`{"a.b":{"$gt":1,"$lt":9}}`, `{"a":[{"b":0},{"b":5}]}`, true)
	f(`{"a":{"$gt":3,"$lt":2}}`, `{"a":[1,4]}`, true)
	f(`{"a":{"$elemMatch":{"$gt":3,"$lt":2}}}`, `{"a":[1,4]}`, false)
	f(`{"a.1.b":2}`, `{"a":[{"b":1},{"b":2}]}`, true)
	f(`{"a":[1,2]}`, `{"a":[1,2]}`, true)
	f(`{"a":{"b":1}}`, `{"a":{"b":1,"c":1}}`, false)
	f(`{"a":{"$not":{"$gt":1}}}`, `{}`, true)
	f(`{"a":{"$size":0}}`, `{"a":[]}`, true)
	f(`{"a":{"$mod":[4,1]}}`, `{"a":5.9}`, true)
	f(`{"a":{"$type":"number"}}`, `{"a":["x",1]}`, true)
	f(`{"a":{"$regex":"^x","$options":"i"}}`, `{"a":"Xyz"}`, true)
	f(`{"a":{"$all":["x",{"$regularExpression":{"pattern":"y","options":""}}]}}`, `{"a":["x","ay"]}`, true)
	f(`{"$nor":[{"a":1}]}`, `{"a":1}`, false)
	f(`{"$or":[{"a":1},{"b":2}]}`, `{"b":2}`, true)
}

func TestCompileRefuses(t *testing.T) {
	ours, both := refusedQueries()
	for _, q := range append(ours, both...) {
		if _, err := Compile(ext(t, q)); err == nil {
			t.Errorf("%s is taken", q)
		}
	}
	for _, q := range []string{`{"$expr":{}}`, `{"a":{"$near":1}}`, `{"a":{"$wat":1}}`} {
		if _, err := Compile(ext(t, q)); err == nil || !strings.Contains(err.Error(), "$elemMatch") {
			t.Errorf("%s: the error does not list what is supported: %v", q, err)
		}
	}
	deep := bson.D{}
	for range 200 {
		deep = bson.D{{Key: "$and", Value: bson.A{deep}}}
	}
	if _, err := Compile(raw(t, deep)); err == nil {
		t.Error("a query nested 200 deep is taken")
	}
}

// Keys are the same exactly where Compare says equal.
func TestKeysAgreeWithCompare(t *testing.T) {
	all := corpusValues()
	all = append(all, 1e300, dec("1E+300"), 0.5, dec("0.50"), dec("5E-1"), dec("0E+10"), 1e22, dec("1E22"), int64(-5), dec("-5.0"),
		bson.A{1.0, "x"}, bson.A{int64(1), "x"}, bson.D{{Key: "a", Value: dec("2")}}, bson.D{{Key: "a", Value: 2}})
	values := make([]bson.RawValue, len(all))
	for i, v := range all {
		values[i] = raw(t, bson.D{{Key: "v", Value: v}}).Lookup("v")
	}
	for _, a := range values {
		for _, b := range values {
			same := bytes.Equal(AppendKey(nil, a), AppendKey(nil, b))
			if c := Compare(a, b); (c == 0) != same {
				t.Errorf("%s and %s: Compare says %d, the keys are the same: %v", a, b, c, same)
			}
			if Compare(a, b) != -Compare(b, a) {
				t.Errorf("%s and %s: the order depends on the side", a, b)
			}
		}
	}
}

func TestIDsOf(t *testing.T) {
	f := func(query string, want string) {
		t.Helper()
		ids, ok := IDsOf(ext(t, query))
		var b strings.Builder
		for _, id := range ids {
			b.WriteString(id.String() + " ")
		}
		got := strings.TrimSpace(b.String())
		if !ok {
			got = "free"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	f(`{}`, "free")
	f(`{"_id":"x"}`, `"x"`)
	f(`{"_id":{"b":"c"}}`, `{"b": "c"}`)
	f(`{"a":1,"_id":{"$eq":"x"}}`, `"x"`)
	f(`{"_id":{"$in":["x","y"],"$gt":"z"}}`, `"x" "y"`)
	f(`{"_id":{"$in":[]}}`, "")
	f(`{"_id":{"$in":["x",{"$regularExpression":{"pattern":"y","options":""}}]}}`, "free")
	f(`{"_id":{"$regularExpression":{"pattern":"y","options":""}}}`, "free")
	f(`{"_id":{"$gt":"x"}}`, "free")
	f(`{"_id":{"$nin":["x"]}}`, "free")
	f(`{"$and":[{"a":1},{"_id":"x"}]}`, `"x"`)
	f(`{"$or":[{"_id":"y"},{"_id":"x","a":1}]}`, `"y" "x"`)
	f(`{"$or":[{"_id":"y"},{"a":1}]}`, "free")
	f(`{"$nor":[{"_id":"y"}]}`, "free")
}

// Broken bytes are never read past, whatever they hold.
func TestBrokenDocuments(t *testing.T) {
	docs := corpus(t)
	var all []*Matcher
	for _, q := range corpusQueries() {
		m, err := Compile(ext(t, q))
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		all = append(all, m)
	}
	for _, d := range docs[:40] {
		for cut := range d {
			for _, m := range all[:60] {
				m.Match(d[:cut])
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := bytes.Clone(rapid.SampledFrom(docs).Draw(t, "doc"))
		for range rapid.IntRange(0, 3).Draw(t, "flips") {
			d[rapid.IntRange(0, len(d)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		d = d[:rapid.IntRange(0, len(d)).Draw(t, "cut")]
		rapid.SampledFrom(all).Draw(t, "query").Match(d)
	})
}

func TestMatchAllocatesNothing(t *testing.T) {
	m, err := Compile(ext(t, `{"a.b":{"$gt":3},"c":{"$in":["x","y"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	doc := ext(t, `{"a":[{"b":1},{"b":4}],"c":"y"}`)
	if n := testing.AllocsPerRun(100, func() { m.Match(doc) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}
