package transcode

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/transcode/shapes"
)

// goReference does what Monstache does, in the plainest way: it makes Go values of
// what the driver decoded, and lets encoding/json and fmt do the rest.
type goReference struct{ remove bool }

var errGoReference = errors.New("encoding/json refuses it")

type (
	goRegex  struct{ Pattern, Options string }
	goStamp  struct{ T, I uint32 }
	goBinary struct {
		Subtype byte
		Data    []byte
	}
	goPair struct {
		Key   string
		Value any
	}
	goCode struct {
		Code  string
		Scope []goPair
	}
	goPointer struct{ DB, Pointer string }
)

func (r goRegex) String() string {
	return fmt.Sprintf(`{"pattern": "%s", "options": "%s"}`, r.Pattern, r.Options)
}

func (c goCode) String() string { return fmt.Sprintf(`{"code": "%s", "scope": %v}`, c.Code, c.Scope) }

func (p goPointer) String() string {
	return fmt.Sprintf(`{"db": "%s", "pointer": "ObjectID("%s")"}`, p.DB, p.Pointer)
}

// value returns what encoding/json is given; keep is false for what is removed.
func (r goReference) value(v any, scope bool) (_ any, keep bool, err error) {
	odd := func() (any, bool, error) {
		if r.remove && !scope {
			return nil, false, nil
		}
		return nil, false, errGoReference
	}
	switch v := v.(type) {
	case bson.D:
		m := map[string]any{}
		for _, e := range v { // the last one counts
			x, keep, err := r.value(e.Value, scope)
			if err != nil {
				// An earlier one of the same name is never looked at.
				x, keep = errGoReference, true
			}
			delete(m, e.Key)
			if keep {
				m[e.Key] = x
			}
		}
		for _, x := range m {
			if x == any(errGoReference) {
				return nil, false, errGoReference
			}
		}
		return m, true, nil
	case bson.A:
		list := []any{}
		for _, e := range v {
			x, keep, err := r.value(e, scope)
			if err != nil {
				return nil, false, err
			}
			if keep {
				list = append(list, x)
			}
		}
		return list, true, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return odd()
		}
		return v, true, nil
	case bson.DateTime:
		t := time.UnixMilli(int64(v)).UTC()
		if t.Year() < 0 || t.Year() > 9999 {
			return odd()
		}
		if scope {
			return t, true, nil
		}
		return t.Format("2006-01-02T15:04:05.000Z07:00"), true, nil
	case bson.CodeWithScope:
		pairs := []goPair{}
		for _, e := range v.Scope.(bson.D) {
			x, _, err := r.value(e.Value, true)
			if err != nil {
				return nil, false, err
			}
			pairs = append(pairs, goPair{e.Key, x})
		}
		return goCode{string(v.Code), pairs}, true, nil
	}
	return goPlain(v, scope), true, nil
}

func goPlain(v any, scope bool) any {
	switch v := v.(type) {
	case bson.ObjectID:
		return v.Hex()
	case bson.Decimal128:
		text := goDecimal(v)
		switch {
		case scope:
			return text
		case strings.ContainsAny(text, "NI"):
			return nil
		}
		return json.RawMessage(text)
	case bson.Binary:
		if scope {
			return goBinary{v.Subtype, v.Data}
		}
		return goBinaryText(v)
	case bson.Regex:
		return goRegex(v)
	case bson.Timestamp:
		return goStamp(v)
	case bson.DBPointer:
		return goPointer{v.DB, v.Pointer.Hex()}
	case bson.Undefined, bson.MinKey, bson.MaxKey:
		return struct{}{}
	case bson.Symbol:
		return string(v)
	case bson.JavaScript:
		return string(v)
	case bson.Null:
		return nil
	}
	return v
}

// goDecimal is the driver's text; more than 34 digits count as zero (IEEE 754).
func goDecimal(d bson.Decimal128) string {
	return strings.Trim((&reference{Options: Options{NonFinite: NonFiniteString}}).decimal(d), `"`)
}

func goBinaryText(b bson.Binary) string {
	if b.Subtype != 3 && b.Subtype != 4 {
		return base64.StdEncoding.EncodeToString(b.Data)
	}
	h := hex.EncodeToString(b.Data)
	if len(h) == 32 {
		h = strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
	}
	return h
}

