package mongo

import (
	"reflect"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
)

const (
	highToken  = "826B04FF090000000C2B0229296E04"
	eventToken = "826B04FF0B000000022B022C0100296E5A1004D76CF3CE8A284A29B8D828425431EE8346645F696400646B04FF0BBF3926878FA8F1BF0004"
)

func token(t testing.TB, text string) bson.Raw {
	t.Helper()
	return rawOf(t, bson.D{{Key: "_data", Value: text}})
}

func TestReadToken(t *testing.T) {
	f := func(text string, ok, high bool, at bson.Timestamp) {
		t.Helper()
		info, got := readToken(token(t, text))
		if got != ok || info.high != high || ok && info.time != at {
			t.Errorf("%s: %+v %v", text, info, got)
		}
	}
	f(highToken, true, true, bson.Timestamp{T: 0x6B04FF09, I: 12})
	f(eventToken, true, false, bson.Timestamp{T: 0x6B04FF0B, I: 2})
	f("826B04FF090000000C2B0429296E04", true, true, bson.Timestamp{T: 0x6B04FF09, I: 12}) // version 2
	f("826B04FF090000000C", true, false, bson.Timestamp{T: 0x6B04FF09, I: 12})
	f("", false, false, bson.Timestamp{})
	f("826B04", false, false, bson.Timestamp{})
	f("xx6B04FF090000000C2B0229296E04", false, false, bson.Timestamp{})
	f("816B04FF090000000C2B0229296E04", false, false, bson.Timestamp{})
	if _, ok := readToken(rawOf(t, bson.D{{Key: "_data", Value: 5}})); ok {
		t.Error("a token that is a number")
	}
}

// A saved token is a copy: the reply that it came in is let go.
func TestMarkOwnsItsToken(t *testing.T) {
	raw := token(t, eventToken)
	m, ok := markAt(raw)
	clear(raw)
	if !ok || !reflect.DeepEqual(m.token, token(t, eventToken)) {
		t.Error("the token is a view")
	}
}

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := func(label string) value {
			if rapid.Bool().Draw(t, label+" there") {
				return nil
			}
			typ, b, _ := bson.MarshalValue(rapid.String().Draw(t, label))
			return append(value{byte(typ)}, b...)
		}
		raw, _ := bson.Marshal(bson.D{{Key: "_data", Value: eventToken}})
		want := position{Format: positionFormat, Stream: streamMark{
			Token: raw, Time: timestamp{T: 0x6B04FF0B, I: 2},
			Invalidate: rapid.Bool().Draw(t, "invalidate"), Fingerprint: "f",
		}, Lost: rapid.IntRange(0, 3).Draw(t, "lost"), Namespaces: map[string]nsState{}}
		for range rapid.IntRange(0, 3).Draw(t, "namespaces") {
			c := &copyState{Ghosts: rapid.Bool().Draw(t, "ghosts"), Next: id("next"), End: id("end"), Cut: rapid.Bool().Draw(t, "cut")}
			for range rapid.IntRange(0, 3).Draw(t, "chunks") {
				ch := chunkState{Min: id("min"), Max: id("max"), Last: id("last"), Tail: rapid.Bool().Draw(t, "tail")}
				if rapid.Bool().Draw(t, "passed") {
					ch.Pass = &timestamp{T: rapid.Uint32().Draw(t, "T"), I: rapid.Uint32().Draw(t, "I")}
				}
				c.Chunks = append(c.Chunks, ch)
			}
			want.Namespaces[rapid.StringMatching(`[a-z]+\.[a-z.]+`).Draw(t, "ns")] = nsState{UUID: "00ff", Copy: c}
		}
		got, err := parsePosition(want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Namespaces) == 0 {
			want.Namespaces = nil
		}
		if !reflect.DeepEqual(*got, want) {
			t.Fatalf("%+v, want %+v", *got, want)
		}
	})
}

func TestPositionRefused(t *testing.T) {
	f := func(text, words string) {
		t.Helper()
		_, err := parsePosition(flow.Position(text))
		if flow.ClassOf(err) != flow.Fatal || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", text, err)
		}
	}
	f(`{"format":3}`, "newer sluice")
	f(`{"format":1}`, "neither token nor time")
	f(`{"format":1,"stream":{"time":"x"}}`, "position")
	f(`{"format":1,"stream":{"token":"AAAA","time":"5.6"}}`, "its token")
	f(`nonsense`, "position")
	if p, err := parsePosition(""); p != nil || err != nil {
		t.Error(p, err)
	}
}
