package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
)

// attributorFunc is an Attributor in one function.
type attributorFunc func(ctx context.Context, changes []flow.Change) error

func (f attributorFunc) Attribute(ctx context.Context, changes []flow.Change) error {
	return f(ctx, changes)
}

// byArchive is an archive's delete before it is attributed.
func byArchive(id any, n int) flow.Change {
	c := remove(id, n)
	c.Session, c.Txn = [16]byte{1}, true
	return c
}

var theArchive = &flow.Archived{Rule: "old", Object: "s3://cold/1", At: time.Unix(1, 0)}

// knowsTheArchive attributes by the session.
func knowsTheArchive(_ context.Context, changes []flow.Change) error {
	for i := range changes {
		if c := &changes[i]; c.Op == flow.OpDelete && c.Session == [16]byte{1} {
			c.Archived = theArchive
		}
	}
	return nil
}

// TestA5AttributedBeforeTheLanes: deletes are attributed before anything of
// their batch is sent, again and again until the ledger answers; batches without
// deletes ask nobody.
func TestA5AttributedBeforeTheLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		tries := 0
		ask := func(ctx context.Context, changes []flow.Change) error {
			if changes[0].Op != flow.OpDelete {
				t.Errorf("asked about %v", changes[0])
			}
			if tries++; tries < 4 {
				if sent := rec.text(); sent != "" {
					t.Errorf("sent %q before it was known", sent)
				}
				return transient("no primary")
			}
			return knowsTheArchive(ctx, changes)
		}
		src := &fakeSource{batches: []flow.Batch{batchOf(write("b", 4), byArchive("a", 5), remove("c", 6)), batchOf(write("d", 7))}}
		p := New(Options{Stream: src, Sink: rec, Lanes: 1, Attributor: attributorFunc(ask)})
		if err := p.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.ReplaceAll(rec.text(), "| ", ""), "write b@4 delete a@5 delete c@6 write d@7"; got != want || tries != 4 {
			t.Fatalf("sent %q after %d tries, want %q", got, tries, want)
		}
		for _, c := range rec.sends[0] {
			if (c.Archived != nil) != (c.Session == [16]byte{1}) {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestA5NoGuess: without an answer nothing is written, and the batch is not settled.
func TestA5NoGuess(t *testing.T) {
	no := &flow.Error{Op: "look up", Class: flow.Auth, Err: errors.New("not authorized")}
	rec := &recorder{}
	src := &fakeSource{batches: []flow.Batch{batchOf(remove("a", 5))}}
	p := New(Options{Stream: src, Sink: rec, Attributor: attributorFunc(func(context.Context, []flow.Change) error { return no })})
	if err := p.Run(t.Context(), nil); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if acks := src.acked(0); rec.text() != "" || len(acks) != 1 || acks[0] == nil {
		t.Errorf("sent %q, acks %v", rec.text(), acks)
	}
}

// combinedOf merges changes as a lane does.
func combinedOf(changes ...flow.Change) flow.Change {
	c := changes[0]
	for i := range changes[1:] {
		c = combined(&c, &changes[i+1])
	}
	return c
}

func reread(id any, n int) flow.Change {
	c := write(id, n)
	c.Op, c.Doc = flow.OpReread, nil
	return c
}

func archived(id any, n int) flow.Change {
	c := byArchive(id, n)
	c.Archived = theArchive
	return c
}

// TestA5Fold: what several changes of a key in one batch come to.
func TestA5Fold(t *testing.T) {
	f := func(name, want string, changes ...flow.Change) {
		t.Helper()
		c := combinedOf(changes...)
		got := c.Op.String()
		if c.Op == flow.OpDelete && c.Archived != nil {
			got = "archived"
		}
		if c.Doc != nil {
			got += " " + string(c.Doc)
		}
		if c.MissingIsDelete {
			got += " missing"
		}
		if got != want || c.Version != changes[len(changes)-1].Version {
			t.Errorf("%s: %s@%d, want %s", name, got, c.Version, want)
		}
	}
	filtered := reread("a", 5)
	filtered.MissingIsDelete = true
	f("live again", "write doc 6", archived("a", 5), write("a", 6))
	f("live again, to be read", "reread", archived("a", 5), reread("a", 6))
	f("updated, archived", "archived", reread("a", 5), archived("a", 6))
	f("written, archived", "archived doc 5", write("a", 5), archived("a", 6))
	f("written, updated, archived", "archived doc 5", write("a", 5), reread("a", 6), archived("a", 7))
	f("the same event twice", "archived doc 5", write("a", 5), archived("a", 6), archived("a", 6))
	f("a later user's delete", "delete doc 6", archived("a", 5), write("a", 6), remove("a", 7))
	f("a user's delete of what was there", "delete", archived("a", 5), reread("a", 6), remove("a", 7))
	f("archived after a user's delete", "archived doc 6", remove("a", 5), write("a", 6), archived("a", 7))
	f("the index holds what a user deleted", "archived missing", remove("a", 5), reread("a", 6), archived("a", 7))
	f("it may have left the filter", "archived missing", filtered, archived("a", 7))
	f("written after a filter's doubt", "write doc 6", filtered, write("a", 6))
	f("a user's delete is not forgotten", "reread missing", remove("a", 5), reread("a", 6))
	f("written, updated", "reread doc 5", write("a", 5), reread("a", 6))
}

// coldWorld is a collection with an archive, and an index that marks what was archived.
type coldWorld struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	fault string
	now   map[string]string // what MongoDB has
	index map[string]coldDoc
}

// coldDoc is a document of the index, or with doc "" the memory of a delete.
type coldDoc struct {
	version int64
	doc     string
	mark    bool
}

// Write is an engine behind a sink with on.delete: remove and on.archive: mark.
func (w *coldWorld) Write(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
	w.mu.Lock()
	pause := time.Duration(w.rnd.IntN(500)) * time.Millisecond
	w.mu.Unlock()
	<-time.After(pause)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range b.Changes {
		c := &b.Changes[i]
		k := indexID(c)
		old := w.index[k]
		switch {
		case c.Op == flow.OpSkip || c.Version < old.version:
		case c.Op == flow.OpWrite:
			w.index[k] = coldDoc{c.Version, string(c.Doc), false}
		case c.Archived != nil && c.Doc != nil:
			w.index[k] = coldDoc{c.Version, string(c.Doc), true}
		case c.Archived != nil && !c.MissingIsDelete:
			w.index[k] = coldDoc{c.Version, old.doc, old.doc != ""}
		default:
			w.index[k] = coldDoc{version: c.Version}
		}
	}
	return allDone(b), nil
}

// Apply is the re-read: all of the stream has happened already.
func (w *coldWorld) Apply(_ context.Context, b flow.Batch) (flow.Batch, error) {
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Op != flow.OpReread {
			continue
		}
		switch doc := w.now[indexID(c)]; {
		case doc != "":
			c.Op, c.Doc = flow.OpWrite, bson.Raw(doc)
		case c.MissingIsDelete:
			c.Op = flow.OpDelete
		case c.Doc != nil:
			c.Op = flow.OpWrite
		default:
			c.Op = flow.OpSkip
		}
	}
	return b, nil
}

