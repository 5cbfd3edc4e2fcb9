//go:build integration

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit"
	"sluice/internal/web"
)

// command asks a running App as its HTTP server does.
func command[T any](t *testing.T, a *App, c web.FlowCommand) T {
	t.Helper()
	told, err := tryCommand(t, a, c)
	if err != nil {
		t.Fatalf("%s: %v", c.Verb, err)
	}
	out, ok := told.(T)
	if !ok {
		t.Fatalf("%s told %T", c.Verb, told)
	}
	return out
}

func tryCommand(t *testing.T, a *App, c web.FlowCommand) (any, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c.Flow = a.flows[0].cfg.Name
	return flowCommands{a}.Command(ctx, c)
}

// names is the field name of the documents of the index, by id.
func (s stage) names(ctx context.Context, coll string) (map[string]string, error) {
	base := s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll
	if err := ask(ctx, http.MethodPost, base+"/_refresh", "", nil); err != nil {
		return nil, err
	}
	var found struct {
		Hits struct {
			Hits []struct {
				ID     string         `json:"_id"`
				Source map[string]any `json:"_source"`
			}
		}
	}
	if err := ask(ctx, http.MethodPost, base+"/_search?size=1000", "", &found); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, h := range found.Hits.Hits {
		out[h.ID] = fmt.Sprint(h.Source["name"])
	}
	return out, nil
}

// wantNames waits until the index holds exactly that.
func (s stage) wantNames(t *testing.T, coll string, want map[string]string) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		have, err := s.names(t.Context(), coll)
		if err != nil {
			return err
		}
		if fmt.Sprint(have) != fmt.Sprint(want) {
			return fmt.Errorf("the index has %v, want %v", have, want)
		}
		return nil
	})
}

// conflicted is a flow of documents of which 2, 3 and 4 don't fit the mapping:
// of n, which is a number, they have a word.
func conflicted(t *testing.T) (s stage, a *App, stop func() error) {
	t.Helper()
	s = newStage(t)
	s.cfg.Flows[0].Mappings = []byte(`{"properties":{"n":{"type":"long"}}}`)
	s.put(t, "a", 0, 2, "first")
	a, stop = run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	for i := 2; i < 5; i++ {
		s.set(t, i, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: "word"}, {Key: "name", Value: "bad"}})
	}
	s.put(t, "a", 5, 6, "first")
	s.wantNames(t, "a", map[string]string{"0": "first", "1": "first", "5": "first"})
	s.wantLetters(t, a, 3)
	return s, a, stop
}

// set inserts or replaces a document of a.
func (s stage) set(t *testing.T, id int, doc bson.D) {
	t.Helper()
	if _, err := s.db.Collection("a").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Collection("a").InsertOne(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
}

func (s stage) wantLetters(t *testing.T, a *App, want int) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		if n := a.flows[0].letters.Count(); n != want {
			return fmt.Errorf("%d letters are open, want %d", n, want)
		}
		return nil
	})
}

