package vitals

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestA7LagOfTheSlowestVoterWithData(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	back := func(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
	primary := member{name: "p", state: statePrimary, applied: back(1)}
	conf := map[string]configured{
		"p": {votes: true}, "a": {votes: true}, "b": {votes: true}, "hidden": {votes: true},
		"arb": {votes: true, arbiter: true}, "mute": {}, "delayed": {votes: true, delay: time.Hour},
	}
	f := func(want time.Duration, wantOK bool, members ...member) {
		t.Helper()
		got, ok := slowest(members, now, func(m member) (time.Duration, bool) {
			return counts(m, conf, nil)
		})
		if ok != wantOK || got != want {
			t.Errorf("%v: %v %v, want %v %v", members, got, ok, want, wantOK)
		}
	}
	f(0, true, primary)
	f(0, false, member{name: "a", state: 2, applied: back(5)})
	f(0, true, primary, member{name: "a", state: 2, applied: now}) // its heartbeat is newer
	f(9*time.Second, true, primary, member{name: "a", state: 2, applied: back(10)}, member{name: "b", state: 2, applied: back(3)})
	f(19*time.Second, true, primary, member{name: "hidden", state: 2, applied: back(20)})
	f(0, true, primary, member{name: "mute", state: 2, applied: back(500)})
	f(0, true, primary, member{name: "arb", state: stateArbiter})
	f(9*time.Second, true, primary, member{name: "delayed", state: 2, applied: back(3610)})
	f(0, true, primary, member{name: "delayed", state: 2, applied: back(60)})
	// Down: it is as far behind as it is silent; in its first copy: as it is up.
	f(70*time.Second, true, primary, member{name: "a", state: 8, applied: time.Unix(0, 0), heard: back(70)})
	f(40*time.Second, true, primary, member{name: "a", state: 5, applied: time.Unix(0, 0), heard: now, uptime: 40 * time.Second})
	f(9*time.Second, true, primary, member{name: "a", state: 3, applied: back(10)})
}

// Without the right to read the configuration, those that hello shows count.
func TestA7LagOfTheMembersShown(t *testing.T) {
	if _, ok := counts(member{name: "a"}, nil, []string{"p", "a"}); !ok {
		t.Error("a member that is shown does not count")
	}
	if _, ok := counts(member{name: "arb"}, nil, []string{"p", "a"}); ok {
		t.Error("a member that is not shown counts")
	}
}

func TestA7MembersOfTheReply(t *testing.T) {
	r := raws(t, `{"date":{"$date":"2024-01-01T00:00:10Z"},"members":[
		{"name":"h:1","state":1,"optimeDate":{"$date":"2024-01-01T00:00:09Z"},"uptime":5},
		{"name":"h:2","state":2,"optimeDate":{"$date":"2024-01-01T00:00:04Z"},"lastHeartbeatRecv":{"$date":"2024-01-01T00:00:08Z"},"uptime":5}]}`,
		`{"config":{"members":[{"host":"h:1","votes":1},{"host":"h:2","votes":1,"secondaryDelaySecs":{"$numberLong":"2"}},{"host":"h:3","votes":1,"arbiterOnly":true}]}}`)
	members, now := membersOf(r[0])
	if len(members) != 2 || now.Second() != 10 || members[1].name != "h:2" || members[1].applied.Second() != 4 || members[1].heard.Second() != 8 {
		t.Fatalf("got %v at %v", members, now)
	}
	conf := configOf(r[1])
	if len(conf) != 3 || conf["h:2"].delay != 2*time.Second || !conf["h:3"].arbiter || !conf["h:1"].votes {
		t.Fatalf("got %v", conf)
	}
	if configOf(bson.Raw(nil)) != nil {
		t.Error("a configuration out of nothing")
	}
	if !hiddenAmong(members, []string{"h:1"}) || hiddenAmong(members, []string{"h:1", "h:2"}) {
		t.Error("wrong about hidden members")
	}
}

func TestA7FlowControlBetweenTwoLooks(t *testing.T) {
	var c laggedCount
	f := func(on bool, count int64, want bool) {
		t.Helper()
		if got := c.since(on, count); got != want {
			t.Errorf("%v %d: %v, want %v", on, count, got, want)
		}
	}
	f(false, 7, false) // what was before the first look is past
	f(false, 7, false)
	f(false, 8, true)
	f(false, 8, false)
	f(true, 8, true)
}

func raws(t testing.TB, texts ...string) []bson.Raw {
	t.Helper()
	var all []bson.Raw
	for _, s := range texts {
		var r bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(s), false, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}
