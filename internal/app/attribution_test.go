package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/transcode"
)

var oldOrders = flow.Namespace{DB: "shop", Coll: "orders"}

// tick is the n-th cluster time of a test.
func tick(n int) bson.Timestamp { return bson.Timestamp{T: flow.VersionEpoch + uint32(n), I: 1} }

func keyOf(t testing.TB, v any) bson.RawValue {
	t.Helper()
	typ, b, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: typ, Value: b}
}

// gone is a delete at a time; session 0 is none.
func gone(t testing.TB, id any, session byte, at int) flow.Change {
	c := flow.Change{Op: flow.OpDelete, NS: oldOrders, ID: keyOf(t, id), Time: tick(at)}
	if session > 0 {
		c.Session = [16]byte{session}
	}
	return c
}

// fakeLedger has rows that are there from a time on, and refuses reads that may
// be older than they ask for.
type fakeLedger struct {
	rows  []cold.LedgerRow
	since []int // the time of each row's write
	now   int
	fail  error

	asked     int // sessions and keys that were asked for
	calls     int
	probes    int
	early     bool // answers as of the time asked for, not as of now
	maxInCall int
}

// at is the time of an answer.
func (l *fakeLedger) at(after bson.Timestamp) int {
	if l.early && after.T > 0 {
		return int(after.T - flow.VersionEpoch)
	}
	return l.now
}

func (l *fakeLedger) find(after bson.Timestamp, fits func(*cold.LedgerRow) bool) (out []cold.LedgerRow, err error) {
	if l.fail != nil {
		return nil, l.fail
	}
	for i := range l.rows {
		if l.since[i] <= l.at(after) && fits(&l.rows[i]) {
			out = append(out, l.rows[i])
		}
	}
	return out, nil
}

func (l *fakeLedger) SessionsAfter(_ context.Context, sessions []bson.Binary, after bson.Timestamp) ([]cold.LedgerRow, error) {
	l.calls++
	l.asked += len(sessions)
	l.maxInCall = max(l.maxInCall, len(sessions))
	return l.find(after, func(r *cold.LedgerRow) bool {
		return slices.ContainsFunc(sessions, func(s bson.Binary) bool { return string(s.Data) == string(r.ID.Data) })
	})
}

func (l *fakeLedger) KeysAfter(_ context.Context, ns string, ids []bson.RawValue, after bson.Timestamp) ([]cold.LedgerRow, error) {
	l.calls++
	l.asked += len(ids)
	l.maxInCall = max(l.maxInCall, len(ids))
	text := func(v bson.RawValue) string { return string(transcode.AppendID(nil, v)) }
	return l.find(after, func(r *cold.LedgerRow) bool {
		return r.NS == ns && slices.ContainsFunc(r.Keys, func(k bson.RawValue) bool {
			return slices.ContainsFunc(ids, func(id bson.RawValue) bool { return text(id) == text(k) })
		})
	})
}

func (l *fakeLedger) HasKeysAfter(_ context.Context, after bson.Timestamp) (bool, bson.Timestamp, error) {
	l.probes++
	rows, err := l.find(after, func(r *cold.LedgerRow) bool { return len(r.Keys) > 0 })
	return len(rows) > 0, tick(l.now), err
}

func (l *fakeLedger) add(at int, r cold.LedgerRow) {
	l.rows, l.since = append(l.rows, r), append(l.since, at)
}

func sessionRow(session byte) cold.LedgerRow {
	return cold.LedgerRow{
		ID: bson.Binary{Subtype: 4, Data: append([]byte{session}, make([]byte, 15)...)},
		NS: oldOrders.String(), Rule: "old", Object: "s3://cold/1", At: time.Unix(5, 0),
	}
}

// TestA5Sessions: the session alone tells whose a delete is; each is asked for
// once, whatever the answer was.
func TestA5Sessions(t *testing.T) {
	l := &fakeLedger{now: 100}
	l.add(1, sessionRow(1))
	a := newAttributor(l)
	batch := func() []flow.Change {
		other := gone(t, "e", 1, 14)
		other.NS.Coll = "people"
		written := gone(t, "w", 1, 15)
		written.Op = flow.OpWrite
		return []flow.Change{gone(t, "a", 1, 10), gone(t, "b", 2, 11), gone(t, "c", 0, 12), gone(t, "d", 1, 13), other, written}
	}
	for range 3 {
		changes := batch()
		if err := a.Attribute(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, false, false, true, false, false} {
			if got := changes[i].Archived; (got != nil) != want {
				t.Errorf("%d: %+v", i, got)
			}
		}
		if got := *changes[0].Archived; got != (flow.Archived{At: time.Unix(5, 0), Rule: "old", Object: "s3://cold/1"}) {
			t.Errorf("%+v", got)
		}
	}
	if l.calls != 1 || l.asked != 2 || l.probes != 1 {
		t.Errorf("%d calls for %d sessions, %d probes; want 1 for 2, and 1", l.calls, l.asked, l.probes)
	}
}

