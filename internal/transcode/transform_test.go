package transcode

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

// slow carries Fields out on decoded documents, in the plainest way: the plan
// has to write the same bytes.
type slow struct {
	Fields
	reference
	fails bool
	// inside: a copy is being written, which include, set and copy do not concern.
	inside bool
}

// wild is a path as a regular expression over dotted paths.
func wild(path string) *regexp.Regexp {
	parts := strings.Split(path, ".")
	if last := len(parts) - 1; parts[last] == "**" {
		parts[last] = "*"
	}
	var b strings.Builder
	for i, part := range parts {
		if part == "**" {
			b.WriteString(`(?:[^.]+\.)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(part), `\*`, `[^.]*`))
		if i < len(parts)-1 {
			b.WriteString(`\.`)
		}
	}
	return regexp.MustCompile("^" + b.String() + "$")
}

func anyWild(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return wild(p).MatchString(path) })
}

// leads tells whether a pattern may fit something below path, by trying.
func leads(patterns []string, path string, deeper int) bool {
	if deeper == 0 {
		return false
	}
	for _, name := range []string{"a", "b", "c", "d", "ab", "z"} {
		if below := path + "." + name; anyWild(patterns, below) || leads(patterns, below, deeper-1) {
			return true
		}
	}
	return false
}

func (s *slow) targets() map[string]string {
	out := map[string]string{}
	if s.inside {
		return out
	}
	for path := range s.Set {
		out[path] = ""
	}
	for from, path := range s.Copy {
		out[path] = from
	}
	return out
}

// around are the documents that lie around, from the root on.
func (s *slow) object(d bson.D, path []string, whole bool, around []bson.D) string {
	around = append(slices.Clip(around), d)
	var parts []string
	taken := map[string]bool{}
	targets := s.targets()
	for _, e := range d {
		here := strings.Join(append(slices.Clip(path), e.Key), ".")
		if here == "_id" {
			continue
		}
		below := func(p string) bool { return strings.HasPrefix(p, here+".") }
		_, target := targets[here]
		if target || anyWild(s.Exclude, here) {
			continue
		}
		holds := slices.ContainsFunc(sortedKeys(targets), below)
		all := whole || anyWild(s.Include, here)
		_, doc := e.Value.(bson.D)
		_, array := e.Value.(bson.A)
		if !all && !holds && (!leads(s.Include, here, 3) || !doc && !array) {
			continue
		}
		name := e.Key
		if to, ok := s.Rename[here]; ok {
			name = to[strings.LastIndexByte(to, '.')+1:]
		}
		if taken[name] {
			continue
		}
		taken[name] = true
		parts = append(parts, refString(name)+":"+s.acted(e.Value, here, here, all, around))
	}
	parts = append(parts, s.added(path, taken, around)...)
	return "{" + strings.Join(parts, ",") + "}"
}

// added are the fields that an object gets at its end.
func (s *slow) added(path []string, taken map[string]bool, around []bson.D) (parts []string) {
	targets := s.targets()
	done := map[string]bool{}
	for _, target := range sortedKeys(targets) {
		prefix := strings.Join(append(slices.Clip(path), ""), ".")
		rest, ok := strings.CutPrefix(target, prefix)
		if !ok {
			continue
		}
		name, more, nested := strings.Cut(rest, ".")
		if done[name] || nested && taken[name] {
			continue
		}
		done[name] = true
		switch from := targets[target]; {
		case nested && more != "":
			if below := s.added(append(slices.Clip(path), name), nil, append(slices.Clip(around), nil)); len(below) > 0 {
				parts = append(parts, refString(name)+":{"+strings.Join(below, ",")+"}")
			}
		case from == "":
			parts = append(parts, refString(name)+":"+string(s.Set[target]))
		default:
			if text, ok := s.copied(strings.Split(from, "."), strings.Split(target, "."), around); ok {
				parts = append(parts, refString(name)+":"+text)
			}
		}
	}
	return parts
}

func (s *slow) copied(from, to []string, around []bson.D) (string, bool) {
	n := 0
	for n < len(from)-1 && n < len(to)-1 && from[n] == to[n] {
		n++
	}
	v, ok := lookup(around[n], from[n:])
	if !ok {
		return "", false
	}
	was := s.inside
	s.inside = true
	defer func() { s.inside = was }()
	// Each value found is treated alone: only what lies on the way makes arrays.
	return s.found(v, len(from)-n, strings.Join(to, "."), strings.Join(from, ".")), true
}

// many is an array that a path through arrays made.
type many []any

func (s *slow) found(v any, left int, act, path string) string {
	if list, ok := v.(many); ok {
		var parts []string
		for _, x := range list {
			parts = append(parts, s.found(x, left-1, act, path))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return s.acted(v, act, path, true, nil)
}

func lookup(d bson.D, path []string) (any, bool) {
	i := slices.IndexFunc(d, func(e bson.E) bool { return e.Key == path[0] })
	switch {
	case i < 0:
		return nil, false
	case len(path) == 1:
		return d[i].Value, true
	}
	switch v := d[i].Value.(type) {
	case bson.D:
		return lookup(v, path[1:])
	case bson.A:
		out := many{}
		for _, x := range v {
			if below, ok := x.(bson.D); ok {
				if one, ok := lookup(below, path[1:]); ok {
					out = append(out, one)
				}
			}
		}
		return out, true
	}
	return nil, false
}

// acted is a value with the cast or flatten of the path act.
func (s *slow) acted(v any, act, path string, whole bool, around []bson.D) string {
	_, doc := v.(bson.D)
	list, array := v.(bson.A)
	to, cast := s.Cast[act]
	switch {
	case slices.Contains(s.Flatten, act):
		text := s.plain(v, path, whole, around)
		if doc || array {
			return refString(text)
		}
		return text
	case cast && array:
		var parts []string
		for _, x := range list {
			_, doc := x.(bson.D)
			_, array := x.(bson.A)
			if whole || doc || array {
				parts = append(parts, s.acted(x, act, path, whole, around))
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	case cast:
		if text, ok := s.cast(v, to); ok {
			return text
		}
		switch s.OnError {
		case OnErrorNull:
			s.st.CastErrors++
			return "null"
		case OnErrorKeep:
			s.st.CastErrors++
		default:
			s.fails = true
		}
	}
	return s.plain(v, path, whole, around)
}

// plain is a value with what the rules say of what lies below.
func (s *slow) plain(v any, path string, whole bool, around []bson.D) string {
	parts := strings.Split(path, ".")
	switch v := v.(type) {
	case bson.D:
		return s.object(v, parts, whole, around)
	case bson.A:
		var out []string
		holds := slices.ContainsFunc(sortedKeys(s.targets()), func(p string) bool { return strings.HasPrefix(p, path+".") })
		for _, x := range v {
			_, doc := x.(bson.D)
			_, array := x.(bson.A)
			if whole || doc || array || holds {
				out = append(out, s.plain(x, path, whole, around))
			}
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	for target := range s.targets() {
		if strings.HasPrefix(target, path+".") {
			return "{" + strings.Join(s.added(parts, nil, append(slices.Clip(around), nil)), ",") + "}"
		}
	}
	return s.value(v)
}

// cast by the standard library.
func (s *slow) cast(v any, to CastType) (string, bool) {
	if v == nil {
		return "null", true
	}
	switch v.(type) {
	case bson.D, bson.A:
		return "", false
	}
	text := strings.Trim(s.value(v), `"`)
	switch to {
	case CastString:
		if _, ok := v.(string); ok || text == "null" {
			return s.value(v), true
		}
		return refString(text), true
	case CastBoolean:
		switch x := v.(type) {
		case bool:
			return strconv.FormatBool(x), true
		case string:
			return strings.ToLower(x), strings.EqualFold(x, "true") || strings.EqualFold(x, "false")
		case int32, float64, bson.Decimal128:
			f, _ := strconv.ParseFloat(text, 64)
			return strconv.FormatBool(f != 0), text != "null"
		}
		return "", false
	case CastDouble:
		return s.castDouble(v, text)
	case CastDate:
		if d, ok := v.(bson.DateTime); ok {
			return s.value(d), true
		}
		if x, ok := v.(string); ok {
			for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02"} {
				if t, err := time.Parse(layout, x); err == nil {
					return s.value(bson.NewDateTimeFromTime(t)), true
				}
			}
			return "", false
		}
		if _, ok := v.(bool); ok {
			return "", false
		}
		if n, ok := castLong(v, text); ok {
			return s.value(bson.DateTime(n)), true
		}
		return "", false
	}
	n, ok := castLong(v, text)
	return strconv.FormatInt(n, 10), ok
}

func (s *slow) castDouble(v any, text string) (string, bool) {
	switch x := v.(type) {
	case bool:
		text = map[bool]string{true: "1", false: "0"}[x]
	case bson.DateTime:
		text = strconv.FormatInt(int64(x), 10)
	case float64:
		return s.value(x), true
	}
	f, err := strconv.ParseFloat(text, 64)
	return s.double(f, 64), err == nil
}

func castLong(v any, text string) (int64, bool) {
	switch x := v.(type) {
	case bool:
		return map[bool]int64{true: 1, false: 0}[x], true
	case bson.DateTime:
		return int64(x), true
	case float64:
		return int64(x), x == math.Trunc(x) && math.Abs(x) < 1e18
	case bson.Decimal128:
		f, err := strconv.ParseFloat(text, 64)
		return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) < 1e15
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

func scalars() *rapid.Generator[any] {
	decimal := func(s string) any {
		d, _ := bson.ParseDecimal128(s)
		return d
	}
	return rapid.SampledFrom([]any{
		int32(1), int32(-7), 1.5, 2.0, "text", "12", "-3", "1.25", "1e3", "TRUE", "false", "2024-05-01", "2024-05-01T12:30:15+02:00",
		"q\"uo\\te", true, false, nil, bson.DateTime(1714564800123), decimal("12"), decimal("1.50"), decimal("-9E+2"),
	})
}

func treeOf(depth int) *rapid.Generator[bson.D] {
	return rapid.Custom(func(t *rapid.T) bson.D {
		d := make(bson.D, rapid.IntRange(0, 5).Draw(t, "fields"))
		for i := range d {
			d[i].Key = rapid.SampledFrom([]string{"a", "b", "c", "d", "ab"}).Draw(t, "name")
			d[i].Value = leafOf(depth).Draw(t, "value")
		}
		return d
	})
}

func leafOf(depth int) *rapid.Generator[any] {
	if depth == 0 {
		return scalars()
	}
	return rapid.OneOf(scalars(), treeOf(depth-1).AsAny(), treeOf(depth-1).AsAny(),
		rapid.Map(rapid.SliceOfN(leafOf(depth-1), 0, 3), func(a []any) any { return bson.A(a) }))
}

func fieldsOf() *rapid.Generator[Fields] {
	path := rapid.StringMatching(`[a-d](\.[a-d]){0,2}`)
	star := rapid.OneOf(path, path, rapid.StringMatching(`([a-d]|\*\*|\*|a\*|\*b)(\.([a-d]|\*\*|\*|a\*|\*b)){0,2}`))
	return rapid.Custom(func(t *rapid.T) Fields {
		f := Fields{Rename: map[string]string{}, Cast: map[string]CastType{}, Set: map[string]json.RawMessage{}, Copy: map[string]string{}}
		// Of few kinds at once, or most of them would contradict each other.
		kinds := rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 1, 3, rapid.ID[int]).Draw(t, "kinds")
		some := func(kind int, of *rapid.Generator[string], most int) []string {
			if !slices.Contains(kinds, kind) {
				return nil
			}
			return rapid.SliceOfN(of, 1, most).Draw(t, "paths")
		}
		f.Include = some(0, star, 2)
		f.Exclude = some(1, star, 2)
		for _, from := range some(2, path, 2) {
			f.Rename[from] = from[:len(from)-1] + rapid.StringMatching(`[a-e]`).Draw(t, "to")
		}
		for _, p := range some(3, path, 3) {
			f.Cast[p] = rapid.SampledFrom([]CastType{CastString, CastLong, CastDouble, CastBoolean, CastDate}).Draw(t, "type")
		}
		f.OnError = rapid.SampledFrom([]OnError{"", OnErrorNull, OnErrorKeep, OnErrorKeep}).Draw(t, "on_error")
		f.Flatten = some(4, path, 2)
		for _, p := range some(5, path, 2) {
			f.Set[p] = json.RawMessage(rapid.SampledFrom([]string{`1`, `"x"`, `{"k":[1,null]}`}).Draw(t, "constant"))
		}
		for _, p := range some(6, path, 2) {
			f.Copy[p] = path.Draw(t, "copy to")
		}
		return f
	})
}

// TestTransformAsIfDoneByHand compares the plan with slow for random rules.
func TestTransformAsIfDoneByHand(t *testing.T) {
	compiled := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			f := fieldsOf().Draw(t, "fields")
			if twice(f.Copy) { // in a map, two could go to one place
				continue
			}
			p, err := Compile(Options{}, f)
			if err != nil {
				continue
			}
			compiled++
			for range 5 {
				byHand(t, p, f, treeOf(3).Draw(t, "document"))
			}
		}
	})
	if compiled < 200 {
		t.Errorf("only %d of the rules could be compiled", compiled)
	}
}

