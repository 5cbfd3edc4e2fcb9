package search

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
)

// life is the history of one key: what it was after each event; nil for nothing.
type life struct {
	t      *testing.T
	states []*flow.Change
}

// drawLife draws events that write, move and delete.
func drawLife(t *testing.T, r *rapid.T) *life {
	l := &life{t: t, states: []*flow.Change{nil}}
	for i := 1; i <= rapid.IntRange(1, 8).Draw(r, "events"); i++ {
		var now *flow.Change
		if l.states[i-1] == nil || rapid.IntRange(0, 4).Draw(r, "delete") > 0 {
			c := in(t, "a", 0, fmt.Sprintf("%02d", rapid.IntRange(1, 3).Draw(r, "month")), rapid.SampledFrom([]string{"x", "y"}).Draw(r, "routing"))
			now = &c
		}
		l.states = append(l.states, now)
	}
	return l
}

// events is what the stream brings for the events from+1 to to, merged, if the
// document is read when it is in the state read.
func (l *life) events(from, to, read int, images bool) flow.Change {
	c := remove(l.t, "a", int64(10*to))
	switch now := l.states[read]; {
	case l.states[to] == nil:
	case now == nil:
		c.Op = flow.OpSkip // its delete is coming
	default:
		c.Op, c.Doc = flow.OpWrite, now.Doc
	}
	c.Before = &flow.Before{}
	for i := from; i < to; i++ {
		was := &flow.Before{}
		if before := l.states[i]; before != nil {
			if was.Docs = []bson.Raw{before.Doc}; !images {
				was = nil
			}
		} else if l.states[i+1] == nil {
			was = nil // a delete of nothing does not happen
		}
		c.Before = c.Before.With(was)
	}
	return c
}

// TestS14ModelOfMoves: whatever is merged, read early or late, done again after a
// crash or overtaken by the stream, a document is in exactly one place in the end.
func TestS14ModelOfMoves(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := drawLife(t, r)
		n := len(l.states) - 1
		images := rapid.Bool().Draw(r, "images")
		first := rapid.Bool().Draw(r, "first copy")
		e := newEngine(t)
		e.oneShard = rapid.Bool().Draw(r, "one shard")
		open := func() *Sink { return e.on(scattered(), Route{}) }
		s := open()
		if first {
			if err := s.Apply(t.Context(), flow.Control{Kind: flow.ControlSnapshotBegin, NS: orders}); err != nil {
				t.Fatal(err)
			}
		}
		send := func(c flow.Change, snapshot bool) {
			b := batch(c)
			b.Snapshot = snapshot
			vs, err := s.Write(t.Context(), b)
			if err != nil || vs[0].Outcome != flow.Done && vs[0].Outcome != flow.Superseded {
				r.Fatal(err, vs)
			}
		}
		snapshot := func(at, seen int) {
			if c := l.states[at]; c != nil {
				late := *c
				if late.Version = int64(10*at + 5); seen > at { // as the pump has it
					late.Op, late.Doc, late.Left = flow.OpDelete, nil, true
				}
				send(late, true)
			}
		}
		settled, crashes := 0, 0
		for at := 0; at < n; {
			copyAt := rapid.IntRange(at, n).Draw(r, "copy at") // read now, written after what follows
			to := rapid.IntRange(at+1, n).Draw(r, "to")
			read := rapid.IntRange(to, n).Draw(r, "read")
			send(l.events(at, to, read, images), false)
			at = to
			switch rapid.IntRange(0, 5).Draw(r, "then") {
			case 0:
				if crashes++; crashes < 4 {
					at = rapid.IntRange(settled, at).Draw(r, "position")
					s = open()
				}
			case 1, 2:
				snapshot(copyAt, at)
			case 3:
				settled = at
			}
		}
		var want []string
		if now := l.states[n]; now != nil {
			m, _ := now.Doc.Lookup("m").StringValueOK()
			routing, _ := now.Doc.Lookup("r").StringValueOK()
			want = append(want, "orders-"+m+" a "+routing)
		}
		if got := e.places(); fmt.Sprint(got) != fmt.Sprint(want) && len(got)+len(want) > 0 {
			r.Fatalf("%q, want %q", got, want)
		}
	})
}
