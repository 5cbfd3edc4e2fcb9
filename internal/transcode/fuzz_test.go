package transcode

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/transcode/shapes"
)

// FuzzAppend holds Append against the driver: what the driver decodes gives
// the reference's bytes, and what Append takes, the driver decodes.
func FuzzAppend(f *testing.F) {
	for _, s := range shapes.All() {
		f.Add([]byte(s.Make(1)))
	}
	f.Add([]byte(allTypes(f)))
	f.Add([]byte(nested(100, true)))
	for _, c := range corpus() {
		f.Add(c.doc(f))
	}
	p, err := Compile(Options{}, Fields{})
	if err != nil {
		f.Fatal(err)
	}
	others := []*Plan{mustCompile(f, Options{Style: StyleMonstache}, Fields{}), mustCompile(f, Options{NonFinite: NonFiniteRemove}, Fields{})}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var st Stats
		for _, o := range others {
			if got, err := o.Append(nil, doc, &st); err == nil && !json.Valid(got) {
				t.Fatalf("no JSON: %s", got)
			}
		}
		if v, err := bson.Raw(doc).LookupErr("_id"); err == nil {
			if text, err := AppendGoID(nil, v); err == nil && (len(text) == 0 || len(text) > MaxID || !utf8.Valid(text)) {
				t.Fatalf("id %q", text)
			}
		}
		got, err := p.Append(nil, doc, &st)
		if err == nil && !json.Valid(got) {
			t.Fatalf("no JSON: %s", got)
		}
		var d bson.D
		broken, old := inspect(doc)
		switch driver := bson.Unmarshal(doc, &d); {
		case err == nil && broken:
			t.Fatalf("not valid BSON: %s", got)
		case old:
		case err == nil && driver != nil:
			t.Fatalf("the driver refuses it: %v: %s", driver, got)
		case errors.Is(err, ErrCorrupt) && driver == nil && !broken:
			t.Fatalf("the driver takes it: %v: %v", err, d)
		case err == nil:
			if want := (&reference{}).document(d, true); string(got) != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
	})
}

// inspect tells whether the driver's checks find a document broken, and
// whether it has binary data of the old subtype whose inner length is wrong, or
// zero: MongoDB stores such, the driver can't read them or reads the length as data.
func inspect(doc bson.Raw) (broken, old bool) {
	elems, err := doc.Elements()
	if err != nil {
		return true, false
	}
	for _, e := range elems {
		v := e.Value()
		inner, found := false, false
		switch v.Type {
		case bson.TypeBinary:
			sub, data := v.Value[4], v.Value[5:]
			found = sub == subtypeOld && (len(data) < 5 || int(load32(data, 0)) != len(data)-4)
		case bson.TypeEmbeddedDocument, bson.TypeArray:
			inner, found = inspect(v.Value)
		case bson.TypeCodeWithScope:
			_, scope, ok := v.CodeWithScopeOK()
			if inner = !ok; ok {
				inner, found = inspect(scope)
			}
		}
		broken, old = broken || inner, old || found
	}
	return broken, old
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{
		"", "65a0f3c0deadbeef01020304", "1", "-1.5e-300", "text", "$s:1", "$b:/w==", "$double:0.1", "$date:1",
		`$doc:{"a":1,"b":["x",{"c":$oid:65a0f3c0deadbeef01020304}]}`, "$uuid:00000000-0000-0000-0000-000000000000",
		`$regex:"a,b",""`, `$scoped:"f",{}`, `$dbpointer:~/w==,65a0f3c0deadbeef01020304`, "$raw:1:", "$timestamp:1.2", "$bin:2:AAAAAA==",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := ParseID(s)
		if !ok {
			return
		}
		if got := string(AppendID(nil, id)); got != s {
			t.Fatalf("%q came from %q", got, s)
		}
	})
}
