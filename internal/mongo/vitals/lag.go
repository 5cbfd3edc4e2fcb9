package vitals

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/governor"
)

// laggedCount remembers how often flow control was on: it comes and goes
// between two looks. It is safe from several goroutines.
type laggedCount struct {
	mu    sync.Mutex
	known bool
	count int64
}

// since tells whether flow control is on, or was since the last call.
func (c *laggedCount) since(on bool, count int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	on = on || c.known && count > c.count
	c.known, c.count = true, count
	return on
}

// member is what the primary knows of one member of the set.
type member struct {
	name    string
	state   int64
	applied time.Time // of the last operation it has; zero if unknown
	heard   time.Time // the last heartbeat from it
	uptime  time.Duration
}

// configured is what the set's configuration says of a member.
type configured struct {
	votes   bool
	arbiter bool
	delay   time.Duration
}

// The states of members that matter here.
const (
	statePrimary = 1
	stateArbiter = 7
	stateRemoved = 10
)

// lag is that of the slowest member that carries data and votes. Votes and
// delays are in the configuration; without the right to read that, the members
// that hello shows count: all but the hidden ones.
func (v *Vitals) lag(ctx context.Context, g greeting, l *governor.Load) error {
	status, err := v.ask(ctx, l, "replSetGetStatus")
	if err != nil || status == nil {
		return err
	}
	members, now := membersOf(status)
	var conf map[string]configured
	if len(members) > 1 {
		quiet := *l
		raw, err := v.ask(ctx, &quiet, "replSetGetConfig")
		if err != nil {
			return err
		}
		if conf = configOf(raw); conf == nil && hiddenAmong(members, g.members) {
			l.Missing = quiet.Missing
		}
	}
	l.Lag, l.LagKnown = slowest(members, now, func(m member) (time.Duration, bool) { return counts(m, conf, g.members) })
	return nil
}

// counts tells whether m carries data and votes, and how late it is meant to be.
func counts(m member, conf map[string]configured, shown []string) (delay time.Duration, ok bool) {
	if conf == nil {
		return 0, slices.Contains(shown, m.name)
	}
	c := conf[m.name]
	return c.delay, c.votes && !c.arbiter
}

// slowest is the lag of the slowest member for which voter is true; a member
// may lag by the delay that voter returns. ok is false without a primary.
func slowest(members []member, now time.Time, voter func(member) (time.Duration, bool)) (lag time.Duration, ok bool) {
	i := slices.IndexFunc(members, func(m member) bool { return m.state == statePrimary })
	if i < 0 {
		return 0, false
	}
	head := members[i].applied
	for _, m := range members {
		if m.state == statePrimary || m.state == stateRemoved {
			continue
		}
		if delay, yes := voter(m); yes {
			lag = max(lag, m.behind(head, now)-delay)
		}
	}
	return lag, true
}

// behind is how far a member is behind head. Of one that is down, or still
// copies everything, the server does not know: it is at least as far behind as
// it has not been heard of, or as it has been up.
func (m member) behind(head, now time.Time) time.Duration {
	if m.applied.Unix() > 0 {
		return max(0, head.Sub(m.applied))
	}
	silent := m.uptime
	if m.heard.Unix() > 0 {
		silent = max(silent, now.Sub(m.heard))
	}
	return max(silent, time.Second)
}

// membersOf reads the reply of replSetGetStatus.
func membersOf(status bson.Raw) (members []member, now time.Time) {
	now = timeOf(status, "date")
	arr, _ := status.Lookup("members").ArrayOK()
	values, _ := arr.Values()
	for _, v := range values {
		doc, ok := v.DocumentOK()
		if !ok {
			continue
		}
		m := member{applied: timeOf(doc, "optimeDate"), heard: timeOf(doc, "lastHeartbeatRecv")}
		m.name, _ = doc.Lookup("name").StringValueOK()
		m.state, _ = doc.Lookup("state").AsInt64OK()
		up, _ := doc.Lookup("uptime").AsInt64OK()
		m.uptime = time.Duration(up) * time.Second
		members = append(members, m)
	}
	return members, now
}

func timeOf(doc bson.Raw, field string) time.Time {
	ms, ok := doc.Lookup(field).DateTimeOK()
	if !ok {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// configOf reads the reply of replSetGetConfig, by member; nil without one.
func configOf(reply bson.Raw) map[string]configured {
	arr, ok := reply.Lookup("config", "members").ArrayOK()
	if !ok {
		return nil
	}
	all := map[string]configured{}
	values, _ := arr.Values()
	for _, v := range values {
		doc, ok := v.DocumentOK()
		if !ok {
			continue
		}
		var c configured
		votes, _ := doc.Lookup("votes").AsInt64OK()
		c.votes = votes > 0
		c.arbiter, _ = doc.Lookup("arbiterOnly").BooleanOK()
		for _, name := range []string{"secondaryDelaySecs", "slaveDelay"} { // since 5.0; before
			if s, ok := doc.Lookup(name).AsInt64OK(); ok {
				c.delay = time.Duration(s) * time.Second
			}
		}
		name, _ := doc.Lookup("host").StringValueOK()
		all[name] = c
	}
	return all
}

// hiddenAmong tells whether a member with data is not among those shown.
func hiddenAmong(members []member, shown []string) bool {
	return slices.ContainsFunc(members, func(m member) bool {
		return m.state != stateArbiter && m.state != stateRemoved && !slices.Contains(shown, m.name)
	})
}