// twice tells whether two copies go to one place.
func twice(copies map[string]string) bool {
	to := slices.Sorted(maps.Values(copies))
	return len(slices.Compact(slices.Clone(to))) < len(to)
}

// byHand compares what a plan makes of a document with what slow does.
func byHand(t *rapid.T, p *Plan, f Fields, doc bson.D) {
	s := &slow{Fields: f}
	want := s.object(doc, nil, len(f.Include) == 0, nil)
	var st Stats
	got, err := p.Append(nil, mustMarshal(t, doc), &st)
	if s.fails {
		if err == nil || len(got) != 0 {
			t.Fatalf("%+v: %v, want it refused: %v: %s", f, doc, err, got)
		}
		return
	}
	if err != nil || string(got) != want {
		t.Fatalf("%+v: %v\nof   %v\ngot  %s\nwant %s", f, err, doc, got, want)
	}
	if st.CastErrors != s.st.CastErrors {
		t.Fatalf("%+v of %v: %d cast errors, want %d", f, doc, st.CastErrors, s.st.CastErrors)
	}
	if !json.Valid(got) {
		t.Fatalf("no JSON: %s", got)
	}
}

// TestLowerNamesAsIfDoneByHand is the same for LowerNames.
func TestLowerNamesAsIfDoneByHand(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{LowerNames: true})
	names := rapid.OneOf(rapid.SampledFrom([]string{"a", "A", "ab", "AB", "aB", "Äpfel", "äpfel", "a_", "A_", "", "_ID", "_id", "x.Y", "exactly8", "Exactly8", "eXactly_sixteen!"}),
		rapid.StringMatching(`[a-zA-Z]{1,20}`))
	rapid.Check(t, func(t *rapid.T) {
		d := make(bson.D, rapid.IntRange(0, 40).Draw(t, "fields"))
		for i := range d {
			d[i] = bson.E{Key: names.Draw(t, "name"), Value: int32(i)}
		}
		doc := bson.D{{Key: "In", Value: d}}
		want := strings.Replace((&reference{lower: true}).document(doc, true), `"In"`, `"in"`, 1)
		var st Stats
		got, err := p.Append(nil, mustMarshal(t, doc), &st)
		if err != nil || string(got) != want {
			t.Fatalf("%v: %v\ngot  %s\nwant %s", d, err, got, want)
		}
	})
}