// mend lets the mapping take words for numbers.
func (s stage) mend(t *testing.T) {
	t.Helper()
	err := ask(t.Context(), http.MethodPut, s.cfg.Search.URLs[0]+"/"+s.db.Name()+".a/_mapping", `{"properties":{"n":{"type":"long","ignore_malformed":true}}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// plant puts a document into the index that MongoDB does not have.
func (s stage) plant(t *testing.T, id, name string) {
	t.Helper()
	err := ask(t.Context(), http.MethodPut, s.cfg.Search.URLs[0]+"/"+s.db.Name()+".a/_doc/"+id+"?version=1&version_type=external_gte&refresh=true",
		`{"name":"`+name+`"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// TestS7RetryWritesWhatIsThereNow: documents that the mapping can't take are dead
// letters, and all else flows; tried again too early they are letters anew; with
// the mapping mended they are written as they are now.
func TestS7RetryWritesWhatIsThereNow(t *testing.T) {
	s, a, stop := conflicted(t)
	list := command[DeadLetterList](t, a, web.FlowCommand{Verb: web.FlowLetters, Errors: true})
	if list.Total != 3 || list.Letters[0].Error == "" || list.Letters[0].Reason == "" {
		t.Errorf("%+v", list)
	}
	early := command[DeadLetterRetry](t, a, web.FlowCommand{Verb: web.FlowRetry, Keys: []string{"2"}})
	if early.Tried != 1 || early.Closed != 0 || early.Open[list.Letters[0].Reason] != 1 {
		t.Errorf("before the mapping is mended: %+v", early)
	}
	again := command[DeadLetterList](t, a, web.FlowCommand{Verb: web.FlowLetters, Keys: []string{"2"}})
	if again.Total != 1 || !again.Letters[0].At.After(early.Before) {
		t.Errorf("a letter that failed again: %+v, tried before %s", again, early.Before)
	}
	s.mend(t)
	// A flow that pauses reads nothing, for a retry neither.
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowPause, Reason: "test"})
	if _, err := tryCommand(t, a, web.FlowCommand{Verb: web.FlowRetry}); flow.ClassOf(err) != flow.Conflict {
		t.Errorf("a retry while paused: %v", err)
	}
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowResume})
	late := command[DeadLetterRetry](t, a, web.FlowCommand{Verb: web.FlowRetry, NS: s.db.Name() + ".a"})
	if late.Tried != 3 || late.Closed != 3 || len(late.Open) != 0 || late.Missing != 0 {
		t.Errorf("after: %+v", late)
	}
	s.wantNames(t, "a", map[string]string{"0": "first", "1": "first", "2": "bad", "3": "bad", "4": "bad", "5": "first"})
	s.wantLetters(t, a, 0)
	// The flow goes on from where it was: newer changes win over what was repaired.
	s.put(t, "a", 2, 4, "second")
	s.wantNames(t, "a", map[string]string{"0": "first", "1": "first", "2": "second", "3": "second", "4": "bad", "5": "first"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestS13RetryRevivesNothing: with no process running, the document of one letter
// changes and that of another is deleted; the retry writes the first as it is
// now and closes the second without it. What the stream brings later of all that
// changes nothing.
func TestS13RetryRevivesNothing(t *testing.T) {
	s, _, stop := conflicted(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.mend(t)
	s.set(t, 2, bson.D{{Key: "_id", Value: 2}, {Key: "n", Value: 2}, {Key: "name", Value: "now"}})
	if _, err := s.db.Collection("a").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 3}}); err != nil {
		t.Fatal(err)
	}
	s.plant(t, "3", "an older one")
	o := RestOptions{Config: s.cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Sure: true}
	doc, err := CurrentDocument(t.Context(), o, DeadLetter{Namespace: s.db.Name() + ".a", ID: []byte("3")})
	if err != nil || string(doc) != "null" {
		t.Errorf("%s, %v", doc, err)
	}
	if doc, err = CurrentDocument(t.Context(), o, DeadLetter{Namespace: s.db.Name() + ".a", ID: []byte("2")}); err != nil || len(doc) < 10 {
		t.Errorf("%s, %v", doc, err)
	}
	done, err := RetryDeadLetters(t.Context(), o, LetterFilter{Keys: []string{"2", "3"}})
	if err != nil || done.Tried != 2 || done.Closed != 2 || done.Missing != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	want := map[string]string{"0": "first", "1": "first", "2": "now", "5": "first"}
	s.wantNames(t, "a", want)
	if list, err := DeadLetters(t.Context(), o, LetterFilter{}); err != nil || list.Total != 1 || list.Letters[0].Key != "4" {
		t.Errorf("%+v, %v", list, err)
	}
	if gone, err := DropDeadLetters(t.Context(), o, LetterFilter{Keys: []string{"4"}}, false); err != nil || gone.Dropped != 1 {
		t.Errorf("%+v, %v", gone, err)
	}
	a, stop := run(t, Options{Config: s.cfg})
	s.put(t, "a", 6, 7, "last")
	want["6"] = "last"
	s.wantNames(t, "a", want)
	s.wantLetters(t, a, 0)
	// A process that runs has the flow for itself.
	if _, err := RetryDeadLetters(t.Context(), o, LetterFilter{}); flow.ClassOf(err) != flow.Conflict {
		t.Errorf("beside a running process: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestS13ResyncInPlace: a resync of a key mends that key alone; one of the
// namespace mends all of it and takes the ghosts out, while the stream goes on.
func TestS13ResyncInPlace(t *testing.T) {
	s := newStage(t)
	s.put(t, "a", 0, 50, "true")
	s.put(t, "b", 0, 5, "true")
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	want := map[string]string{}
	for i := range 50 {
		want[fmt.Sprint(i)] = "true"
	}
	s.wantNames(t, "a", want)
	ns := s.db.Name() + ".a"
	s.plant(t, "1000", "ghost")
	s.plant(t, "1001", "ghost")
	for _, id := range []string{"7", "8"} { // somebody took them out of the index
		if err := ask(t.Context(), http.MethodDelete, s.cfg.Search.URLs[0]+"/"+ns+"/_doc/"+id, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	// The engine has given those deletes the version after the documents' own; on an
	// idle server that may be the version of now.
	s.put(t, "b", 5, 6, "true")
	done := command[Resynced](t, a, web.FlowCommand{Verb: web.FlowResync, NS: ns, Keys: []string{"7", "1000"}})
	if done.Written != 1 || done.Missing != 1 {
		t.Errorf("%+v", done)
	}
	delete(want, "8")
	want["1001"] = "ghost"
	s.wantNames(t, "a", want)
	for _, bad := range []string{"nonsense", s.db.Name() + ".other"} {
		if _, err := tryCommand(t, a, web.FlowCommand{Verb: web.FlowResync, NS: bad}); flow.ClassOf(err) != flow.Config {
			t.Errorf("%s: %v", bad, err)
		}
	}
	read := a.Status().SnapshotRead()
	if got := command[Resynced](t, a, web.FlowCommand{Verb: web.FlowResync, NS: ns}); !got.Started {
		t.Errorf("%+v", got)
	}
	s.put(t, "a", 50, 60, "while it is copied")
	want["8"] = "true"
	delete(want, "1001")
	for i := 50; i < 60; i++ {
		want[fmt.Sprint(i)] = "while it is copied"
	}
	s.wantNames(t, "a", want)
	testkit.Eventually(t, time.Minute, copied(a))
	if more := a.Status().SnapshotRead() - read; more < 50 || more > 60 {
		t.Errorf("%d documents were copied; those of b are none of them", more)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestS9PauseAndResume: a flow that pauses writes nothing and goes on from its
// position; of a flow whose one namespace pauses the other goes on, and what
// changed meanwhile is there afterwards, deletes too, also after a restart.
func TestS9PauseAndResume(t *testing.T) {
	s := newStage(t)
	s.put(t, "a", 0, 3, "one")
	s.put(t, "b", 0, 1, "one")
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowPause, Reason: "a test"})
	if st := a.Status().Flows[0]; st.Paused != "a test" {
		t.Errorf("%+v", st)
	}
	settled := a.Status().Settled()
	s.put(t, "a", 0, 3, "two")
	testkit.Eventually(t, time.Minute, func() error { // until the server is past it, well seen by all
		p := a.flows[0].source.Progress()
		if p.ServerTime.T < p.SettledTime.T+2 {
			return errors.New("not yet")
		}
		return nil
	})
	if n := a.Status().Settled(); n != settled {
		t.Errorf("%d changes settled while paused", n-settled)
	}
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowResume})
	s.wantNames(t, "a", map[string]string{"0": "two", "1": "two", "2": "two"})

	ns := s.db.Name() + ".a"
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowPause, NS: ns})
	s.put(t, "a", 0, 1, "three")
	s.remove(t, "a", idsFrom(1, 2))
	s.put(t, "b", 0, 1, "three")
	s.wantNames(t, "b", map[string]string{"0": "three"})
	s.wantNames(t, "a", map[string]string{"0": "two", "1": "two", "2": "two"})
	if _, err := tryCommand(t, a, web.FlowCommand{Verb: web.FlowResync, NS: ns}); flow.ClassOf(err) != flow.Conflict {
		t.Errorf("a resync of what pauses: %v", err)
	}
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowResume, NS: ns})
	s.wantNames(t, "a", map[string]string{"0": "three", "2": "two"})
	testkit.Eventually(t, time.Minute, copied(a))

	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowPause, NS: ns})
	s.put(t, "a", 0, 1, "four")
	s.remove(t, "a", idsFrom(2, 3))
	s.put(t, "b", 0, 1, "four")
	s.wantNames(t, "b", map[string]string{"0": "four"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	a, stop = run(t, Options{Config: s.cfg})
	s.wantNames(t, "a", map[string]string{"0": "four"})
	testkit.Eventually(t, time.Minute, copied(a))
	// And it drains while it is paused.
	command[FlowCommanded](t, a, web.FlowCommand{Verb: web.FlowPause})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
