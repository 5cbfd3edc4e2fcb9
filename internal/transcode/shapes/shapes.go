// Package shapes makes the four documents that benchmarks are measured with:
// small, medium, large and wide. Equal numbers give equal bytes on every
// machine; documents of one shape have one size, so that bytes per second mean
// the same in every run.
//
// It is for tests and benchmarks only and knows nothing of the code they measure.
package shapes

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// The sizes of the shapes in bytes of BSON.
const (
	SmallBytes  = 269
	MediumBytes = 1525
	LargeBytes  = 15022
	WideBytes   = 5329
)

// Shape is one of the shapes by name.
type Shape struct {
	Name string
	// Make returns document number i; its _id is ID(i).
	Make func(i int) bson.Raw
	// Bytes is the size of each document.
	Bytes int
}

// All lists the shapes from small to wide.
func All() []Shape {
	return []Shape{
		{"small", Small, SmallBytes},
		{"medium", Medium, MediumBytes},
		{"large", Large, LargeBytes},
		{"wide", Wide, WideBytes},
	}
}

// ID returns the _id of document number i: distinct for distinct i.
func ID(i int) bson.ObjectID {
	var id bson.ObjectID
	binary.BigEndian.PutUint32(id[:], 0x65a0f3c0)
	binary.BigEndian.PutUint64(id[4:], mix(0x5107ce)<<32|uint64(uint32(i)))
	return id
}

// Small is a flat user profile with 15 fields of the common types.
func Small(i int) bson.Raw {
	r := rng(i)
	b := bsoncore.NewDocumentBuilder().
		AppendObjectID("_id", ID(i)).
		AppendString("name", r.word(16)).
		AppendString("email", r.word(18)+"@example.org").
		AppendInt32("age", r.int32(18, 90)).
		AppendBoolean("active", r.next()&1 == 0).
		AppendDouble("balance", r.money(1, 9999)).
		AppendDateTime("created", r.date()).
		AppendDateTime("seen", r.date()).
		AppendInt64("visits", int64(r.next()>>20)).
		AppendString("city", r.word(13)).
		AppendString("country", strings.ToUpper(r.word(2))).
		AppendInt32("level", r.int32(1, 99)).
		AppendNull("referrer").
		AppendString("plan", r.word(smallPad)).
		AppendDouble("rating", r.money(1, 5)).
		Build()
	return bson.Raw(b)
}

// Medium is an order: customer, address, six lines, payment, history.
func Medium(i int) bson.Raw {
	r := rng(i)
	lines := bsoncore.NewArrayBuilder()
	for range 6 {
		lines.AppendDocument(bsoncore.NewDocumentBuilder().
			AppendString("sku", r.word(10)).
			AppendString("title", r.text(28)).
			AppendInt32("quantity", r.int32(1, 9)).
			AppendDouble("price", r.money(1, 500)).
			AppendDouble("tax", r.money(1, 50)).
			AppendBoolean("gift", r.next()&3 == 0).Build())
	}
	history := bsoncore.NewArrayBuilder()
	for range 3 {
		history.AppendDocument(bsoncore.NewDocumentBuilder().
			AppendDateTime("at", r.date()).
			AppendString("state", r.word(8)).
			AppendString("by", r.word(10)).Build())
	}
	tags := bsoncore.NewArrayBuilder()
	for range 5 {
		tags.AppendString(r.word(7))
	}
	address := bsoncore.NewDocumentBuilder().
		AppendString("street", r.text(20)).
		AppendString("city", r.word(10)).
		AppendString("postcode", r.word(5)).
		AppendString("country", strings.ToUpper(r.word(2))).
		AppendDocument("geo", bsoncore.NewDocumentBuilder().
			AppendDouble("lat", r.degrees(59)).AppendDouble("lon", r.degrees(18)).Build()).
		Build()
	customer := bsoncore.NewDocumentBuilder().
		AppendObjectID("id", ID(int(r.next()>>40))).
		AppendString("name", r.text(18)).
		AppendString("email", r.word(12)+"@example.org").
		AppendDocument("address", address).Build()
	payment := bsoncore.NewDocumentBuilder().
		AppendString("method", r.word(6)).
		AppendDecimal128("total", 0x303c000000000000, r.next()>>40).
		AppendString("currency", "EUR").
		AppendBoolean("settled", true).
		AppendDateTime("at", r.date()).Build()
	b := bsoncore.NewDocumentBuilder().
		AppendObjectID("_id", ID(i)).
		AppendString("number", r.word(12)).
		AppendString("status", r.word(7)).
		AppendDateTime("created", r.date()).
		AppendDateTime("updated", r.date()).
		AppendInt64("revision", int64(r.next()>>34)).
		AppendDocument("customer", customer).
		AppendArray("lines", lines.Build()).
		AppendDocument("payment", payment).
		AppendArray("history", history.Build()).
		AppendArray("tags", tags.Build()).
		AppendNull("coupon").
		AppendString("note", r.text(mediumPad)).
		Build()
	return bson.Raw(b)
}

