package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// savedAt is a position after an event, of a stream with this fingerprint; it
// knows a.c with the UUID that srv gives it.
func savedAt(t *testing.T, srv *scriptmongo.Server, i uint32, fingerprint string) flow.Position {
	t.Helper()
	e, err := scriptmongo.Insert("a.c", tick(i), withID(1)).Raw(1)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := markAt(e.Lookup("_id").Value)
	if !ok || m.high {
		t.Fatalf("the token of an event reads as %+v", m)
	}
	p := position{Format: positionFormat, Stream: m.state(fingerprint)}
	p.Namespaces = map[string]nsState{"a.c": {UUID: uuidText(srv.UUID("a.c"))}}
	return p.encode()
}

func TestS6CodesOfTheServer(t *testing.T) {
	f := func(want action, codes ...int32) {
		t.Helper()
		for _, c := range codes {
			if got := actionOfCode(c); got != want {
				t.Errorf("%d leads to %d, want %d", c, got, want)
			}
		}
	}
	f(lost, 286, 136, 260)
	f(reopenByTime, 280)
	f(broken, 9, 15, 40647)
	f(reopen, 43, 11601, 143, 237)
	f(reopenFew, 4711)
	f(reopenSlim, 10334)
	f(refused, 13)
}

// Only a high-water mark fits every pipeline.
func TestS6TokenOfATimeOrAnEvent(t *testing.T) {
	f := func(text string, want tokenInfo, readable bool) {
		t.Helper()
		raw, err := bson.Marshal(bson.D{{Key: "_data", Value: text}})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := readToken(raw); got != want || ok != readable {
			t.Errorf("%s: %+v %v", text, got, ok)
		}
	}
	f(scriptmongo.HighWater(tick(8)), tokenInfo{tick(8), true}, true)
	f("8269560A81000000082B042C0100296E5A10040000000000000000000000000000000104", tokenInfo{bson.Timestamp{T: 0x69560A81, I: 8}, false}, true)
	f("", tokenInfo{}, false)
	f("8169560A81000000082B0229296E04", tokenInfo{}, false)
}

// A token of an event is good only for a stream that shows it: another one
// starts at its time, inclusive.
func TestS6AnotherFingerprintStartsByTime(t *testing.T) {
	srv := newScripted(t)
	mine := openScripted(t, srv, Options{}).scope.fingerprint()
	f := func(fingerprint string, byTime bool) {
		t.Helper()
		before := len(srv.Opens())
		follow(t, srv, savedAt(t, srv, 3, fingerprint))
		o := srv.Opens()[before]
		if byTime != (o.StartAt == tick(3)) || byTime == (o.ResumeAfter != "") {
			t.Errorf("opened at %v, after %q", o.StartAt, o.ResumeAfter)
		}
	}
	f(mine, false)
	f("another", true)
}

// The server says only with the first getMore that it no longer has what
// comes after a token; until then the saved position stays.
func TestS6PositionStaysUntilTheStartIsProven(t *testing.T) {
	srv := newScripted(t)
	pos := savedAt(t, srv, 3, "another")
	s := follow(t, srv, pos)
	if got := s.Position(); got != pos {
		t.Fatalf("not proven, and the position is\n%s, was\n%s", got, pos)
	}
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(4), withID(2))}})
	_, ack := nextChanges(t, s.Stream())
	if err := ack(t.Context(), nil); err != nil || s.Position() == pos {
		t.Fatalf("proven, and the position stays: %v", err)
	}
}

func TestS6LostHistoryStops(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{HistoryLost: HistoryLostStop})
	pos := savedAt(t, srv, 3, s.scope.fingerprint())
	srv.Stream(scriptmongo.Reply{Err: scriptmongo.Fault(286)})
	if err := s.Start(t.Context(), pos, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readOne(t, s.Stream()); flow.ClassOf(err) != flow.Lost {
		t.Fatalf("class %s: %v", flow.ClassOf(err), err)
	}
	if got := s.Position(); got != pos {
		t.Errorf("the position has moved past what was lost: %s", got)
	}
}

// What was lost is copied again, and the copy ends with the removal of ghosts.
func TestS6LostHistoryIsCopiedAgain(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{})
	srv.Stream(scriptmongo.Reply{Err: scriptmongo.Fault(286)})
	if err := s.Start(t.Context(), savedAt(t, srv, 3, s.scope.fingerprint()), nil); err != nil {
		t.Fatal(err)
	}
	follower(t, s)
	if done := copyAll(t, srv, s); !done.Ghosts || done.NS != scriptedNS {
		t.Errorf("%+v", done)
	}
}

// 280 hides an event and loses nothing: the stream starts by the time of its
// last mark, and nothing is copied again.
func TestS6HiddenEventStartsByTime(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{})
	srv.Stream(
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(5), withID(2))}},
		scriptmongo.Reply{Err: scriptmongo.Fault(280)},
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(6), withID(3))}},
	)
	if err := s.Start(t.Context(), savedAt(t, srv, 3, s.scope.fingerprint()), nil); err != nil {
		t.Fatal(err)
	}
	nextChanges(t, s.Stream())
	nextChanges(t, s.Stream())
	opens := srv.Opens()
	if len(opens) != 2 || opens[1].StartAt != tick(5) || opens[1].ResumeAfter != "" {
		t.Errorf("%d opens, the last at %v, after %q", len(opens), opens[len(opens)-1].StartAt, opens[len(opens)-1].ResumeAfter)
	}
	if p := s.Progress(); p.HistoryLost != 0 || p.Namespaces[0].Phase != "following" {
		t.Errorf("%+v", p)
	}
}