// document is the body of a document.
func (r goReference) document(d bson.D) (string, error) {
	var body bson.D
	for _, e := range d {
		if e.Key != "_id" && e.Key != "_meta_monstache" {
			body = append(body, e)
		}
	}
	v, _, err := r.value(body, false)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// goID is the id that Monstache makes.
func goID(v any) string {
	switch v := v.(type) {
	case bson.ObjectID:
		return v.Hex()
	case bson.Binary:
		return goBinaryText(v)
	case float64:
		if n := int64(v); v == float64(n) && v < 1<<63 { // as on amd64
			return strconv.FormatInt(n, 10)
		}
	}
	return fmt.Sprintf("%v", goPrinted(v))
}

// goPrinted is what fmt is given.
func goPrinted(v any) any {
	switch v := v.(type) {
	case bson.D:
		m := map[string]any{}
		for _, e := range v {
			m[e.Key] = goPrinted(e.Value)
		}
		return m
	case bson.A:
		list := []any{}
		for _, e := range v {
			list = append(list, goPrinted(e))
		}
		return list
	case bson.ObjectID:
		return v // prints ObjectID("…")
	case bson.DateTime:
		return time.UnixMilli(int64(v)).UTC()
	case bson.CodeWithScope:
		var pairs []goPair
		for _, e := range v.Scope.(bson.D) {
			pairs = append(pairs, goPair{e.Key, goPrinted(e.Value)})
		}
		return goCode{string(v.Code), pairs}
	case bson.Decimal128:
		return goDecimal(v)
	case bson.Binary:
		return goBinary{v.Subtype, v.Data}
	}
	return goPlain(v, false)
}

func monstachePlans(t testing.TB) map[bool]*Plan {
	return map[bool]*Plan{
		false: mustCompile(t, Options{Style: StyleMonstache}, Fields{}),
		true:  mustCompile(t, Options{Style: StyleMonstache, NonFinite: NonFiniteRemove}, Fields{}),
	}
}

// sameAsGo compares one document with the reference, without and with removal.
func sameAsGo(t interface {
	Helper()
	Fatalf(string, ...any)
}, plans map[bool]*Plan, doc bson.Raw,
) {
	t.Helper()
	var d bson.D
	if err := bson.Unmarshal(doc, &d); err != nil {
		return
	}
	for remove, p := range plans {
		want, refused := goReference{remove}.document(d)
		var st Stats
		got, err := p.Append([]byte("before"), doc, &st)
		switch {
		case refused != nil:
			if !errors.Is(err, ErrRejected) || string(got) != "before" || st != (Stats{}) {
				t.Fatalf("remove %v: %s, %v, %+v; want it rejected", remove, got, err, st)
			}
		case err != nil || string(got) != "before"+want:
			t.Fatalf("remove %v: %v\ngot  %s\nwant %s", remove, err, got, want)
		}
	}
}

func TestS11MonstacheStyleAsGoWritesIt(t *testing.T) {
	plans := monstachePlans(t)
	for _, s := range shapes.All() {
		for i := range 20 {
			sameAsGo(t, plans, s.Make(i))
		}
	}
	for _, c := range corpus() {
		if c.json == "" {
			var st Stats
			if _, err := plans[false].Append(nil, c.doc(t), &st); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v; want ErrCorrupt", c.name, err)
			}
			continue
		}
		if _, old := inspect(c.doc(t)); !old {
			sameAsGo(t, plans, c.doc(t))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		sameAsGo(t, plans, mustMarshal(t, documents(3).Draw(t, "document")))
	})
}

// TestS11MonstacheGolden compares with what driver v1.17, fmt and encoding/json made
// of documents, once.
func TestS11MonstacheGolden(t *testing.T) {
	all, err := os.ReadFile("testdata/monstache.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := monstachePlans(t)[false]
	n := 0
	for line := range strings.Lines(string(all)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		raw, err := hex.DecodeString(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := strconv.Unquote(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		id := bson.Raw(raw).Lookup("_id")
		if got, err := AppendGoID([]byte("x"), id); want != "" && len(want) <= MaxID && string(got) != "x"+strings.ToValidUTF8(want, "\ufffd") {
			t.Errorf("id of %s\ngot  %s, %v\nwant %s", id, got, err, want)
		}
		body := mustMarshal(t, bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: id}})
		var st Stats
		got, err := p.Append(nil, body, &st)
		if parts[2] == "-" && errors.Is(err, ErrRejected) {
			n++
			continue
		}
		if err != nil || string(got) != parts[2] {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, parts[2])
		}
		n++
	}
	if n < 200 {
		t.Errorf("%d documents", n)
	}
}

