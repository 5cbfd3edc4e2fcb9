package transcode

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

func TestT32NamesThatEnginesRefuse(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	strict := mustCompile(t, Options{BadNames: BadNamesReject}, Fields{})
	f := func(want string, repaired uint64, names ...string) {
		t.Helper()
		b := bsoncore.NewDocumentBuilder().AppendObjectID("_id", bson.ObjectID{})
		for i, name := range names {
			b.AppendInt32(name, int32(i))
		}
		doc := bson.Raw(b.Build())
		var st Stats
		if got, err := p.Append(nil, doc, &st); err != nil || string(got) != want || st.RepairedNames != repaired {
			t.Errorf("%q: %v: %s, %d repaired, want %s, %d", names, err, got, st.RepairedNames, want, repaired)
		}
		_, err := strict.Append(nil, doc, &st)
		if refusedOne := repaired > 0 && !strings.Contains(names[0], "\xff"); errors.Is(err, ErrRejected) != refusedOne {
			t.Errorf("%q: rejecting gives %v", names, err)
		}
	}
	f(`{"_":0}`, 1, "")
	f(`{"_._":0}`, 1, ".")
	f(`{"_._._":0}`, 1, "..")
	f(`{"_.a":0}`, 1, ".a")
	f(`{"a._":0}`, 1, "a.")
	f(`{"a._.b":0}`, 1, "a..b")
	f(`{"_":0}`, 1, "  ")
	f(`{"a._":0}`, 1, "a.\t")
	f(`{"a.b":0}`, 0, "a.b")
	f(`{"$a":0,"-":1,"A B":2,"_x":3}`, 0, "$a", "-", "A B", "_x")
	f(`{"_index_":0}`, 1, "_index")
	f(`{"_source_.a":0}`, 1, "_source.a")
	f(`{"_id_.a":0}`, 1, "_id.a")
	// No repaired name takes the name of another field, before or after.
	f(`{"__":0,"_":1}`, 1, "", "_")
	f(`{"_":0,"__":1}`, 1, "_", "")
	f(`{"__1":0,"_":1,"__":2}`, 1, "", "_", "__")
	f(`{"__2":0,"_":1,"__":2,"__1":3,"__3":4}`, 2, "", "_", "__", "__1", " ")
	f(`{"_":0,"__":1}`, 2, "", " ")
	f(`{"_":0}`, 1, "", "")
	f("{\"a\ufffd\":0}", 0, "a\xff")
	f("{\"a\ufffd_\":0,\"a\ufffd\":1}", 1, "a\xff", "a\ufffd")
	f("{\"a\ufffd\":0,\"a\ufffd_\":1}", 1, "a\xff", "a\xfe")
}

func TestT32IDIsLeftOutAtTheRootOnly(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	f := func(doc bson.D, want string) {
		t.Helper()
		var st Stats
		if got, err := p.Append(nil, mustMarshal(t, doc), &st); err != nil || string(got) != want || st != (Stats{}) {
			t.Errorf("%v: %v: %s, %+v, want %s", doc, err, got, st, want)
		}
	}
	f(bson.D{{Key: "_id", Value: 1}}, `{}`)
	f(bson.D{{Key: "a", Value: 1}, {Key: "_id", Value: 1}}, `{"a":1}`)
	f(bson.D{{Key: "_id", Value: 1}, {Key: "a", Value: bson.D{{Key: "_id", Value: 2}, {Key: "_index", Value: 3}}}}, `{"a":{"_id":2,"_index":3}}`)
	f(bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "_id", Value: 2}}}}}, `{"a":[{"_id":2}]}`)
}

func TestT38FirstOfDuplicateNamesWins(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	for fields := range 200 {
		for _, again := range []int{0, fields / 2, fields - 1} {
			b := bsoncore.NewDocumentBuilder()
			var want strings.Builder
			for i := range fields {
				name := fmt.Sprintf("name of field %d", i)
				b.AppendInt32(name, int32(i))
				fmt.Fprintf(&want, `,"%s":%d`, name, i)
			}
			if fields > 0 {
				b.AppendString(fmt.Sprintf("name of field %d", again), "again").AppendNull(fmt.Sprintf("name of field %d", again))
			}
			b.AppendInt32("last", 1)
			want.WriteString(`,"last":1`)
			var st Stats
			got, err := p.Append(nil, bson.Raw(b.Build()), &st)
			if err != nil || string(got) != "{"+want.String()[1:]+"}" || st.DuplicateKeys != uint64(min(fields, 1)*2) {
				t.Fatalf("%d fields: %v: %+v: %s", fields, err, st, got)
			}
		}
	}
}

// TestT38EqualHashesAreNoDuplicates: names decide, not their hashes.
func TestT38EqualHashesAreNoDuplicates(t *testing.T) {
	e := encoder{src: []byte("one\x00two\x00one\x00")}
	table := &nameTable{slots: make([]uint64, 8)}
	if !table.add(&e, 7, 0, []byte("one")) || !table.add(&e, 7, 4<<1, []byte("two")) {
		t.Error("a name that only has the hash of another counts as that")
	}
	if table.add(&e, 7, 8<<1, []byte("one")) {
		t.Error("a name is in twice")
	}
}

// TestHostileNames: what one document may cost is bounded, whatever its names.
func TestHostileNames(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	f := func(what string, name func(i int) string, wantErr error) {
		t.Helper()
		b := bsoncore.NewDocumentBuilder()
		for i := range 100000 {
			b.AppendNull(name(i))
		}
		doc := bson.Raw(b.Build())
		var st Stats
		start := time.Now()
		_, err := p.Append(nil, doc, &st)
		if !errors.Is(err, wantErr) {
			t.Errorf("%s: %v, %+v", what, err, st)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %v", what, took)
		}
	}
	f("all distinct", func(i int) string { return fmt.Sprint(i) }, nil)
	f("half of them twice", func(i int) string { return fmt.Sprint(i % 50000) }, nil)
	f("all one", func(int) string { return "a" }, nil)
	f("all to be repaired", func(i int) string { return fmt.Sprintf(".%d", i) }, nil)
	f("all to be repaired alike", func(i int) string { return strings.Repeat(" ", i%20) + strings.Repeat("\t", i/20%20) }, nil)
	f("numbers taken", func(i int) string {
		if i%3 == 0 {
			return "__" + fmt.Sprint(i/3)
		}
		return fmt.Sprintf("\xff%c", 0xfe-i%3)
	}, nil)
	f("all the same to be repaired", func(int) string { return "." }, nil)
}
