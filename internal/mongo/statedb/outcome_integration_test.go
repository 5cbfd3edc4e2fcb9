//go:build integration

package statedb

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/deadletter"
	"sluice/internal/deadletter/deadlettertest"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// failpoint sets one on the server of db; settings are its data.
func failpoint(t testing.TB, db *DB, name string, mode any, settings bson.D) {
	t.Helper()
	cmd := bson.D{{Key: "configureFailPoint", Value: name}, {Key: "mode", Value: mode}, {Key: "data", Value: settings}}
	if err := db.client.Database("admin").RunCommand(context.Background(), cmd).Err(); err != nil {
		t.Fatal(err)
	}
}

func times(n int) bson.D { return bson.D{{Key: "times", Value: n}} }

// TestS3OutcomeUnknown: a save that ends without a clear answer has happened or
// not; Load tells, and saving goes on from there.
func TestS3OutcomeUnknown(t *testing.T) {
	m := start(t, testkit.MongoOptions{FailPoints: true})
	db := openAt(t, m.URI())
	s := db.Checkpoints(flowOf(t, db))
	known := checkpoint.Record{}
	f := func(command string, data string, fail bson.D, happened bool) {
		t.Helper()
		// The driver sends it a second time by itself; so twice.
		failpoint(t, db, "failCommand", times(2), append(bson.D{{Key: "failCommands", Value: bson.A{command}}}, fail...))
		defer failpoint(t, db, "failCommand", "off", bson.D{})
		next := checkpoint.Record{Rev: known.Rev, Fence: 1, Data: []byte(data)}
		if _, err := s.Save(t.Context(), next); flow.ClassOf(err) != flow.Transient {
			t.Errorf("%s %v: %v, want an error that passes", command, fail, err)
		}
		got, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if happened != (string(got.Data) == data) || !happened && got.Rev != known.Rev {
			t.Errorf("%s %v: stored is %q, known was %q", command, fail, got.Data, known.Data)
		}
		known = got
	}
	cut := bson.D{{Key: "closeConnection", Value: true}}
	slow := bson.D{{Key: "errorCode", Value: 262}, {Key: "errorLabels", Value: bson.A{"RetryableWriteError"}}}
	f("insert", "1", cut, false)
	f("insert", "2", slow, false)
	f("insert", "3", unconfirmed(), true)
	f("update", "4", cut, false)
	f("update", "5", slow, false)
	f("update", "6", unconfirmed(), true)
	save(t, s, checkpoint.Record{Rev: known.Rev, Fence: 1, Data: []byte("7")})
}

// unconfirmed: it is written, and the answer says that a majority has not told yet.
func unconfirmed() bson.D {
	return bson.D{{Key: "writeConcernError", Value: bson.D{{Key: "code", Value: 64}, {Key: "errmsg", Value: "waiting for replication timed out"}}}}
}

// TestS7PutIsTriedAgain: letters whose write has failed or not are written
// again, and are there once.
func TestS7PutIsTriedAgain(t *testing.T) {
	m := start(t, testkit.MongoOptions{FailPoints: true})
	db := openAt(t, m.URI())
	s := db.DeadLetters(flowOf(t, db))
	a, b := deadlettertest.Letter("orders", "a", 1), deadlettertest.Letter("orders", "b", 1)
	fail := func(command string, err func() error, data bson.D) {
		t.Helper()
		failpoint(t, db, "failCommand", times(1), append(bson.D{{Key: "failCommands", Value: bson.A{command}}}, data...))
		if err := err(); flow.ClassOf(err) != flow.Transient {
			t.Errorf("%v, want an error that passes", err)
		}
	}
	for _, data := range []bson.D{
		{{Key: "errorCode", Value: 50}},
		unconfirmed(),
	} {
		all := []deadletter.Letter{a, b}
		fail("update", func() error { return s.Put(t.Context(), all) }, data)
		if err := s.Put(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, s); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("letters %q", got)
		}
		keys := []deadletter.Key{a.Key, b.Key}
		fail("delete", func() error { return s.Remove(t.Context(), keys) }, data)
		if err := s.Remove(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, s); len(got) != 0 {
			t.Errorf("letters %q", got)
		}
	}
}

