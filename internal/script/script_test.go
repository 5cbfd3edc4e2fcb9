package script

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

var orders = flow.Namespace{DB: "shop", Coll: "orders"}

func raw(t testing.TB, v any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func stage(t testing.TB, o Options) *Stage {
	t.Helper()
	s, err := Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is a script of orders.
func entry(code string) Entry {
	return Entry{Name: "a.js", Code: code, Kind: Map, Mode: Native, Timeout: MaxTimeout}
}

func monstache(code string) Entry {
	return Entry{Name: "a.js", Code: code, Kind: Map, Mode: Monstache, Timeout: MaxTimeout}
}

func write(t testing.TB, doc any) flow.Change {
	t.Helper()
	r := raw(t, doc)
	return flow.Change{Op: flow.OpWrite, NS: orders, ID: r.Lookup("_id"), Doc: r, Version: 7}
}

func apply(t testing.TB, s *Stage, changes ...flow.Change) []flow.Change {
	t.Helper()
	b, err := s.Apply(t.Context(), flow.Batch{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	return b.Changes
}

// one runs one script over one document.
func one(t testing.TB, e Entry, doc any) flow.Change {
	t.Helper()
	return apply(t, stage(t, Options{Entries: []Entry{e}}), write(t, doc))[0]
}

// after is the document after a script, as Extended JSON, or what became of it.
func after(t testing.TB, e Entry, doc any) string {
	t.Helper()
	c := one(t, e, doc)
	switch {
	case c.Fault != nil:
		return c.Fault.Reason + ": " + errors.Unwrap(c.Fault.Err).Error()
	case c.Op != flow.OpWrite:
		return c.Op.String()
	}
	text, err := bson.MarshalExtJSON(c.Doc, true, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fn is a script with a body.
func fn(body string) string {
	return "module.exports = function (doc, ns, updateDescription) {" + body + "};"
}

const deletedAt = `module.exports = function(doc) {
	if (!!doc.deletedAt) {
		return false;
	}
	return true;
}`

func TestWhatAMapReturns(t *testing.T) {
	doc := bson.D{{Key: "_id", Value: int32(1)}, {Key: "a", Value: int64(2)}, {Key: "sub", Value: bson.D{{Key: "x", Value: 1.0}}}}
	same := `{"_id":{"$numberInt":"1"},"a":{"$numberLong":"2"},"sub":{"x":{"$numberDouble":"1.0"}}}`
	begins := func(got, want string) bool {
		start, open := strings.CutSuffix(want, "…")
		return got == want || open && strings.HasPrefix(got, start)
	}
	f := func(body, native, mon string) {
		t.Helper()
		if got := after(t, entry(fn(body)), doc); !begins(got, native) {
			t.Errorf("native %s: %s, want %s", body, got, native)
		}
		if got := after(t, monstache(fn(body)), doc); !begins(got, mon) {
			t.Errorf("monstache %s: %s, want %s", body, got, mon)
		}
	}
	f("return doc", same, same)
	f("return true", same, same)
	f("doc.a = 5; return true", same, same)
	for _, falsy := range []string{"", "return", "return null", "return false", "return 0", "return ''", "return NaN"} {
		f(falsy, "delete", "delete")
	}
	f("return 7", "script: it returned a int64…", same)
	f("return [1]", "script: it returned an object of the kind Array…", same)
	f("return new Date(0)", "script: it returned an object of the kind Date…", same)
	f("return function () {}", "script: it returned an object of the kind Function…", same)
	f("return /a/", "script: it returned an object of the kind RegExp…", same)
	f("return new Error('x')", "script: it returned an object of the kind Error…", same)
	f("return {b: 1}", `{"_id":{"$numberInt":"1"},"b":{"$numberInt":"1"}}`, `{"_id":{"$numberInt":"1"},"b":{"$numberInt":"1"}}`)
	f("return {_id: 9, b: 1}", `{"_id":{"$numberInt":"1"},"b":{"$numberInt":"1"}}`, `{"_id":{"$numberInt":"1"},"b":{"$numberInt":"1"}}`)
	f("return doc.sub", `{"_id":{"$numberInt":"1"},"x":{"$numberDouble":"1.0"}}`, `{"_id":{"$numberInt":"1"},"x":{"$numberDouble":"1.0"}}`)
	f("doc._id = 4; delete doc.a; return doc", `{"_id":{"$numberInt":"1"},"sub":{"x":{"$numberDouble":"1.0"}}}`, `{"_id":{"$numberInt":"1"},"sub":{"x":{"$numberDouble":"1.0"}}}`)
	f("doc.z = doc.sub; doc.z.y = true; return doc",
		`{"_id":{"$numberInt":"1"},"a":{"$numberLong":"2"},"sub":{"x":{"$numberDouble":"1.0"},"y":true},"z":{"x":{"$numberDouble":"1.0"},"y":true}}`,
		`{"_id":{"$numberInt":"1"},"a":{"$numberLong":"2"},"sub":{"x":{"$numberDouble":"1.0"},"y":true},"z":{"x":{"$numberDouble":"1.0"},"y":true}}`)
	f("return {ns: ns, same: this === doc, u: Object.keys(updateDescription).length}",
		`{"_id":{"$numberInt":"1"},"ns":"shop.orders","same":true,"u":{"$numberInt":"0"}}`,
		`{"_id":{"$numberInt":"1"},"ns":"shop.orders","same":true,"u":{"$numberInt":"0"}}`)
	f("\nthrow new TypeError('no ' + doc.a)", "script: a.js:2:7: TypeError: no 2", "script: a.js:2:7: TypeError: no 2")
	f("\n return doc.missing.x", "script: a.js:2:21: TypeError: Cannot read property 'x' of undefined", "script: a.js:2:21: TypeError: Cannot read property 'x' of undefined")
	f("doc.me = doc; return doc", "script: what it returned can't be written: the field me.me…", "script: what it returned can't be written: the field me.me…")
	f("doc.d = new Date(NaN); return doc", "script: what it returned can't be written: the field d: an Invalid Date", "script: what it returned can't be written: the field d: an Invalid Date")
	f("doc.n = null; return doc", `{"_id":{"$numberInt":"1"},"a":{"$numberLong":"2"},"sub":{"x":{"$numberDouble":"1.0"}},"n":null}`, same)
}

// A document that nothing was changed of is the same bytes, not an equal copy.
func TestUntouchedIsNotWrittenAgain(t *testing.T) {
	s := stage(t, Options{Entries: []Entry{entry(deletedAt), entry("module.exports = function (doc) { doc.sub.x; doc.list[0]; return doc }")}})
	c := write(t, bson.D{{Key: "_id", Value: 1}, {Key: "sub", Value: bson.D{{Key: "x", Value: 1}}}, {Key: "list", Value: bson.A{1, 2}}})
	before := &c.Doc[0]
	if got := apply(t, s, c)[0]; &got.Doc[0] != before || got.Op != flow.OpWrite {
		t.Errorf("%+v", got)
	}
}

// What was not changed keeps its bytes, also where a neighbour was changed.
func TestUnchangedFieldsKeepTheirTypes(t *testing.T) {
	dec, _ := bson.ParseDecimal128("1.50")
	doc := bson.D{
		{Key: "_id", Value: bson.NewObjectID()},
		{Key: "l", Value: int64(5)},
		{Key: "big", Value: int64(1<<62 + 1)},
		{Key: "f", Value: 3.0},
		{Key: "d", Value: bson.DateTime(1700000000123)},
		{Key: "far", Value: bson.DateTime(1 << 60)},
		{Key: "dec", Value: dec},
		{Key: "bin", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}},
		{Key: "ts", Value: bson.Timestamp{T: 5, I: 6}},
		{Key: "re", Value: bson.Regex{Pattern: "a", Options: "i"}},
		{Key: "nil", Value: nil},
		{Key: "min", Value: bson.MinKey{}},
		{Key: "list", Value: bson.A{int64(1), 2.0, nil, bson.D{{Key: "x", Value: int64(1)}}}},
		{Key: "code", Value: bson.JavaScript("x")},
		{Key: "sub", Value: bson.D{{Key: "a", Value: int64(1)}, {Key: "b", Value: 1.0}}},
		{Key: "yes", Value: true},
	}
	for _, e := range []Entry{
		entry("module.exports = function (doc) { for (var k in doc) { doc[k] = doc[k]; String(doc[k]); } doc.sub.c = 1; doc.list.push(9); doc.added = 1; return doc }"),
		monstache("module.exports = function (doc) { _.each(doc, function (v, k) { String(v) }); doc.sub.c = 1; doc.list.push(9); doc.added = 1; return doc }"),
	} {
		got := one(t, e, doc)
		if got.Fault != nil {
			t.Fatal(got.Fault.Err)
		}
		want := append(append(bson.D{}, doc...), bson.E{Key: "added", Value: int32(1)})
		for i := range want {
			switch want[i].Key {
			case "list":
				want[i].Value = append(append(bson.A{}, want[i].Value.(bson.A)...), int32(9))
			case "sub":
				want[i].Value = append(append(bson.D{}, want[i].Value.(bson.D)...), bson.E{Key: "c", Value: int32(1)})
			}
		}
		if w := raw(t, want); string(w) != string(got.Doc) {
			t.Errorf("%s\n%v\n%v", e.Mode, w, got.Doc)
		}
	}
}

func TestTypesOfANativeScript(t *testing.T) {
	id, _ := bson.ObjectIDFromHex("65f0a0a0a0a0a0a0a0a0a0a0")
	dec, _ := bson.ParseDecimal128("12.50")
	doc := bson.D{
		{Key: "_id", Value: id},
		{Key: "n", Value: int32(3)},
		{Key: "l", Value: int64(1 << 53)},
		{Key: "ok", Value: int64(1<<53 - 1)},
		{Key: "d", Value: bson.DateTime(1700000000123)},
		{Key: "dec", Value: dec},
		{Key: "nil", Value: nil},
		{Key: "list", Value: bson.A{1, bson.D{{Key: "x", Value: 2}}}},
		{Key: "uuid", Value: bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}},
		{Key: "bin", Value: bson.Binary{Data: []byte("hi")}},
	}
	f := func(expression, want string) {
		t.Helper()
		got := after(t, entry("module.exports = function (doc) { return {r: "+expression+"} }"), doc)
		if w := `{"_id":{"$oid":"65f0a0a0a0a0a0a0a0a0a0a0"},"r":` + want + `}`; got != w {
			t.Errorf("%s: %s, want %s", expression, got, w)
		}
	}
	f("doc._id.toString() + typeof doc._id", `"65f0a0a0a0a0a0a0a0a0a0a0object"`)
	f("doc._id.equals('65f0a0a0a0a0a0a0a0a0a0a0') && doc._id == '65f0a0a0a0a0a0a0a0a0a0a0' && doc._id.equals(ObjectId('65f0a0a0a0a0a0a0a0a0a0a0')) && doc._id instanceof ObjectId", "true")
	f("doc._id.getTimestamp().getTime()", `{"$numberLong":"1710268576000"}`)
	f("new ObjectId('65f0a0a0a0a0a0a0a0a0a0a0')", `{"$oid":"65f0a0a0a0a0a0a0a0a0a0a0"}`)
	f("typeof doc.l + typeof doc.ok + doc.ok", `"bigintnumber9007199254740991"`)
	f("doc.l + 1n", `{"$numberLong":"9007199254740993"}`)
	f("doc.dec.toString()", `"12.50"`)
	f("Decimal128('7.10')", `{"$numberDecimal":"7.10"}`)
	f("doc.nil === null", "true")
	f("doc.missing === undefined && !('missing' in doc) && 'nil' in doc", "true")
	f("doc.d instanceof Date && doc.d.getTime() === 1700000000123 && doc.d.toISOString()", `"2023-11-14T22:13:20.123Z"`)
	f("doc.d", `{"$date":{"$numberLong":"1700000000123"}}`)
	f("new Date(doc.d.getTime() + 1)", `{"$date":{"$numberLong":"1700000000124"}}`)
	f("[Array.isArray(doc.list), doc.list instanceof Array, doc.list.map(x => x.x || x).join('-'), [...doc.list].length, doc.list.concat([1]).length]",
		`[true,true,"1-2",{"$numberInt":"2"},{"$numberInt":"3"}]`)
	f("JSON.stringify(doc.list) + JSON.stringify(doc._id) + JSON.stringify(doc.dec)", `"[1,{\"x\":2}]\"65f0a0a0a0a0a0a0a0a0a0a0\"\"12.50\""`)
	f("stringFromBinData(doc.uuid) + ' ' + stringFromBinData(doc.bin)", `"30313233-3435-3637-3839-616263646566 aGk="`)
	f("Array.from(new Uint8Array(doc.bin.Data))", `[{"$numberInt":"104"},{"$numberInt":"105"}]`)
	f("_.pluck([{a: 1}, {a: 2}], 'a').length + require('underscore').max([1, 5])", `{"$numberInt":"7"}`)
	f("Object.keys(doc).length", `{"$numberInt":"10"}`)
	f("({...doc}).n", `{"$numberInt":"3"}`)
	f("_.omit(doc, 'n').nil === null", "true")
	f("1.5", `{"$numberDouble":"1.5"}`)
	f("-0", `{"$numberDouble":"-0.0"}`)
	f("4294967296", `{"$numberLong":"4294967296"}`)
	f("/a+/gi", `{"$regularExpression":{"pattern":"a+","options":"i"}}`)
	f("[undefined, function () {}, null]", `[null,null,null]`)
	f("({a: undefined, f: function () {}})", `{}`)
	f("new Uint8Array([1, 2])", `{"$binary":{"base64":"AQI=","subType":"00"}}`)
	f("'a\\ud800'", `"a�"`)
}

// A Date that a script changes in place is written back.
func TestDateChangedInPlace(t *testing.T) {
	got := after(t, entry(fn("doc.d.setTime(doc.d.getTime() + 1000); return doc")), bson.D{{Key: "_id", Value: int32(1)}, {Key: "d", Value: bson.DateTime(5)}})
	if want := `{"_id":{"$numberInt":"1"},"d":{"$date":{"$numberLong":"1005"}}}`; got != want {
		t.Error(got)
	}
}

func TestTypesOfMonstache(t *testing.T) {
	id, _ := bson.ObjectIDFromHex("65f0a0a0a0a0a0a0a0a0a0a0")
	doc := bson.D{{Key: "_id", Value: id}, {Key: "nil", Value: nil}, {Key: "ref", Value: bson.D{{Key: "id", Value: id}}}, {Key: "d", Value: bson.DateTime(1700000000123)}, {Key: "ts", Value: bson.Timestamp{T: 5, I: 6}}}
	f := func(expression, want string) {
		t.Helper()
		got := after(t, monstache("module.exports = function (doc) { return {r: "+expression+"} }"), doc)
		if w := `{"_id":{"$oid":"65f0a0a0a0a0a0a0a0a0a0a0"},"r":` + want + `}`; got != w {
			t.Errorf("%s: %s, want %s", expression, got, w)
		}
	}
	f("typeof doc._id + doc.ref.id", `"string65f0a0a0a0a0a0a0a0a0a0a0"`)
	f("doc.nil === undefined && 'nil' in doc", "true")
	f("_.has(_.extend({}, doc), 'nil') && JSON.stringify(_.extend({}, doc)).indexOf('nil') < 0", "true")
	f("doc.d.Unix() + ' ' + doc.d.UnixMilli() + ' ' + doc.d.Year() + ' ' + doc.d.Format('2006-01-02')", `"1700000000 1700000000123 2023 2023-11-14"`)
	f("doc.ts.T + doc.ts.I", `{"$numberInt":"11"}`)
	f("/a/", "{}")
	f("function () {}", "{}")
	f("new Date(5)", `{"$date":{"$numberLong":"5"}}`)
}

func TestFilters(t *testing.T) {
	f := func(e Entry, n int, want flow.Op) {
		t.Helper()
		e.Kind = Filter
		if got := one(t, e, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: n}}); got.Op != want || (want == flow.OpDelete) != got.Left || (want == flow.OpDelete) != (got.Doc == nil) {
			t.Errorf("%s, %d: %v, left %v", e.Mode, n, got.Op, got.Left)
		}
	}
	code := fn("return doc.n > 5")
	f(entry(code), 6, flow.OpWrite)
	f(entry(code), 5, flow.OpDelete)
	f(monstache(code), 6, flow.OpWrite)
	f(monstache(code), 5, flow.OpSkip)
}

// Filters come before maps, those of all namespaces before those of one; the second
// gets what the first returned, and nothing runs after one that says no.
func TestOrderOfScripts(t *testing.T) {
	say := func(name string, ns flow.Namespace, kind Kind) Entry {
		return Entry{Name: name, NS: ns, Kind: kind, Mode: Native, Code: fn("doc.said = (doc.said || '') + '" + name + "'; return doc.stop === '" + name + "' ? false : doc")}
	}
	other := flow.Namespace{DB: "shop", Coll: "other"}
	s := stage(t, Options{Entries: []Entry{
		say("own", orders, Map), say("other", other, Map), say("all", flow.Namespace{}, Map), say("second", orders, Map),
		say("filter", orders, Filter), say("every", flow.Namespace{}, Filter),
	}})
	c := apply(t, s, write(t, bson.D{{Key: "_id", Value: 1}}))[0]
	if got := c.Doc.Lookup("said").StringValue(); got != "allownsecond" {
		t.Error(got)
	}
	for _, stop := range []string{"all", "own", "second", "filter", "every"} {
		if c := apply(t, s, write(t, bson.D{{Key: "_id", Value: 1}, {Key: "stop", Value: stop}}))[0]; c.Op != flow.OpDelete || !c.Left {
			t.Errorf("%s: %v", stop, c.Op)
		}
	}
}

func TestMeta(t *testing.T) {
	doc := bson.D{{Key: "_id", Value: int32(1)}, {Key: "a", Value: int32(1)}}
	f := func(e Entry, want string) {
		t.Helper()
		if got := after(t, e, doc); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", e.Code, got, want)
		}
	}
	f(entry(fn("doc.$meta = {skip: true}; return doc")), "skip")
	f(entry(fn("doc.$meta = {skip: false}; return doc")), `{"_id":{"$numberInt":"1"},"a":{"$numberInt":"1"}}`)
	f(entry(fn("doc.$meta = 5; return doc")), "script: $meta is no object")
	f(entry(fn("doc.$meta = {index: 'x'}; return doc")), "script: $meta.index: a script can't say this")
	f(entry(fn("doc._meta_monstache = {index: 'x'}; return doc")), `{"_id":{"$numberInt":"1"},"a":{"$numberInt":"1"},"_meta_monstache":{"index":"x"}}`)
	f(monstache(fn("doc._meta_monstache = {skip: false}; return doc")), "skip")
	f(monstache(fn("doc._meta_monstache = {type: 'x'}; return doc")), `{"_id":{"$numberInt":"1"},"a":{"$numberInt":"1"}}`)
	f(monstache(fn("doc._meta_monstache = 5; return doc")), `{"_id":{"$numberInt":"1"},"a":{"$numberInt":"1"}}`)
	doc = append(doc, bson.E{Key: "_meta_monstache", Value: bson.D{{Key: "skip", Value: true}}}, bson.E{Key: "z", Value: true})
	f(monstache(fn("return true")), "skip")
	doc[2].Value = bson.D{}
	f(monstache(fn("return true")), `{"_id":{"$numberInt":"1"},"a":{"$numberInt":"1"},"z":true}`)
}

// The first copy into an empty index deletes nothing; everything else does.
func TestS14LeftByAScript(t *testing.T) {
	s := stage(t, Options{Entries: []Entry{entry(deletedAt)}})
	gone := bson.D{{Key: "_id", Value: 1}, {Key: "deletedAt", Value: time.Now()}}
	f := func(b flow.Batch, want flow.Op) {
		t.Helper()
		c := write(t, gone)
		c.Archived, c.Before = &flow.Archived{}, &flow.Before{Docs: []bson.Raw{c.Doc}}
		b.Changes = []flow.Change{c}
		out, err := s.Apply(t.Context(), b)
		if c = out.Changes[0]; err != nil || c.Op != want || c.Doc != nil || c.Version != 7 || c.Before != nil {
			t.Errorf("%v: %+v", err, c)
		}
		if want == flow.OpDelete && (!c.Left || c.Archived != nil) {
			t.Errorf("%+v", c)
		}
	}
	f(flow.Batch{}, flow.OpDelete)
	s.Empty(orders)
	f(flow.Batch{Snapshot: true}, flow.OpDelete)
	s.Hear(flow.Control{Kind: flow.ControlSnapshotBegin, NS: orders})
	f(flow.Batch{Snapshot: true}, flow.OpSkip)
	f(flow.Batch{}, flow.OpDelete)
	f(flow.Batch{Snapshot: true, Repair: true}, flow.OpDelete)
	s.Hear(flow.Control{Kind: flow.ControlSnapshotDone, NS: orders})
	f(flow.Batch{Snapshot: true}, flow.OpDelete)
}

// Of a delete that was merged with a write, what a sink may keep goes through the
// script as well; it stays a delete, whatever the script does.
func TestDeleteWithADocument(t *testing.T) {
	f := func(body string, left bool, doc string) {
		t.Helper()
		c := write(t, bson.D{{Key: "_id", Value: 1}, {Key: "a", Value: 1}})
		c.Op = flow.OpDelete
		got := apply(t, stage(t, Options{Entries: []Entry{entry(fn(body))}}), c)[0]
		has := ""
		if got.Doc != nil {
			has = got.Doc.String()
		}
		if got.Op != flow.OpDelete || got.Left != left || got.Fault != nil || !strings.Contains(has, doc) || doc == "" && has != "" {
			t.Errorf("%s: %+v", body, got)
		}
	}
	f("return {b: 1}", false, `"b"`)
	f("return false", true, "")
	f("throw 1", false, "")
	f("return {$meta: {skip: true}}", false, "")
}

func TestScriptsThatCanNotBeRead(t *testing.T) {
	f := func(code, want string) {
		t.Helper()
		e := entry(code)
		e.Timeout = 0
		_, err := Compile(Options{Entries: []Entry{e}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", code, err, want)
		}
	}
	f("module.exports = function (doc) {\n  return doc.;\n}", "a.js:2:14: ")
	f("var x = 1;", "module.exports is no function")
	f("\n\nundefinedFunction();", "a.js:3:18: ReferenceError: undefinedFunction is not defined")
	f("require('fs')", "require knows underscore, and not fs")
	f("for (;;);", "cut: the call took longer than its timeout")
	f("}); (function () {", "")
}

// TestCut: each is cut, and the next document is written as if nothing had been.
func TestCut(t *testing.T) {
	f := func(name, body, want string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := entry(fn("if (doc.bad) {" + body + "} return doc;"))
			e.Timeout = 500 * time.Millisecond
			s := stage(t, Options{Entries: []Entry{e}})
			bad := bson.D{{Key: "_id", Value: 1}, {Key: "bad", Value: true}, {Key: "list", Value: bson.A{1}}}
			good := bson.D{{Key: "_id", Value: 2}}
			start := time.Now()
			got := apply(t, s, write(t, good), write(t, bad), write(t, good))
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if got[0].Fault != nil || got[2].Fault != nil || got[2].Op != flow.OpWrite {
				t.Errorf("%+v", got)
			}
			if got[1].Fault == nil {
				t.Fatalf("%+v", got[1])
			}
			if v := got[1].Fault; v.Reason != reasonCut || v.Outcome != flow.DeadLetter || !strings.Contains(v.Err.Error(), want) {
				t.Errorf("%s: %v", v.Reason, v.Err)
			}
		})
	}
	f("endless loop", "for (;;);", "a.js:1:")
	f("endless loop that catches", "for (;;) { try { for (;;); } catch (e) {} finally { continue } }", "cut: the call took longer")
	f("recursion", "var f = function () { return f() + 1 }; f()", "cut: calls go deeper than 1000")
	f("recursion by a native", "var f = function () { return [1].map(f) }; f()", "cut: ")
	f("repeat", "doc.x = 'x'.repeat(1e9)", "cut: a text of more than")
	f("repeat often", "var a = []; for (;;) a.push('x'.repeat(1 << 20))", "cut: ")
	f("padding", "doc.x = ''.padEnd(1e9)", "cut: ")
	f("doubling", "var s = 'x'; for (;;) s += s", "cut: ")
	f("buffer", "new ArrayBuffer(1e10)", "cut: ")
	f("typed array", "new Uint8Array(1e10)", "cut: ")
	f("constructor of another", "new (new Uint8Array(1).constructor)(1e10)", "cut: ")
	f("fill", "new Array(4e9).fill(0)", "cut: ")
	f("search in an endless array", "var a = []; a.length = 4e9; a.indexOf(1)", "cut: ")
	f("like an array", "Array.prototype.indexOf.call({length: 9e15}, 1)", "cut: ")
	f("spread", "var a = []; a.length = 4e9; [...a]", "cut: ")
	f("apply", "Math.max.apply(null, {length: 1e9})", "cut: ")
	f("from", "Array.from({length: 1e9})", "cut: ")
	f("join", "new Array(1e6).join('x'.repeat(1e5))", "cut: ")
	f("join of what is large", "var s = 'x'.repeat(1e6), a = []; for (var i = 0; i < 1e4; i++) a.push(s); a.join('')", "cut: ")
	f("nested arrays as text", "var a = []; for (var i = 0; i < 1e5; i++) a = [a]; String(a)", "cut: ")
	f("flat", "var a = [1]; for (var i = 0; i < 60; i++) a = [a, a]; a.flat(Infinity)", "cut: ")
	f("JSON of what is shared", "var a = {}; for (var i = 0; i < 60; i++) a = {x: a, y: a}; JSON.stringify(a)", "cut: ")
	f("nested JSON", "JSON.parse('['.repeat(1e6))", "cut: ")
	f("JSON of what is nested", "var a = {}; for (var i = 0; i < 1e5; i++) a = {x: a}; JSON.stringify(a)", "cut: ")
	f("endless toJSON", "function T() {} T.prototype.toJSON = function () { return {a: new T()} }; JSON.stringify(new T())", "cut: ")
	f("program", "new Function('x'.repeat(1e6))", "cut: a program or pattern")
	f("program by eval", "eval('['.repeat(1e6))", "cut: a program or pattern")
	f("pattern", "new RegExp('('.repeat(1e6))", "cut: a program or pattern")
	f("fields", "for (var i = 0; ; i++) doc['f' + i] = i", "cut: ")
	f("length of a list", "doc.l = [1]; doc.l.length = 4e9; return doc", "cut: ")
	f("length of a list of the document", "doc.list.length = 4e9; return doc", "cut: ")
}

