package mongo

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/testkit/scriptmongo"
)

// scriptedCursor is a change stream that brings replies one by one, then the last
// one again and again.
type scriptedCursor struct {
	replies []eventReply
	open    []bool // whether the server keeps it open after that reply
	id      int64
	closed  bool
}

func (c *scriptedCursor) next(context.Context) eventReply {
	r := c.replies[0]
	if len(c.replies) > 1 {
		c.replies = c.replies[1:]
	}
	if c.id = 1; len(c.open) > 0 {
		if !c.open[0] {
			c.id = 0
		}
		c.open = c.open[1:]
	}
	return r
}

func (c *scriptedCursor) ID() int64                   { return c.id }
func (c *scriptedCursor) ResumeToken() bson.Raw       { return nil }
func (c *scriptedCursor) SetBatchSize(int32)          {}
func (c *scriptedCursor) Close(context.Context) error { c.closed = true; return nil }

func highAt(t testing.TB, at bson.Timestamp) bson.Raw {
	t.Helper()
	return rawOf(t, bson.D{{Key: "_data", Value: scriptmongo.HighWater(at)}})
}

func braidOf(t testing.TB, cursors ...*scriptedCursor) *braid {
	t.Helper()
	b := &braid{bound: before(tick(1))}
	b.ctx, b.cancel = context.WithCancel(t.Context())
	for _, c := range cursors {
		b.strands = append(b.strands, &strand{cs: c, at: tick(1), sure: before(tick(1))})
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil || !slices.ContainsFunc(cursors, func(c *scriptedCursor) bool { return c.closed }) {
			t.Errorf("closing: %v", err)
		}
	})
	return b
}

// Whatever strands bring in whatever pieces, each event comes once, in the order
// of the times, all of one time at once, and never after a token that says that it
// is behind.
func TestS6BraidKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		strands := rapid.IntRange(1, 4).Draw(r, "strands")
		cursors := make([]*scriptedCursor, strands)
		for i := range cursors {
			cursors[i] = &scriptedCursor{id: 1}
		}
		var want []string
		at, last := uint32(1), uint32(40)
		parts := make([][]bson.Raw, strands)
		cut := func(i int, at uint32) { // a reply that ends at an event, or at a high-water mark
			reply := eventReply{raws: parts[i], token: highAt(t, tick(at))}
			if n := len(parts[i]); n > 0 && rapid.Bool().Draw(r, "event") {
				reply.token = parts[i][n-1].Lookup("_id").Value
			}
			cursors[i].replies, parts[i] = append(cursors[i].replies, reply), nil
		}
		n := 0
		for ; at < last; at++ {
			for i := range strands {
				for range rapid.IntRange(0, 2).Draw(r, "events") {
					n++
					raw, err := scriptmongo.Insert(fmt.Sprintf("a.c%d", i), tick(at), withID(n)).Raw(uint64(n))
					if err != nil {
						t.Fatal(err)
					}
					parts[i] = append(parts[i], raw)
					want = append(want, fmt.Sprint(at))
					if rapid.IntRange(0, 5).Draw(r, "split") == 0 { // more of that time may follow
						cursors[i].replies = append(cursors[i].replies, eventReply{raws: parts[i], token: raw.Lookup("_id").Value})
						parts[i] = nil
					}
				}
				if rapid.IntRange(0, 3).Draw(r, "cut") == 0 {
					cut(i, at)
				}
			}
		}
		for i := range strands {
			cut(i, last)
			cursors[i].replies = append(cursors[i].replies, eventReply{token: highAt(t, tick(last+1))})
		}
		b := braidOf(t, cursors...)
		var got []string
		seen := map[string]bool{}
		bound := before(tick(1))
		for bound.Before(tick(last)) {
			reply := b.next(t.Context())
			if reply.err != nil {
				r.Fatal(reply.err)
			}
			end, ok := markAt(reply.token)
			if !ok || !end.high {
				r.Fatalf("no high-water mark: %v", reply.token)
			}
			for _, raw := range reply.raws {
				var e event
				if err := e.parse(raw); err != nil {
					r.Fatal(err)
				}
				id := e.key.String()
				if seen[id] || !e.time.After(bound) || !e.time.Before(end.time) {
					r.Fatalf("%s of %v between %v and %v, seen %v", id, e.time, bound, end.time, seen[id])
				}
				seen[id] = true
				got = append(got, fmt.Sprint(e.time.I))
			}
			bound = before(end.time)
		}
		if !slices.Equal(got, want) {
			r.Fatalf("%v, want %v", got, want)
		}
	})
}

// A strand that the server closed after an invalidate is opened again behind it,
// and none of this ends the stream.
func TestS6BraidOutlivesAnInvalidate(t *testing.T) {
	raw := func(e scriptmongo.Event) bson.Raw {
		r, err := e.Raw(1)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	drop := raw(scriptmongo.Drop("a.c", tick(3)))
	gone := scriptmongo.Drop("a.c", tick(3))
	gone.Op = "invalidate"
	end := raw(gone)
	first := &scriptedCursor{id: 1, replies: []eventReply{{raws: []bson.Raw{drop, end}, token: end.Lookup("_id").Value}}, open: []bool{false}}
	other := &scriptedCursor{id: 1, replies: []eventReply{{token: highAt(t, tick(9))}, {token: highAt(t, tick(12))}}}
	again := &scriptedCursor{id: 1, replies: []eventReply{{raws: []bson.Raw{raw(scriptmongo.Insert("a.c", tick(5), withID(1)))}, token: highAt(t, tick(10))}}}
	b := braidOf(t, first, other)
	var at mark
	b.open = func(_ context.Context, _ scope, m mark) (cursor, error) { at = m; return again, nil }
	var kinds []kind
	for i := 0; b.bound.Before(tick(9)) && i < 50; i++ {
		r := b.next(t.Context())
		if r.err != nil {
			t.Fatal(r.err)
		}
		for _, raw := range r.raws {
			var e event
			if err := e.parse(raw); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, e.kind)
		}
	}
	if !slices.Equal(kinds, []kind{kindDrop, kindInsert}) || at.time != tick(4) || at.token == nil || b.ID() == 0 {
		t.Errorf("%v, opened again at %+v", kinds, at)
	}
}

// The narrower streams cover what the wide one did.
func TestNarrower(t *testing.T) {
	f := func(want string, namespaces ...string) {
		t.Helper()
		s := selectionOf(t, namespaces, []string{"a.out"})
		got := ""
		for _, sc := range s.narrower(s.scope(true)) {
			got += fmt.Sprintf("%d %s.%s;", sc.level, sc.db, sc.coll)
		}
		if got != want {
			t.Errorf("%v: %s, want %s", namespaces, got, want)
		}
	}
	f("1 a.x;2 b.;", "a.x", "b.*")
	f("2 a.;1 b.z;", "a.x", "b.z", "a.y", "a.x")
	f("1 a.x;1 a.y;", "a.x", "a.y")
	f("", "a.*")
	f("", "a.x", "a.*")
	f("", "a.x")
	f("", "/a/", "b.x")
}