// TestRefusedByAValidator: what the server refuses for the content is not
// tried again for ever.
func TestRefusedByAValidator(t *testing.T) {
	m := start(t, testkit.MongoOptions{})
	db := openAt(t, m.URI())
	never := bson.D{{Key: "validator", Value: bson.D{{Key: "never", Value: true}}}}
	for _, coll := range []string{checkpointsColl, deadLettersColl} {
		if err := db.own.RunCommand(t.Context(), append(bson.D{{Key: "create", Value: coll}}, never...)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Checkpoints("f").Save(t.Context(), checkpoint.Record{Fence: 1}); err == nil || flow.ClassOf(err) != flow.Unknown || errors.Is(err, checkpoint.ErrConflict) {
		t.Errorf("save: %s %v", flow.ClassOf(err), err)
	}
	if err := db.DeadLetters("f").Probe(t.Context()); err == nil || flow.ClassOf(err) != flow.Unknown {
		t.Errorf("probe: %s %v", flow.ClassOf(err), err)
	}
}

// TestMissingRightsAreNamed: the error names the privilege and the role, and
// that role is enough.
func TestMissingRightsAreNamed(t *testing.T) {
	m := start(t, testkit.MongoOptions{Auth: true})
	root := openAt(t, m.URI())
	login := func(name string, privileges bson.A) *DB {
		t.Helper()
		for _, cmd := range []bson.D{
			{{Key: "createRole", Value: name}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: privileges}},
			{{Key: "createUser", Value: name}, {Key: "pwd", Value: "s3cret"}, {Key: "roles", Value: bson.A{name}}},
		} {
			if err := root.client.Database("admin").RunCommand(t.Context(), cmd).Err(); err != nil {
				t.Fatal(err)
			}
		}
		_, rest, _ := strings.Cut(m.URI(), "@")
		return openAt(t, "mongodb://"+name+":s3cret@"+rest)
	}
	on := func(coll string, actions ...any) bson.D {
		return bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: database}, {Key: "collection", Value: coll}}}, {Key: "actions", Value: bson.A(actions)}}
	}
	denied := func(err error, need string) {
		t.Helper()
		if flow.ClassOf(err) != flow.Auth {
			t.Errorf("%s %v", flow.ClassOf(err), err)
			return
		}
		for _, want := range []string{"the user needs " + need, "createRole", `role: "sluiceState"`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("it tells the password: %v", err)
		}
	}
	saveTo := func(db *DB, r checkpoint.Record) (checkpoint.Record, error) {
		return db.Checkpoints("f").Save(t.Context(), r)
	}
	nothing := func(deadletter.Letter) error { return nil }
	poor := login("poor", bson.A{})
	_, err := poor.Checkpoints("f").Load(t.Context())
	denied(err, `find on {db: "sluice", collection: "checkpoints"}`)
	_, err = saveTo(poor, checkpoint.Record{})
	denied(err, `insert on {db: "sluice", collection: "checkpoints"}`)
	denied(poor.DeadLetters("f").Load(t.Context(), nothing), `find on {db: "sluice", collection: "dead_letters"}`)
	denied(poor.DeadLetters("f").Probe(t.Context()), `insert and update on {db: "sluice", collection: "dead_letters"}`)

	half := login("half", bson.A{on(checkpointsColl, "find", "insert"), on(deadLettersColl, "find", "insert", "update")})
	first, err := saveTo(half, checkpoint.Record{Fence: 1, Data: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = saveTo(half, first)
	denied(err, `update on {db: "sluice", collection: "checkpoints"}`)
	denied(half.DeadLetters("f").Probe(t.Context()), `remove on {db: "sluice", collection: "dead_letters"}`)

	var said struct{ Privileges bson.A }
	if err := bson.UnmarshalExtJSON(roleJSON(home{}.role()), false, &said); err != nil {
		t.Fatalf("%v:\n%s", err, home{}.role())
	}
	fit := login("fit", said.Privileges)
	if _, err := saveTo(fit, first); err != nil {
		t.Error(err)
	}
	letters := fit.DeadLetters("f")
	if err := letters.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := letters.Load(t.Context(), nothing); err != nil {
		t.Error(err)
	}
	_, err = Open(t.Context(), Options{URI: strings.Replace(m.URI(), "root:", "nobody:", 1)})
	if flow.ClassOf(err) != flow.Auth {
		t.Errorf("a wrong login: %v", err)
	}
}

// roleJSON makes JSON of the command that the cure prints.
func roleJSON(text string) []byte {
	b := []byte(text)
	b = b[bytes.IndexByte(b, '{') : bytes.LastIndexByte(b, '}')+1]
	for _, k := range []string{"role", "roles", "privileges", "resource", "actions", "db", "collection"} {
		b = bytes.ReplaceAll(b, []byte("{"+k+":"), []byte(`{"`+k+`":`))
		b = bytes.ReplaceAll(b, []byte(" "+k+":"), []byte(` "`+k+`":`))
	}
	return b
}
