package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A chunk is final when the stream has passed the time of its last reply, so
// the stream may not say that it has passed what may still come: the first
// high-water mark lies just after the last write, where the next one will be.
func TestS4PassedIsProven(t *testing.T) {
	at := func(n uint32) bson.Timestamp { return bson.Timestamp{T: 1_700_000_000, I: n} }
	f := func(name string, sharded bool, was, end mark, got bool, want bson.Timestamp) {
		t.Helper()
		st := newStream(&Source{caps: capabilities{sharded: sharded}})
		st.at = was
		if p := st.passed(end, got); p != want {
			t.Errorf("%s: passed %v, want %v", name, p, want)
		}
	}
	first := mark{time: at(10), high: true, passed: at(9)}
	f("the first mark, nothing came", false, first, first, false, at(9))
	f("a newer mark", false, first, mark{time: at(12), high: true}, false, at(12))
	f("a newer mark after events", false, first, mark{time: at(12), high: true}, true, at(12))
	f("events up to one that may have more of its time", false, first, mark{time: at(12)}, true, at(11))
	last := mark{time: at(12), passed: at(11)}
	f("nothing came after it", false, last, last, false, at(12))
	seen := mark{time: at(12), passed: at(12)}
	f("it was passed before", false, seen, mark{time: at(12)}, true, at(12))
	f("by time, in the future", false, mark{time: at(20), passed: at(19)}, mark{time: at(20), high: true}, false, at(19))
	f("another shard may have more", true, first, mark{time: at(12), high: true}, false, at(11))
	f("another shard may have more of an event's time", true, last, last, false, at(11))
}
