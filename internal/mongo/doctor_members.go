package mongo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/flow"
)

// commitPatience is how long a majority may take to have what the primary has.
const commitPatience = 5 * time.Second

// majority looks for a primary, and waits until a majority has what the primary
// has now: a change stream never gets past that (rule S9). It is false without a
// primary or a majority: whatever else is tried would wait in vain.
func (d *Doctor) majority(ctx context.Context, f *flow.Findings) (works bool) {
	const check = "mongodb.majority"
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	var at bson.Timestamp
	ask := func() (bson.Raw, error) {
		return d.client.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}, {Key: "$replData", Value: 1}},
			options.RunCmd().SetReadPreference(readpref.Primary())).Raw()
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(commitPatience); ; {
		raw, err := ask()
		if err != nil {
			f.Add(flow.FindingError, check, d.uri, "the replica set has no primary that answers", firstLine(err.Error()),
				"bring back enough members for a majority (rs.status() in mongosh shows them), or name all hosts in mongodb.uri")
			return false
		}
		if at.IsZero() {
			at.T, at.I, _ = raw.Lookup("operationTime").TimestampOK()
		}
		t, i, ok := raw.Lookup("$replData", "lastOpCommitted", "ts").TimestampOK()
		committed := bson.Timestamp{T: t, I: i}
		if !ok || !committed.Before(at) {
			f.OK(check, d.uri, "a majority has what the primary has")
			return true
		}
		if time.Now().After(end) {
			f.Add(flow.FindingError, check, d.uri, fmt.Sprintf("no majority of the members has taken over what the primary wrote within %s", commitPatience),
				"change streams show only what a majority has: nothing would arrive, without an error",
				"bring back the members that are down or far behind (rs.status() in mongosh); a set with an arbiter stalls when one of its two data members is down")
			return false
		}
		<-tick.C
	}
}

// members tells which of them are not well.
func (d *Doctor) members(ctx context.Context, f *flow.Findings) {
	const check = "mongodb.members"
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	raw, err := d.client.Database("admin").RunCommand(ctx, bson.D{{Key: "replSetGetStatus", Value: 1}}, anyMember()).Raw()
	var all, ill []string
	if err == nil {
		all, ill = memberStates(raw)
	} else {
		all, ill = d.askMembers(ctx)
	}
	if len(ill) == 0 {
		if len(all) > 0 {
			f.OK(check, d.uri, "all %d members are well", len(all))
		}
		return
	}
	f.Add(flow.FindingWarning, check, strings.Join(ill, ", "), fmt.Sprintf("%d of %d members are not well: %s", len(ill), len(all), strings.Join(ill, ", ")),
		"one more failure may leave no majority, and then nothing is read", "look at these members: rs.status() in mongosh, and their logs")
}

// memberStates reads the reply of replSetGetStatus.
func memberStates(status bson.Raw) (all, ill []string) {
	arr, _ := status.Lookup("members").ArrayOK()
	values, _ := arr.Values()
	for _, v := range values {
		m, ok := v.DocumentOK()
		if !ok {
			continue
		}
		name, _ := m.Lookup("name").StringValueOK()
		state, _ := m.Lookup("state").AsInt64OK()
		text, _ := m.Lookup("stateStr").StringValueOK()
		all = append(all, name)
		switch state {
		case 1, 2, 7, 10: // primary, secondary, arbiter, removed
		default:
			ill = append(ill, name+" ("+text+")")
		}
	}
	return all, ill
}

// askMembers is for who may not ask for the status: each member that hello
// shows is asked itself.
func (d *Doctor) askMembers(ctx context.Context) (all, ill []string) {
	raw, err := d.client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}, anyMember()).Raw()
	if err != nil {
		return nil, nil
	}
	arr, _ := raw.Lookup("hosts").ArrayOK()
	values, _ := arr.Values()
	for _, v := range values {
		host, _ := v.StringValueOK()
		all = append(all, host)
		if _, ok := helloOf(ctx, d.co, host); !ok {
			ill = append(ill, host+" (does not answer)")
		}
	}
	return all, ill
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