// TestTransformAllocates nothing, for documents that rules change or don't.
func TestTransformAllocates(t *testing.T) {
	f := func(what string, rules Fields, doc bson.D) {
		t.Helper()
		p := mustCompile(t, Options{}, rules)
		raw := mustMarshal(t, doc)
		dst := make([]byte, 0, 1<<16)
		var st Stats
		if n := testing.AllocsPerRun(200, func() {
			if _, err := p.Append(dst, raw, &st); err != nil {
				t.Fatal(err)
			}
		}); n > 0 && poolKeeps {
			t.Errorf("%s: %v allocations a document", what, n)
		}
	}
	all := Fields{
		Exclude: []string{"**.secret", "*_internal"}, Rename: map[string]string{"number": "no"}, Cast: map[string]CastType{"total": CastDouble, "lines.price": CastString},
		Flatten: []string{"customer"}, Set: map[string]json.RawMessage{"meta.source": json.RawMessage(`"shop"`)}, Copy: map[string]string{"_id": "order_id"},
	}
	f("changed", all, append(order(), bson.E{Key: "total", Value: "12.5"}, bson.E{Key: "at", Value: "x"}))
	f("untouched", Fields{Exclude: []string{"other"}, Cast: map[string]CastType{"no.such": CastDate}, LowerNames: true}, order())
	f("dates", Fields{Cast: map[string]CastType{"at": CastDate}}, bson.D{{Key: "at", Value: "2024-05-01T12:00:00.123+02:00"}})
}

