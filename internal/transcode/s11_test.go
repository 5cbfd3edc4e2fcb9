package transcode

import (
	"math"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// What random documents seldom hold: numbers that lose something where they
// pass through a double, those that JSON does not know, and dates and texts
// out of the ordinary.
func TestS11ValuesAtTheEdge(t *testing.T) {
	f := func(o Options, want string, v any, st Stats) {
		t.Helper()
		p := mustCompile(t, o, Fields{})
		var got Stats
		out, err := p.Append(nil, mustMarshal(t, bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: v}}), &got)
		if err != nil || string(out) != `{"v":`+want+`}` || got != st {
			t.Errorf("%v: %s %+v %v, want %s", v, out, got, err, want)
		}
	}
	f(Options{}, "9223372036854775807", int64(math.MaxInt64), Stats{})
	f(Options{}, "-9223372036854775808", int64(math.MinInt64), Stats{})
	f(Options{}, "9007199254740993", int64(1<<53+1), Stats{})
	f(Options{}, "5.0", 5.0, Stats{})
	f(Options{}, "0.1", 0.1, Stats{})
	for text, v := range map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)} {
		f(Options{}, "null", v, Stats{NonFinite: 1})
		f(Options{NonFinite: NonFiniteString}, `"`+text+`"`, v, Stats{NonFinite: 1})
	}
	f(Options{}, `"1970-01-01T00:00:00.000Z"`, bson.DateTime(0), Stats{})
	f(Options{}, "253402300800000", bson.DateTime(253402300800000), Stats{})
	f(Options{}, `"`+strings.Repeat("a", 50)+"\uFFFD"+`b"`, strings.Repeat("a", 50)+"\xffb", Stats{InvalidUTF8: 1})
	f(Options{}, "\"\uFFFD\\u0000\\\"\"", "\xff\x00\"", Stats{InvalidUTF8: 1})
}