func TestMonstacheStyleStandsAlone(t *testing.T) {
	for name, o := range map[string]Options{
		"dates":      {Style: StyleMonstache, Dates: DatesEpochMillis},
		"decimals":   {Style: StyleMonstache, Decimal: DecimalsNumber},
		"names":      {Style: StyleMonstache, BadNames: BadNamesReject},
		"null":       {Style: StyleMonstache, NonFinite: NonFiniteNull},
		"no style":   {Style: "go"},
		"non finite": {NonFinite: "zero"},
	} {
		if _, err := Compile(o, Fields{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := Compile(Options{Style: StyleMonstache}, Fields{Exclude: []string{"a"}}); err == nil {
		t.Error("fields: taken")
	}
}

func TestS11MonstacheCounts(t *testing.T) {
	doc := mustMarshal(t, bson.D{{Key: "a", Value: "\xff"}, {Key: "b", Value: 1}, {Key: "b", Value: math.NaN()}, {Key: "c", Value: bson.DateTime(math.MaxInt64)}})
	var st Stats
	got, err := monstachePlans(t)[true].Append(nil, doc, &st)
	if want := (Stats{InvalidUTF8: 1, DuplicateKeys: 1, NonFinite: 2}); err != nil || string(got) != `{"a":"\ufffd"}` || st != want {
		t.Errorf("%s, %v, %+v", got, err, st)
	}
}

// TestS11NonFinite holds what native plans do with what is no finite number.
func TestS11NonFinite(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	vec := bson.NewVector([]float32{1, float32(nan), 2}).Binary()
	doc := mustMarshal(t, bson.D{
		{Key: "a", Value: nan},
		{Key: `q"\`, Value: inf},
		{Key: "b", Value: bson.A{nan, 1, inf, 2, nan}},
		{Key: "c", Value: bson.A{nan}},
		{Key: "d", Value: bson.D{{Key: "x", Value: inf}}},
		{Key: "e", Value: bson.D{{Key: "x", Value: int32(1)}, {Key: "y", Value: inf}}},
		{Key: "v", Value: vec},
		{Key: "z", Value: nan},
	})
	for _, c := range []struct {
		fields Fields
		want   string
	}{
		{Fields{}, `{"b":[1,2],"c":[],"d":{},"e":{"x":1},"v":[1.0,2.0]}`},
		{Fields{Flatten: []string{"b", "e"}}, `{"b":"[1,2]","c":[],"d":{},"e":"{\"x\":1}","v":[1.0,2.0]}`},
		{
			Fields{Cast: map[string]CastType{"a": CastString, "b": CastString}, Copy: map[string]string{"e.y": "k", "e.x": "l"}},
			`{"b":["1","2"],"c":[],"d":{},"e":{"x":1},"v":[1.0,2.0],"l":1}`,
		},
	} {
		var st Stats
		got, err := mustCompile(t, Options{NonFinite: NonFiniteRemove}, c.fields).Append([]byte(`{"n":`), doc, &st)
		if err != nil || string(got) != `{"n":`+c.want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, c.want)
		}
		if st.NonFinite == 0 {
			t.Error("not counted")
		}
		if got, err = mustCompile(t, Options{NonFinite: NonFiniteReject}, c.fields).Append(nil, doc, &st); !errors.Is(err, ErrRejected) {
			t.Errorf("%s, %v; want it rejected", got, err)
		}
	}
}

// TestS11NonFiniteRemovedFromAnything compares with a document that has none.
func TestS11NonFiniteRemovedFromAnything(t *testing.T) {
	p := mustCompile(t, Options{NonFinite: NonFiniteRemove}, Fields{})
	rapid.Check(t, func(t *rapid.T) {
		doc := mustMarshal(t, documents(3).Draw(t, "document"))
		var st Stats
		got, err := p.Append(nil, doc, &st)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(got) || bytes.IndexByte(got, 0) >= 0 || !utf8.Valid(got) {
			t.Fatalf("no JSON: %q", got)
		}
	})
}