// life is what the model knows of one key.
type life struct {
	live, byArchive bool
	whole           bool     // this life began with an event that brought the document
	docs            []string // of this life, as far as events brought them
}

// TestA5Model: however the changes of a key are cut into batches and merged, at
// the end the index holds what is live, marks what the archive took, with a
// document of that life, and has nothing of what a user deleted.
func TestA5Model(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &coldWorld{
			rnd: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3)),
			now: map[string]string{}, index: map[string]coldDoc{},
		}
		lives := map[string]*life{}
		stream := w.stream(rt, lives)
		lanes := rapid.IntRange(1, 3).Draw(rt, "lanes")
		synctest.Test(t, func(*testing.T) {
			src := &fakeSource{batches: stream}
			p := New(Options{Stream: src, Sink: w, Reread: w, Lanes: lanes, Attributor: attributorFunc(knowsTheArchive)})
			if err := p.Run(context.Background(), nil); err != nil {
				w.fault = err.Error()
			}
		})
		if w.fault != "" {
			rt.Fatal(w.fault)
		}
		for k, l := range lives {
			have := w.index[k]
			switch {
			case l.live && (have.doc != w.now[k] || have.mark):
				rt.Errorf("%s is live as %q, the index has %+v", k, w.now[k], have)
			case !l.live && !l.byArchive && have.doc != "":
				rt.Errorf("a user deleted %s, the index has %+v", k, have)
			case !l.live && l.byArchive && have.doc != "" && (!have.mark || !slices.Contains(l.docs, have.doc)):
				rt.Errorf("the archive took %s, the index has %+v; its documents were %v", k, have, l.docs)
			case !l.live && l.byArchive && l.whole && have.doc == "":
				rt.Errorf("the archive took %s, and the index has lost it", k)
			}
		}
	})
}

