package transcode

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"sluice/internal/transcode/shapes"
)

// BenchmarkTranscode compares one pass, in both styles, with what a program does that decodes:
// the driver's Unmarshal to bson.M, conversion, encoding/json.
func BenchmarkTranscode(b *testing.B) {
	for _, s := range shapes.All() {
		docs := make([]bson.Raw, 256)
		for i := range docs {
			docs[i] = s.Make(i)
		}
		b.Run(s.Name+"/sluice", func(b *testing.B) { benchPlan(b, docs, Options{}, Fields{}) })
		b.Run(s.Name+"/monstache", func(b *testing.B) { benchPlan(b, docs, Options{Style: StyleMonstache}, Fields{}) })
		b.Run(s.Name+"/baseline", func(b *testing.B) {
			b.SetBytes(int64(s.Bytes))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := baseline(docs[i&255]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkFields is the cost of field rules.
func BenchmarkFields(b *testing.B) {
	docs := make([]bson.Raw, 256)
	for i := range docs {
		docs[i] = shapes.Medium(i)
	}
	for _, c := range []struct {
		name string
		f    Fields
	}{
		{"exclude", Fields{Exclude: []string{"note", "customer.email", "lines.tax"}}},
		{"include", Fields{Include: []string{"number", "status", "customer.name", "lines.sku"}}},
		{"rename", Fields{Rename: map[string]string{"number": "order_number", "lines.sku": "lines.article"}}},
	} {
		b.Run(c.name, func(b *testing.B) { benchPlan(b, docs, Options{}, c.f) })
	}
}

func benchPlan(b *testing.B, docs []bson.Raw, o Options, f Fields) {
	p, err := Compile(o, f)
	if err != nil {
		b.Fatal(err)
	}
	var st Stats
	dst := make([]byte, 0, 1<<20)
	b.SetBytes(int64(len(docs[0])))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := p.Append(dst, docs[i&255], &st); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkValue is the cost of one value of each kind, in arrays of 1,000.
func BenchmarkValue(b *testing.B) {
	for name, add := range map[string]func(a *bsoncore.ArrayBuilder, i int){
		"null":     func(a *bsoncore.ArrayBuilder, _ int) { a.AppendNull() },
		"bool":     func(a *bsoncore.ArrayBuilder, i int) { a.AppendBoolean(i%3 == 0) },
		"objectid": func(a *bsoncore.ArrayBuilder, i int) { a.AppendObjectID(shapes.ID(i)) },
		"date":     func(a *bsoncore.ArrayBuilder, i int) { a.AppendDateTime(1.7e12 + int64(i)*86399999) },
		"int32":    func(a *bsoncore.ArrayBuilder, i int) { a.AppendInt32(int32(i * 7919)) },
		"int64":    func(a *bsoncore.ArrayBuilder, i int) { a.AppendInt64(int64(i) * 7919 * 1e9) },
		"money":    func(a *bsoncore.ArrayBuilder, i int) { a.AppendDouble(float64(i*7919) / 100) },
		"double":   func(a *bsoncore.ArrayBuilder, i int) { a.AppendDouble(math.Sqrt(float64(i) + 0.1)) },
		"string16": func(a *bsoncore.ArrayBuilder, _ int) { a.AppendString("sixteen letters.") },
		"document": func(a *bsoncore.ArrayBuilder, _ int) {
			a.AppendDocument(bsoncore.NewDocumentBuilder().AppendNull("a").Build())
		},
		"decimal":  func(a *bsoncore.ArrayBuilder, i int) { a.AppendDecimal128(0x303c000000000000, uint64(i)*7919) },
		"binary32": func(a *bsoncore.ArrayBuilder, _ int) { a.AppendBinary(0, make([]byte, 32)) },
		"uuid":     func(a *bsoncore.ArrayBuilder, _ int) { a.AppendBinary(4, make([]byte, 16)) },
	} {
		a := bsoncore.NewArrayBuilder()
		for i := range 1000 {
			add(a, i)
		}
		doc := bson.Raw(bsoncore.NewDocumentBuilder().AppendArray("a", a.Build()).Build())
		b.Run(name, func(b *testing.B) {
			benchPlan(b, repeat(doc), Options{}, Fields{})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/value")
		})
	}
}

// BenchmarkText is the speed of long texts.
func BenchmarkText(b *testing.B) {
	for name, text := range map[string]string{
		"ascii":    strings.Repeat("plain text, as it is mostly. ", 565),
		"cjk":      strings.Repeat("日本語の文章です。", 600),
		"cyrillic": strings.Repeat("русский текст ", 640),
		"escapes":  strings.Repeat("a line\n\"", 2048),
	} {
		doc := bson.Raw(bsoncore.NewDocumentBuilder().AppendString("t", text).Build())
		b.Run(name, func(b *testing.B) { benchPlan(b, repeat(doc), Options{}, Fields{}) })
	}
}

func BenchmarkAppendID(b *testing.B) {
	for name, v := range map[string]any{
		"objectid": shapes.ID(1), "string": "customer-4711", "int": int64(4711),
		"compound": bson.D{{Key: "country", Value: "se"}, {Key: "n", Value: 4711}},
	} {
		t, data, err := bson.MarshalValue(v)
		if err != nil {
			b.Fatal(err)
		}
		id := bson.RawValue{Type: t, Value: data}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 1024)
			for b.Loop() {
				AppendID(dst, id)
			}
		})
	}
}

func repeat(doc bson.Raw) []bson.Raw {
	docs := make([]bson.Raw, 256)
	for i := range docs {
		docs[i] = doc
	}
	return docs
}

// baseline is the usual way.
func baseline(doc bson.Raw) ([]byte, error) {
	var m bson.M
	if err := bson.Unmarshal(doc, &m); err != nil {
		return nil, err
	}
	delete(m, "_id")
	return json.Marshal(convert(m))
}

func convert(v any) any {
	switch v := v.(type) {
	case bson.M:
		for k, x := range v {
			v[k] = convert(x)
		}
		return v
	case bson.D:
		m := make(map[string]any, len(v))
		for _, x := range v {
			m[x.Key] = convert(x.Value)
		}
		return m
	case bson.A:
		for i, x := range v {
			v[i] = convert(x)
		}
		return v
	case bson.ObjectID:
		return v.Hex()
	case bson.DateTime:
		return v.Time().UTC().Format(time.RFC3339Nano)
	case bson.Decimal128:
		return v.String()
	case bson.Binary:
		return v.Data
	}
	return v
}