// FuzzTransform wants JSON, or an error, of any bytes.
func FuzzTransform(f *testing.F) {
	p, err := Compile(Options{}, Fields{
		Exclude: []string{"**.b*", "x.**"}, Rename: map[string]string{"a": "e"}, Cast: map[string]CastType{"c": CastLong, "d.c": CastString}, OnError: OnErrorNull,
		Flatten: []string{"d.a"}, Set: map[string]json.RawMessage{"m.n": json.RawMessage(`1`)}, Copy: map[string]string{"d.c": "d.k.l", "a.a": "k"}, LowerNames: true,
	})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 20 {
		raw, _ := bson.Marshal(treeOf(3).Example(i))
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var st Stats
		got, err := p.Append(nil, doc, &st)
		if err == nil && !json.Valid(got) {
			t.Errorf("no JSON: %s", got)
		}
	})
}

func TestTransformsThatCompileRefuses(t *testing.T) {
	set := func(paths ...string) map[string]json.RawMessage {
		out := map[string]json.RawMessage{}
		for _, p := range paths {
			out[p] = json.RawMessage(`1`)
		}
		return out
	}
	cast := func(path string) map[string]CastType { return map[string]CastType{path: CastLong} }
	for i, c := range []struct {
		f    Fields
		want string
	}{
		{Fields{Exclude: []string{"a"}, Cast: cast("a")}, "cast: a is left out by exclude"},
		{Fields{Exclude: []string{"*_x"}, Cast: cast("a_x")}, "cast: a_x is left out by exclude: *_x"},
		{Fields{Include: []string{"b"}, Cast: cast("a")}, "cast: a is not among the fields of include"},
		{Fields{Exclude: []string{"a.**"}, Flatten: []string{"a.b.c"}}, "left out by exclude: a.**"},
		{Fields{Exclude: []string{"m"}, Copy: map[string]string{"a": "m.b"}}, "copy: m.b is left out by exclude: m"},
		{Fields{Rename: map[string]string{"a": "c"}, Copy: map[string]string{"b": "c"}}, "c is also what rename makes of a"},
		{Fields{Set: set("c"), Copy: map[string]string{"b": "c"}}, "is written by"},
		{Fields{Set: set("c", "c.d")}, "c.d lies in c, which set writes as a whole"},
		{Fields{Set: set("c"), Cast: cast("c")}, "is a constant of set"},
		{Fields{Set: set("c"), Cast: cast("c.d")}, "cast: c.d lies in c, which set writes as a whole"},
		{Fields{Set: set("c.d"), Cast: cast("c")}, "a value that is cast has no fields"},
		{Fields{Set: set("c.d"), Flatten: []string{"c"}}, "lies in c, of which flatten makes one value"},
		{Fields{Set: set("c.d"), Rename: map[string]string{"c": "e"}}, "which rename speaks of"},
		{Fields{Set: set("_id")}, "_id is the id"},
		{Fields{Set: set("_source")}, "search engines refuse the name"},
		{Fields{Set: map[string]json.RawMessage{"a": json.RawMessage("{")}}, "no JSON value"},
		{Fields{Copy: map[string]string{"a": "a"}}, "onto itself"},
		{Fields{Cast: map[string]CastType{"a": "int"}}, "the types are"},
		{Fields{Cast: cast("a.*")}, "a star can stand in include and exclude only"},
		{Fields{Cast: cast("a"), Flatten: []string{"a"}}, "in cast, too"},
		{Fields{Exclude: []string{"a**"}}, "** stands for whole parts"},
		{Fields{OnError: "x"}, "on_error"},
		{Fields{Include: []string{"a.*"}, Exclude: []string{"b"}}, "left out anyhow"},
		{Fields{Include: []string{"a.b"}, Exclude: []string{"a.*"}}, "would leave out a.b of include"},
		{Fields{Exclude: []string{"*a*", "*b*", "*c*", "*d*", "*e*", "*f*", "*g*"}}, "fewer paths with stars"},
	} {
		if _, err := Compile(Options{}, c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d: %+v: %v, want %q", i, c.f, err, c.want)
		}
	}
}

// TestManyFields puts rules beside enough fields to need tables of names.
func TestManyFields(t *testing.T) {
	var doc bson.D
	var want []string
	for i := range 300 {
		name := fmt.Sprintf("field_%d", i)
		doc = append(doc, bson.E{Key: name, Value: int32(i)})
		switch {
		case i == 7:
			want = append(want, `"seven":7`)
		case i%10 == 3: // left out
		default:
			want = append(want, fmt.Sprintf(`%q:%d`, name, i))
		}
	}
	p := mustCompile(t, Options{}, Fields{Exclude: []string{"f*3"}, Rename: map[string]string{"field_7": "seven"}, Set: map[string]json.RawMessage{"x": json.RawMessage("1")}})
	var st Stats
	got, err := p.Append(nil, mustMarshal(t, append(doc, doc[5])), &st)
	if w := "{" + strings.Join(append(want, `"x":1`), ",") + "}"; err != nil || string(got) != w || st.DuplicateKeys != 1 {
		t.Errorf("%v: %+v\ngot  %s\nwant %s", err, st, got, w)
	}
}
