package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func tokenOf(t testing.TB, text string) bson.Raw {
	t.Helper()
	return rawOf(t, bson.D{{Key: "_data", Value: text}})
}

func TestTokenTime(t *testing.T) {
	f := func(text string, want bson.Timestamp, ok bool) {
		t.Helper()
		if got, is := TokenTime(tokenOf(t, text)); got != want || is != ok {
			t.Errorf("%s: %v %v", text, got, is)
		}
	}
	at := bson.Timestamp{T: 0x69560A81, I: 8}
	f("8269560A81000000082B0229296E04", at, true)                                                                                     // a high-water mark, version 1
	f("8269560A81000000082B0429296E1404", at, true)                                                                                   // version 2
	f("8269560A81000000082B022C0100296E5A1004D1C9C6D9A9F24A5C8D6A2D1B3C4D5E6F46645F696400645F0A1B2C3D4E5F60718293A4B50004", at, true) // an event
	f("8269560a81000000082b042c0100296e5a1004", at, true)                                                                             // in small letters
	f("8169560A81000000082B0229296E04", bson.Timestamp{}, false)                                                                      // no timestamp
	f("8269560A810000", bson.Timestamp{}, false)                                                                                      // cut off
	f("", bson.Timestamp{}, false)
	f("82ZZ560A81000000082B0229296E04", bson.Timestamp{}, false)
	if _, ok := TokenTime(bson.Raw{5, 0, 0}); ok {
		t.Error("what is no document was read")
	}
	if _, ok := TokenTime(rawOf(t, bson.D{{Key: "_data", Value: bson.Binary{Data: []byte{0x82}}}})); ok {
		t.Error("binary data was read")
	}
}

// A token after t says that all of t is behind it and nothing later is.
func TestTokenAfterIsTheNextTick(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		at := bson.Timestamp{T: rapid.Uint32Max(1<<32-2).Draw(r, "t"), I: rapid.Uint32().Draw(r, "i")}
		m, ok := markAt(tokenOf(t, TokenAfter(at)))
		if !ok || !m.high || before(m.time) != at && at.I != 1<<32-1 || !m.time.After(at) {
			r.Fatalf("after %v: %+v", at, m)
		}
	})
	if got := TokenAfter(bson.Timestamp{T: 0x69560A81, I: 1<<32 - 1}); got != "8269560A82000000002B0229296E04" {
		t.Error(got)
	}
}

func FuzzTokenTime(f *testing.F) {
	f.Add([]byte{5, 0, 0, 0, 0})
	f.Add([]byte("8269560A81000000082B0229296E04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, ok := TokenTime(bson.Raw(b))
		if !ok && !at.IsZero() {
			t.Errorf("%v of what can't be read", at)
		}
		if at, ok := TokenTime(tokenOf(t, string(b))); ok && len(b) < 18 {
			t.Errorf("%v of %d letters", at, len(b))
		}
	})
}