// TestA5NotOlderThanTheDelete: an answer holds only if it is not older than the
// delete: a row may be written a moment before it.
func TestA5NotOlderThanTheDelete(t *testing.T) {
	l := &fakeLedger{now: 100, early: true}
	l.add(50, sessionRow(1))
	keys := cold.LedgerRow{NS: oldOrders.String(), Rule: "keys", Keys: []bson.RawValue{keyOf(t, 7)}, From: tick(60)}
	l.add(60, keys)
	a := newAttributor(l)
	first := []flow.Change{gone(t, "a", 0, 40), gone(t, "b", 1, 51), gone(t, 7, 0, 59)}
	if err := a.Attribute(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if first[0].Archived != nil || first[1].Archived == nil || first[2].Archived != nil {
		t.Error("the first batch", first)
	}
	a.now = bson.Timestamp{} // as if the server's time had been unknown
	second := []flow.Change{gone(t, 8, 0, 61), gone(t, 7.0, 0, 62)}
	if err := a.Attribute(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if second[0].Archived != nil || second[1].Archived == nil || second[1].Archived.Rule != "keys" {
		t.Error("the second batch", second)
	}
}

// TestA5KeysAndTimes: without a session the key decides, and the time.
func TestA5KeysAndTimes(t *testing.T) {
	l := &fakeLedger{now: 1000}
	row := func(rule string, from, to int, keys ...any) {
		r := cold.LedgerRow{NS: oldOrders.String(), Rule: rule, From: tick(from)}
		if to > 0 {
			r.To = tick(to)
		}
		for _, k := range keys {
			r.Keys = append(r.Keys, keyOf(t, k))
		}
		l.add(1, r)
	}
	row("first", 10, 20, 1, "x")
	row("second", 30, 0, int64(1))
	a := newAttributor(l)
	f := func(want string, c flow.Change) {
		t.Helper()
		changes := []flow.Change{c}
		if err := a.Attribute(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		got := ""
		if changes[0].Archived != nil {
			got = changes[0].Archived.Rule
		}
		if got != want {
			t.Errorf("%v at %v: %q, want %q", c.ID, c.Time, got, want)
		}
	}
	f("", gone(t, 1, 0, 9))
	f("first", gone(t, 1, 0, 10))
	f("first", gone(t, 1.0, 0, 20))
	f("", gone(t, 1, 0, 21))
	f("second", gone(t, 1, 0, 30))
	f("second", gone(t, 1, 0, 500))
	f("", gone(t, "x", 0, 30))
	f("first", gone(t, "x", 0, 15))
	f("", gone(t, "1", 0, 15))
	f("", gone(t, 1, 3, 15)) // in a transaction, which is a user's
	elsewhere := gone(t, 1, 0, 15)
	elsewhere.NS.Coll = "people"
	f("", elsewhere)
}

// TestA5Probes: a backlog without rows of keys is asked about once, and then
// each batch that brings newer deletes.
func TestA5Probes(t *testing.T) {
	l := &fakeLedger{now: 1000}
	a := newAttributor(l)
	for n := range 50 {
		if err := a.Attribute(t.Context(), []flow.Change{gone(t, n, 0, n), gone(t, n, 0, n)}); err != nil {
			t.Fatal(err)
		}
	}
	if l.probes != 2 || l.calls != 0 {
		t.Errorf("%d probes and %d look-ups for a backlog", l.probes, l.calls)
	}
	l.now = 1010
	if err := a.Attribute(t.Context(), []flow.Change{gone(t, 1, 0, 1005)}); err != nil || l.probes != 3 {
		t.Errorf("%d probes: %v", l.probes, err)
	}
}

// TestA5FailsRatherThanGuess: an error is handed on, and asked about again.
func TestA5FailsRatherThanGuess(t *testing.T) {
	no := errors.New("no primary")
	for _, session := range []byte{0, 1} {
		l := &fakeLedger{now: 100, fail: no}
		l.add(1, sessionRow(1))
		a := newAttributor(l)
		changes := []flow.Change{gone(t, "a", session, 10)}
		if err := a.Attribute(t.Context(), changes); !errors.Is(err, no) {
			t.Fatal(err)
		}
		l.fail = nil
		if err := a.Attribute(t.Context(), changes); err != nil || (changes[0].Archived != nil) != (session == 1) {
			t.Error(session, changes, err)
		}
	}
}

// TestA5ManySessions: more sessions than the cache holds are looked up in parts
// and attributed all the same.
func TestA5ManySessions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := &fakeLedger{now: 1 << 20}
		for s := byte(1); s < 200; s += 2 {
			l.add(1, sessionRow(s))
		}
		a := newAttributor(l)
		a.known = newSessions(rapid.IntRange(1, 64).Draw(rt, "cache"))
		for n := range rapid.IntRange(1, 8).Draw(rt, "batches") {
			changes := make([]flow.Change, rapid.IntRange(1, 300).Draw(rt, "deletes"))
			for i := range changes {
				changes[i] = gone(t, i, rapid.Byte().Draw(rt, "session"), 10+n)
			}
			if err := a.Attribute(t.Context(), changes); err != nil {
				rt.Fatal(err)
			}
			for _, c := range changes {
				if s := c.Session[0]; (c.Archived != nil) != (s%2 == 1 && s < 200) {
					rt.Fatalf("session %d: %+v", s, c.Archived)
				}
			}
			if most := a.known.most; len(a.known.young) > most || len(a.known.old) > most {
				rt.Fatalf("the cache holds %d and %d, at most %d", len(a.known.young), len(a.known.old), most)
			}
		}
	})
	l := &fakeLedger{now: 100}
	changes := make([]flow.Change, 2500)
	for i := range changes {
		changes[i] = gone(t, i, 1, 10)
		changes[i].Session[1], changes[i].Session[2] = byte(i), byte(i>>8)
	}
	if err := newAttributor(l).Attribute(t.Context(), changes); err != nil || l.maxInCall > ledgerKeys || l.calls != 3 {
		t.Error(l.calls, l.maxInCall, err)
	}
}