// What a call that was cut has left behind is not seen by the next one, shared or not.
func TestCutRuntimeIsNotUsedAgain(t *testing.T) {
	for _, shared := range []bool{false, true} {
		e := entry("var n = 0; module.exports = function (doc) { doc.n = ++n; while (doc.bad); return doc }")
		e.Timeout, e.Shared = 100*time.Millisecond, shared
		s := stage(t, Options{Entries: []Entry{e}})
		got := apply(t, s, write(t, bson.D{{Key: "_id", Value: 1}}), write(t, bson.D{{Key: "_id", Value: 1}, {Key: "bad", Value: true}}), write(t, bson.D{{Key: "_id", Value: 1}}))
		if got[1].Fault == nil || got[1].Fault.Reason != reasonCut || got[2].Doc.Lookup("n").Int32() != 1 {
			t.Errorf("shared %v: %v", shared, got[2].Doc)
		}
	}
}

// The result of a script has a bound, too.
func TestResultTooLarge(t *testing.T) {
	got := after(t, entry(fn("doc.x = 'x'.repeat(17 << 20); return doc")), bson.D{{Key: "_id", Value: 1}})
	if !strings.Contains(got, "larger than 16 MB") {
		t.Errorf("%.100s", got)
	}
}

// A fault of the engine, or of the bytes, is one of the document.
func TestBrokenBytes(t *testing.T) {
	s := stage(t, Options{Entries: []Entry{entry(deletedAt)}})
	c := write(t, bson.D{{Key: "_id", Value: 1}})
	c.Doc = append(bson.Raw{}, c.Doc...)
	c.Doc[4] = 0x77
	if got := apply(t, s, c, write(t, bson.D{{Key: "_id", Value: 2}})); got[0].Fault == nil || got[1].Fault != nil {
		t.Errorf("%+v", got)
	}
}