// stream draws the events of a few keys.
func (w *coldWorld) stream(t *rapid.T, lives map[string]*life) (out []flow.Batch) {
	var b flow.Batch
	for n := range rapid.IntRange(1, 60).Draw(t, "events") {
		id := rapid.IntRange(0, 2).Draw(t, "key")
		c := write(fmt.Sprint(id), n+1)
		k := indexID(&c)
		l := lives[k]
		if l == nil {
			l = &life{}
			lives[k] = l
		}
		doc := string(c.Doc)
		op := rapid.IntRange(0, 2).Draw(t, "op")
		switch {
		case !l.live:
			*l = life{live: true, whole: op > 0, docs: []string{doc}}
			w.now[k] = doc
			if !l.whole { // an insert without its document: too large, say
				c.Op, c.Doc, c.MissingIsDelete = flow.OpReread, nil, true
			}
		case op == 0:
			l.docs = append(l.docs, doc)
			w.now[k] = doc
			c.Op, c.Doc = flow.OpReread, nil
		default:
			l.live, l.byArchive = false, op == 1
			delete(w.now, k)
			if c = remove(fmt.Sprint(id), n+1); l.byArchive {
				c = byArchive(fmt.Sprint(id), n+1)
			}
		}
		b.Changes = append(b.Changes, c)
		if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
			out = append(out, batchOf(b.Changes...))
			b = flow.Batch{}
		}
	}
	if len(b.Changes) > 0 {
		out = append(out, batchOf(b.Changes...))
	}
	return out
}

// TestA5GhostsAreNotArchived: what an archive holds is no ghost; it goes to the
// sink as the archive's own delete.
func TestA5GhostsAreNotArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		tries := 0
		g := Ghosts{
			Scan: func(_ context.Context, _ flow.Namespace, page func([]string) error) error {
				return page([]string{textOf(int32(1)), textOf(int32(2)), textOf(int32(3))})
			},
			Missing: func(_ context.Context, _ flow.Namespace, ids []bson.RawValue) ([]bson.RawValue, bson.Timestamp, error) {
				return ids[1:], at(9), nil
			},
			Archived: func(_ context.Context, _ flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error) {
				if tries++; tries == 1 {
					return nil, transient("bucket")
				}
				return []*flow.Archived{theArchive, nil}[:len(ids)], nil
			},
			Write: rec,
		}
		if n, err := g.Remove(t.Context(), shop); n != 1 || err != nil {
			t.Errorf("removed %d, %v", n, err)
		}
		if got := rec.text(); got != "delete 2@9 delete 3@9" || rec.sends[0][0].Archived != theArchive || rec.sends[0][1].Archived != nil {
			t.Errorf("sent %q: %+v", got, rec.sends)
		}
		g.Archived = func(context.Context, flow.Namespace, []bson.RawValue) ([]*flow.Archived, error) { return nil, nil }
		if _, err := g.Remove(t.Context(), shop); err == nil {
			t.Error("too few answers are no error")
		}
	})
}