// TestA5WhenNothingIsAsked: where both deletes do the same, nothing is looked up.
func TestA5WhenNothingIsAsked(t *testing.T) {
	f := func(del config.DeletePolicy, archive config.ArchivePolicy, want bool) {
		t.Helper()
		if got := attributes(config.On{Delete: del, Archive: archive}); got != want {
			t.Errorf("%s and %s: %v", del, archive, got)
		}
	}
	f("", "", false)
	f(config.DeleteRemove, config.ArchiveRemove, false)
	f(config.DeleteKeep, config.ArchiveKeep, false)
	f(config.DeleteMark, config.ArchiveMark, true)
	f(config.DeleteRemove, config.ArchiveKeep, true)
	f(config.DeleteRemove, config.ArchiveMark, true)
	f(config.DeleteKeep, config.ArchiveRemove, true)
	f(config.DeleteMark, config.ArchiveRemove, true)
}

type fakeShelf struct{ covers bool }

func (f fakeShelf) Covers(flow.Namespace) bool { return f.covers }

func (fakeShelf) ArchivedIDs(_ context.Context, _ flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error) {
	out := make([]*flow.Archived, len(ids))
	out[0] = &flow.Archived{Rule: "old"}
	return out, nil
}

// TestA5GhostsAreAskedFor: the archive is asked about ghosts where its rules
// cover the collection; where it can't be, and kept documents may be among
// them, none are removed.
func TestA5GhostsAreAskedFor(t *testing.T) {
	ids := []bson.RawValue{keyOf(t, 1), keyOf(t, 2)}
	f := func(on config.ArchivePolicy, sh shelf, leaves, asks bool) {
		t.Helper()
		r := &flowRun{cfg: &config.Flow{On: config.On{Archive: on}}, shelf: sh}
		live := false
		r.outside = func(context.Context, flow.Namespace, []bson.RawValue) ([]bool, error) {
			return []bool{live, false}, nil
		}
		got, err := r.archived(t.Context(), oldOrders, ids)
		if err != nil || len(got) != 2 || (got[0] != nil) != asks || got[1] != nil || r.leavesGhosts(oldOrders) != leaves {
			t.Errorf("%s: %v, leaves %v: %v", on, got, r.leavesGhosts(oldOrders), err)
		}
		live = true // outside the flow's filter
		if got, err := r.archived(t.Context(), oldOrders, ids); err != nil || got[0] != nil {
			t.Errorf("%s: %v: %v", on, got, err)
		}
	}
	f(config.ArchiveKeep, nil, true, false)
	f(config.ArchiveKeep, fakeShelf{false}, true, false)
	f(config.ArchiveKeep, fakeShelf{true}, false, true)
	f(config.ArchiveMark, fakeShelf{true}, false, true)
	f(config.ArchiveMark, nil, false, false)
	f(config.ArchiveRemove, fakeShelf{true}, false, false)
}
