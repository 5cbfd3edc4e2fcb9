package pack

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

func someOutcome() *Outcome {
	return NewOutcome(Outcome{
		Pack: "p1", Run: "r1", Rule: "orders", NS: "shop.orders", Owner: "host-1",
		At: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), ClusterTime: bson.Timestamp{T: 9, I: 2},
	}, 9, []cold.Exception{
		{Pack: "p1", Entry: 2, Outcome: cold.Changed},
		{Pack: "p1", Entry: 5, Outcome: cold.Gone},
		{Pack: "p1", Entry: 8, Outcome: cold.Unknown},
	})
}

func TestOutcomeComesBack(t *testing.T) {
	for _, want := range []*Outcome{someOutcome(), NewOutcome(Outcome{Pack: "p2"}, 0, nil), NewOutcome(Outcome{Pack: "p3"}, 5, nil)} {
		var b bytes.Buffer
		if err := want.Encode(&b); err != nil {
			t.Fatal(err)
		}
		got, err := DecodeOutcome(&b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v (%v)", got, want, err)
		}
	}
	if o := someOutcome(); o.Deleted != 6 || o.Changed != 1 || o.Gone != 1 || o.Unknown != 1 {
		t.Errorf("%+v", o)
	}
}

func TestA4OutcomeFindsEveryBitAndEveryCut(t *testing.T) {
	var b bytes.Buffer
	if err := someOutcome().Encode(&b); err != nil {
		t.Fatal(err)
	}
	bad := b.Bytes()
	for bit := range len(bad) * 8 {
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodeOutcome(bytes.NewReader(bad)); err == nil {
			t.Fatalf("a flipped bit at %d is not found", bit)
		}
		bad[bit/8] ^= 1 << (bit % 8)
	}
	for n := range len(bad) {
		_, err := DecodeOutcome(bytes.NewReader(bad[:n]))
		mustBeDamaged(t, err, "a cut", n)
	}
	_, err := DecodeOutcome(bytes.NewReader(append(bytes.Clone(bad), "{}\n"...)))
	mustBeDamaged(t, err, "a line more", len(bad))
}

func TestOutcomeThatContradictsItself(t *testing.T) {
	f := func(name string, change func(*Outcome)) {
		t.Helper()
		o := someOutcome()
		change(o)
		if err := o.Encode(&bytes.Buffer{}); flow.ClassOf(err) != flow.Fatal {
			t.Errorf("%s: %v", name, err)
		}
	}
	f("count", func(o *Outcome) { o.Deleted++ })
	f("out of order", func(o *Outcome) { o.Exceptions[0], o.Exceptions[1] = o.Exceptions[1], o.Exceptions[0] })
	f("twice", func(o *Outcome) { o.Exceptions[1] = o.Exceptions[0] })
	f("no such entry", func(o *Outcome) { o.Exceptions[2].Entry = 9 })
	f("deleted is none", func(o *Outcome) { o.Exceptions[0].Outcome = cold.Deleted })
	for _, text := range []string{"", "\n", "x\n", "{}\n", `{"format":1}` + "\n", strings.Repeat("a", 2<<20)} {
		if _, err := DecodeOutcome(strings.NewReader(text)); flow.ClassOf(err) != flow.Fatal {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
