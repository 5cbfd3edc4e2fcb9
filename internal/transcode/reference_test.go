package transcode

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// reference renders what the driver decoded, in the plainest way: the same
// document has to give the same bytes.
type reference struct {
	Options
	st Stats
	// lower: names are written in lower case.
	lower bool
}

func (r *reference) document(d bson.D, root bool) string {
	var parts []string
	raw := map[string]bool{} // names already met
	out := map[string]bool{} // names already written
	good := map[string]bool{}
	counter := 0
	for _, e := range d {
		if r.name(e.Key, root) == "" {
			good[e.Key] = true
		}
	}
	for _, e := range d {
		if root && e.Key == "_id" {
			continue
		}
		if raw[e.Key] {
			r.st.DuplicateKeys++
			continue
		}
		raw[e.Key] = true
		name := e.Key
		if fixed := r.name(e.Key, root); fixed != "" {
			name = fixed
			if !utf8.ValidString(e.Key) {
				r.st.InvalidUTF8++
			}
			if good[name] || out[name] {
				name += "_"
			}
			for base := name; good[name] || out[name]; {
				counter++
				name = base + strconv.Itoa(counter)
			}
			if name != strings.ToValidUTF8(e.Key, "\uFFFD") && name != perByte(e.Key) {
				r.st.RepairedNames++
			}
		}
		out[name] = true
		parts = append(parts, refString(name)+":"+r.value(e.Value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// name is refName, in lower case where that is wanted.
func (r *reference) name(name string, root bool) string {
	if !r.lower {
		return refName(name, root)
	}
	low := strings.ToLower(perByte(name))
	if fixed := refName(low, root); fixed != "" {
		return fixed
	}
	if low != name {
		return low
	}
	return ""
}

// refName returns the repaired form of a name, "" for one that is good.
func refName(name string, root bool) string {
	segments := strings.Split(perByte(name), ".")
	for i, s := range segments {
		if strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r > 0x1b && r < 0x20 }) == "" {
			segments[i] = "_"
		}
	}
	if root && slices.Contains([]string{
		"_id", "_index", "_routing", "_source", "_type", "_version", "_seq_no",
		"_primary_term", "_field_names", "_ignored", "_ignored_source", "_nested_path", "_doc_count", "_tier",
		"_tsid", "_ts_routing_hash", "_data_stream_timestamp", "_recovery_source", "_inference_fields",
		"_feature", "_size", "_parent", "_uid", "_all", "_timestamp", "_ttl",
	}, segments[0]) {
		segments[0] += "_"
	}
	if fixed := strings.Join(segments, "."); fixed != name {
		return fixed
	}
	return ""
}

// perByte puts U+FFFD for each byte that is no UTF-8.
func perByte(s string) string { return string([]rune(s)) }

func (r *reference) text(s string) string {
	if !utf8.ValidString(s) {
		r.st.InvalidUTF8++
	}
	return refString(s)
}

func refString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c < ' ' && strings.ContainsRune("\b\t\n\f\r", c):
			b.WriteString(strings.Trim(strconv.Quote(string(c)), `"`))
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (r *reference) value(v any) string {
	switch v := v.(type) {
	case float64:
		return r.double(v, 64)
	case string:
		return r.text(v)
	case bson.D:
		return r.document(v, false)
	case bson.A:
		var parts []string
		for _, x := range v {
			parts = append(parts, r.value(x))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case bson.Binary:
		return r.binary(v)
	case nil, bson.Null, bson.Undefined:
		return "null"
	case bson.ObjectID:
		return `"` + v.Hex() + `"`
	case bool:
		return strconv.FormatBool(v)
	case bson.DateTime:
		t := v.Time().UTC()
		if r.Dates == DatesEpochMillis || t.Year() < 0 || t.Year() > 9999 {
			return strconv.FormatInt(int64(v), 10)
		}
		return t.Format(`"` + "2006-01-02T15:04:05.000Z07:00" + `"`)
	case bson.Symbol:
		return r.text(string(v))
	case bson.JavaScript:
		return r.text(string(v))
	case int32:
		return strconv.Itoa(int(v))
	case int64:
		return strconv.FormatInt(v, 10)
	case bson.Decimal128:
		return r.decimal(v)
	}
	return r.rare(v)
}

func (r *reference) rare(v any) string {
	switch v := v.(type) {
	case bson.Regex:
		if !utf8.ValidString(v.Pattern) || !utf8.ValidString(v.Options) {
			r.st.InvalidUTF8++
		}
		return refString("/" + v.Pattern + "/" + v.Options)
	case bson.DBPointer:
		return fmt.Sprintf(`{"$ref":%s,"$id":"%s"}`, r.text(v.DB), v.Pointer.Hex())
	case bson.CodeWithScope:
		return fmt.Sprintf(`{"code":%s,"scope":%s}`, r.text(string(v.Code)), r.document(v.Scope.(bson.D), false))
	case bson.Timestamp:
		return fmt.Sprintf(`{"t":%d,"i":%d}`, v.T, v.I)
	case bson.MinKey:
		return `"MinKey"`
	case bson.MaxKey:
		return `"MaxKey"`
	}
	panic(fmt.Sprintf("type %T", v))
}

func (r *reference) double(f float64, size int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		r.st.NonFinite++
		if r.NonFinite == NonFiniteString {
			return map[bool]string{true: `"NaN"`}[math.IsNaN(f)] + map[int]string{1: `"Infinity"`, -1: `"-Infinity"`}[inf(f)]
		}
		return "null"
	}
	format := byte('e')
	if a := math.Abs(f); a >= 1e-6 && a < 1e21 || a == 0 {
		format = 'f'
	}
	text := strconv.FormatFloat(f, format, -1, size)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

func inf(f float64) int {
	switch {
	case math.IsInf(f, 1):
		return 1
	case math.IsInf(f, -1):
		return -1
	}
	return 0
}

func (r *reference) decimal(d bson.Decimal128) string {
	// More than 34 digits count as zero (IEEE 754); the driver shows them.
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(34), nil)
	if n, _, err := d.BigInt(); err == nil && n.CmpAbs(limit) >= 0 {
		h, _ := d.GetBytes()
		d = bson.NewDecimal128(h>>49<<49, 0)
	}
	text := d.String()
	if strings.ContainsAny(text, "NI") {
		f, _ := strconv.ParseFloat(text, 64)
		return r.double(f, 64)
	}
	if r.Decimal == DecimalsNumber {
		return text
	}
	return `"` + text + `"`
}

func (r *reference) binary(b bson.Binary) string {
	switch {
	case (b.Subtype == 3 || b.Subtype == 4) && len(b.Data) == 16:
		h := hex.EncodeToString(b.Data)
		return `"` + strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-") + `"`
	case b.Subtype == 9:
		if v, err := bson.NewVectorFromBinary(b); err == nil {
			return r.vector(v)
		}
	}
	return `"` + base64.StdEncoding.EncodeToString(b.Data) + `"`
}

func (r *reference) vector(v bson.Vector) string {
	var parts []string
	if ints, ok := v.Int8OK(); ok {
		for _, x := range ints {
			parts = append(parts, strconv.Itoa(int(x)))
		}
	}
	if floats, ok := v.Float32OK(); ok {
		for _, x := range floats {
			parts = append(parts, r.double(float64(x), 32))
		}
	}
	if bits, _, ok := v.PackedBitOK(); ok {
		for _, x := range bits {
			parts = append(parts, strconv.Itoa(int(int8(x))))
		}
	}
	return "[" + strings.Join(parts, ",") + "]"
}