// Large is an article: some 13 KB of text and 100 random doubles.
func Large(i int) bson.Raw {
	r := rng(i)
	vector := bsoncore.NewArrayBuilder()
	for range 100 {
		vector.AppendDouble(r.unit())
	}
	b := bsoncore.NewDocumentBuilder().
		AppendObjectID("_id", ID(i)).
		AppendString("title", r.text(60)).
		AppendString("author", r.text(20)).
		AppendDateTime("published", r.date()).
		AppendInt32("words", r.int32(1000, 3000)).
		AppendArray("vector", vector.Build()).
		AppendString("summary", r.text(400)).
		AppendString("body", r.text(largePad)).
		Build()
	return bson.Raw(b)
}

// Wide is a row of a broad table: 300 flat fields of the common types.
func Wide(i int) bson.Raw {
	r := rng(i)
	b := bsoncore.NewDocumentBuilder().AppendObjectID("_id", ID(i))
	for f := 1; f < 299; f++ {
		name := fmt.Sprintf("field%03d", f)
		switch f % 6 {
		case 0:
			b.AppendString(name, r.word(widePad))
		case 1:
			b.AppendInt32(name, r.int32(0, 100000))
		case 2:
			b.AppendDouble(name, r.money(1, 1000))
		case 3:
			b.AppendDateTime(name, r.date())
		case 4:
			b.AppendBoolean(name, r.next()&1 == 0)
		case 5:
			b.AppendInt64(name, int64(r.next()>>24))
		}
	}
	b.AppendString("remark", r.word(wideRest))
	return bson.Raw(b.Build())
}

// source is a small random number generator (SplitMix64): the same numbers
// everywhere, and forever.
type source struct{ state uint64 }

func rng(i int) *source { return &source{state: mix(uint64(i) + 1)} }

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (s *source) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	return mix(s.state)
}

func (s *source) int32(from, below int32) int32 {
	return from + int32(s.next()%uint64(below-from))
}

// unit is a random double in [0, 1) with all 53 bits.
func (s *source) unit() float64 { return float64(s.next()>>11) / (1 << 53) }

// money has two decimals.
func (s *source) money(from, below int32) float64 {
	return float64(s.int32(from*100, below*100)) / 100
}

// degrees has four decimals, near base.
func (s *source) degrees(base float64) float64 {
	return math.Round((base+s.unit())*1e4) / 1e4
}

// date is a time of the years 2023 to 2025 in milliseconds.
func (s *source) date() int64 { return 1672531200000 + int64(s.next()%94608000000) }

// word is n letters.
func (s *source) word(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(s.next()%26)
	}
	return string(b)
}

// text is n bytes of words as people write them: now and then a letter beyond
// ASCII, a quotation, a line break.
func (s *source) text(n int) string {
	letters := []string{"é", "ü", "ø", "ñ", "å", "–", "语"}
	b := make([]byte, 0, n+32)
	for len(b) < n {
		word := s.word(2 + int(s.next()%9))
		switch s.next() % 100 {
		case 0, 1:
			word += letters[s.next()%7] + s.word(2)
		case 2:
			word = `"` + word + `"`
		case 3, 4:
			word += ".\n"
		}
		b = append(append(b, word...), ' ')
	}
	b = b[:n]
	for j := n - 1; b[j] >= 0x80; j-- { // half a letter at the cut
		b[j] = '.'
	}
	return string(b)
}

// Lengths of the last texts, which bring each shape to its size.
const (
	smallPad  = 8
	mediumPad = 64
	largePad  = 13237
	widePad   = 12
	wideRest  = 39
)