// Runtimes are apart, unless the script says that they are shared.
func TestState(t *testing.T) {
	counter := "var n = 0; module.exports = function (doc) { doc.n = ++n; return doc }"
	shared := entry(counter)
	shared.Shared = true
	s := stage(t, Options{Entries: []Entry{shared}})
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 50 {
				_, _ = s.Apply(context.Background(), flow.Batch{Changes: []flow.Change{write(t, bson.D{{Key: "_id", Value: 1}})}})
			}
		}()
	}
	for range 4 {
		<-done
	}
	if got := apply(t, s, write(t, bson.D{{Key: "_id", Value: 1}}))[0].Doc.Lookup("n").Int32(); got != 201 {
		t.Error(got)
	}
	p := stage(t, Options{Entries: []Entry{entry(counter)}}).programs[0]
	a, _ := p.pool.take()
	b, _ := p.pool.take()
	if a == b {
		t.Error("two calls at one time have one runtime")
	}
}

// That a script returned nothing is told once: Monstache's users know it too well.
func TestMissingReturnIsTold(t *testing.T) {
	var b strings.Builder
	s := stage(t, Options{Logger: slog.New(slog.NewTextHandler(&b, nil)), Entries: []Entry{entry(fn("doc.x = 1"))}})
	for range 3 {
		apply(t, s, write(t, bson.D{{Key: "_id", Value: 1}}))
	}
	if got := b.String(); strings.Count(got, "is a return missing?") != 1 || !strings.Contains(got, "script=a.js") {
		t.Error(got)
	}
}

func TestConsole(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelInfo}))
	s := stage(t, Options{Logger: log, Entries: []Entry{entry(fn("console.log('a', {b: [1]}, doc.n); console.debug('no'); console.error('x'.repeat(1e5)); return doc"))}})
	apply(t, s, write(t, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 5}}))
	out := b.String()
	if !strings.Contains(out, `level=INFO msg="a {\"b\":[1]} 5" script=a.js`) || !strings.Contains(out, "level=ERROR") || strings.Contains(out, "no") || len(out) > 10000 {
		t.Error(len(out), out[:200])
	}
}
