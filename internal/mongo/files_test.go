package mongo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/quota"
)

var docFiles = flow.Namespace{DB: "a", Coll: "old.docs.files"}

// bucket is a bucket in memory: chunks by collection and key.
type bucket struct {
	chunks map[string][]bson.Raw
	gone   bool
	mu     sync.Mutex
	pages  int
	// hear, if set, is told of each page before it is read.
	hear func(page int)
	fail error
}

// put keeps data as chunks of size bytes under a key.
func (b *bucket) put(t *testing.T, coll string, id any, data []byte, size int) {
	t.Helper()
	if b.chunks == nil {
		b.chunks = map[string][]bson.Raw{}
	}
	key := coll + " " + rawID(t, id).String()
	b.chunks[key] = nil
	for n := 0; len(data) > 0; n++ {
		part := data[:min(size, len(data))]
		data = data[len(part):]
		b.chunks[key] = append(b.chunks[key], rawOf(t, bson.D{{Key: "n", Value: n}, {Key: "data", Value: part}}))
	}
}

func (b *bucket) page(_ context.Context, q chunkQuery) ([]bson.Raw, error) {
	b.mu.Lock()
	b.pages++
	n := b.pages
	b.mu.Unlock()
	if b.hear != nil {
		b.hear(n)
	}
	if b.fail != nil {
		return nil, b.fail
	}
	var out []bson.Raw
	for _, c := range b.chunks[q.chunks.Coll+" "+q.file.String()] {
		if n, _ := fileNumber(c, "n"); n >= q.from && int64(len(out)) < q.limit {
			out = append(out, c)
		}
	}
	return out, nil
}

// files attaches from the bucket.
func (b *bucket) files(o FilesOptions) *Files {
	o.Field, o.Pipeline, o.Downloaders = "file", "attachment", 3
	if o.Fits == nil {
		o.Fits = func(flow.Namespace) bool { return true }
	}
	if o.Room == 0 {
		o.Room = 64 << 20
	}
	f := (&Source{log: slog.New(slog.DiscardHandler)}).Files(o)
	f.page = b.page
	f.exists = func(context.Context, flow.Namespace, bson.RawValue, bson.Timestamp) (bool, error) {
		return !b.gone, nil
	}
	return f
}

// fileOf is the change that writes the document of a file.
func fileOf(t *testing.T, id, length any, chunkSize int32) flow.Change {
	t.Helper()
	doc := rawOf(t, bson.D{{Key: "_id", Value: id}, {Key: "length", Value: length}, {Key: "chunkSize", Value: chunkSize}})
	return flow.Change{Op: flow.OpWrite, NS: docFiles, ID: rawID(t, id), Doc: doc, Time: tick(5)}
}

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func attach(t *testing.T, f *Files, changes ...flow.Change) []flow.Change {
	t.Helper()
	for rest := changes; len(rest) > 0; {
		n, release, err := f.Attach(t.Context(), rest)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rest[:n] {
			if a := rest[i].Attach; a != nil {
				a.Text = bytes.Clone(a.Text)
				kept := *a
				rest[i].Attach = &kept
			}
		}
		release()
		rest = rest[n:]
	}
	return changes
}

// TestFilesWhole: every file gets its own content, whatever the sizes of its
// chunks, from the bucket whose name has dots.
func TestFilesWhole(t *testing.T) { synctest.Test(t, filesWhole) }

func filesWhole(t *testing.T) {
	var b bucket
	var changes []flow.Change
	want := map[string]string{}
	for i, n := range []int{0, 1, 2, 3, 4, 254, 255, 256, 1000, 3000, 2 << 20} {
		data := content(n)
		for _, size := range []int{1, 2, 7, 255, 1 << 20} {
			if n/size > 4000 {
				continue
			}
			id := fmt.Sprintf("%d in %d", i, size)
			b.put(t, "old.docs.chunks", id, data, size)
			b.put(t, "old.chunks", id, content(n+1), size)
			changes = append(changes, fileOf(t, id, int64(n), int32(size)))
			want[id] = base64.StdEncoding.EncodeToString(data)
		}
	}
	other := fileOf(t, "x", 5, 1)
	other.NS.Coll = "orders"
	del := fileOf(t, "y", 5, 1)
	del.Op = flow.OpDelete
	for _, c := range attach(t, b.files(FilesOptions{Room: 1 << 20}), append(changes, other, del)...) {
		id := c.ID.StringValue()
		text, is := want[id]
		switch {
		case !is && c.Attach != nil:
			t.Errorf("%s of %s gets a file", c.Op, c.NS)
		case is && (c.Attach == nil || c.Attach.Flaw != nil || string(c.Attach.Text) != text):
			t.Errorf("%s: not its content: %+v", id, c.Attach)
		case is && (c.Attach.Field != "file" || c.Attach.Pipeline != "attachment"):
			t.Errorf("%s: %+v", id, c.Attach)
		}
	}
}

// TestFilesTooLarge: the length is looked at before anything is read.
func TestFilesTooLarge(t *testing.T) {
	var b bucket
	b.put(t, "old.docs.chunks", "a", content(5000), 100)
	f := func(o FilesOptions, length any, flaw string, pages bool) {
		t.Helper()
		b.pages = 0
		c := attach(t, b.files(o), fileOf(t, "a", length, 100))[0]
		got := ""
		if c.Attach.Flaw != nil {
			got = c.Attach.Flaw.Reason
		}
		if got != flaw || (b.pages > 0) != pages || (len(c.Attach.Text) > 0) != pages {
			t.Errorf("%+v: flaw %q, want %q; %d reads", o, got, flaw, b.pages)
		}
	}
	f(FilesOptions{MaxSize: 5000}, 5000, "", true)
	f(FilesOptions{MaxSize: 4999}, 5000, "", false)
	f(FilesOptions{MaxSize: 4999}, 5000.0, "", false)
	f(FilesOptions{MaxSize: 10, Carries: 5}, int64(1<<40), "", false)
	f(FilesOptions{Carries: 4999}, 5000, reasonFileTooLarge, false)
	f(FilesOptions{}, int64(1<<40), reasonFileTooLarge, false)
	f(FilesOptions{}, "5000", reasonFileIncomplete, false)
	f(FilesOptions{}, -1, reasonFileIncomplete, false)
	f(FilesOptions{}, 0, "", false)
}

// TestFilesIncomplete: what is not whole is read again, then written without
// content and with a flaw, or left to the delete that is coming.
func TestFilesIncomplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(name string, b *bucket, length int, want flow.Op, flaw string, tries time.Duration) {
			t.Helper()
			began := time.Now()
			c := attach(t, b.files(FilesOptions{}), fileOf(t, "a", length, 100))[0]
			took := time.Since(began)
			switch {
			case c.Op != want || took != tries:
				t.Errorf("%s: %s after %s, want %s after %s", name, c.Op, took, want, tries)
			case want == flow.OpSkip:
				if c.Attach != nil || c.Doc != nil {
					t.Errorf("%s: %+v", name, c)
				}
			case flaw == "":
				if c.Attach.Flaw != nil || len(c.Attach.Text) != base64.StdEncoding.EncodedLen(length) {
					t.Errorf("%s: %v", name, c.Attach.Flaw)
				}
			case c.Attach.Flaw == nil || c.Attach.Text != nil || !strings.Contains(c.Attach.Flaw.Err.Error(), flaw) || c.Attach.Flaw.Outcome != flow.DeadLetter:
				t.Errorf("%s: %+v", name, c.Attach.Flaw)
			}
		}
		const all = filePause + 4*filePause
		whole := func() *bucket {
			b := &bucket{}
			b.put(t, "old.docs.chunks", "a", content(950), 100)
			return b
		}
		key := "old.docs.chunks " + rawID(t, "a").String()
		f("whole", whole(), 950, flow.OpWrite, "", 0)
		f("none", &bucket{}, 950, flow.OpWrite, "chunk 0 is missing: 0 of 950", all)
		f("gone", &bucket{gone: true}, 950, flow.OpSkip, "", all)
		b := whole()
		b.chunks[key] = append(b.chunks[key][:3:3], b.chunks[key][4:]...)
		f("one lacks", b, 950, flow.OpWrite, "chunk 3 is missing", all)
		b = whole()
		b.chunks[key] = b.chunks[key][:9]
		f("the last lacks", b, 950, flow.OpWrite, "chunk 9 is missing: 900 of 950", all)
		f("more", whole(), 949, flow.OpWrite, "hold more than the 949 bytes", all)
		b = whole()
		b.chunks[key][2] = rawOf(t, bson.D{{Key: "n", Value: 2}})
		f("no data", b, 950, flow.OpWrite, "chunk 2 has no data", all)
		late, full := whole(), whole().chunks[key]
		late.chunks[key] = full[:4]
		late.hear = func(page int) {
			if page > 2 {
				late.chunks[key] = full
			}
		}
		f("it comes late", late, 950, flow.OpWrite, "", filePause)
	})
}

// TestFilesRoom: what is held stays within the room, is given back whatever
// happens, and is waited for only with empty hands.
func TestFilesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		b.put(t, "old.docs.chunks", "a", content(30_000), 1000)
		const cost = fileCopies*40_000 + fileCost
		f := b.files(FilesOptions{Room: 8 * cost})
		changes := make([]flow.Change, 5)
		for i := range changes {
			changes[i] = fileOf(t, "a", 30_000, 1000)
		}
		n, release, err := f.Attach(t.Context(), changes)
		if n != 2 || err != nil {
			t.Fatalf("a quarter of the room has %d files, %v", n, err)
		}
		var others []func()
		for range 3 {
			n, more, err := f.Attach(t.Context(), changes)
			if n != 2 || err != nil {
				t.Fatal(n, err)
			}
			others = append(others, more)
		}
		got := make(chan int)
		go func() {
			n, more, _ := f.Attach(t.Context(), slices.Clone(changes))
			got <- n
			more()
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("there was no room")
		default:
		}
		release()
		if changes[0].Attach == nil || <-got != 2 {
			t.Error("what was given back is not used")
		}
		for _, more := range others {
			more()
		}
		b.fail = &flow.Error{Op: "read", Class: flow.Transient, Err: errors.New("cut")}
		if _, _, err := f.Attach(t.Context(), changes); flow.ClassOf(err) != flow.Transient {
			t.Error(err)
		}
		if !f.room.TryAcquire(8 * cost) {
			t.Error("room is lost after an error")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errEnd)
		if _, _, err := f.Attach(ctx, changes); !errors.Is(err, errEnd) {
			t.Error(err)
		}
		f.room = quota.New(1)
		b.fail = nil
		if n, release, err := f.Attach(t.Context(), changes); n != 1 || err != nil {
			t.Error("a file larger than the room goes alone", n, err)
		} else {
			release()
		}
	})
}

var errEnd = errors.New("the end")

func TestFilesNames(t *testing.T) {
	for coll, want := range map[string]string{"fs.files": "fs.chunks", "a.files.files": "a.files.chunks", "my.files.old.files": "my.files.old.chunks"} {
		ns := flow.Namespace{DB: "a", Coll: coll}
		if got := chunksOf(ns); !IsFiles(ns) || got.Coll != want || got.DB != "a" {
			t.Errorf("%s: %s, want %s", coll, got, want)
		}
	}
	for _, coll := range []string{"files", ".files", "fs.file", "fs.files.x"} {
		if IsFiles(flow.Namespace{DB: "a", Coll: coll}) {
			t.Errorf("%s is taken for files", coll)
		}
	}
}

func TestFilesBinary(t *testing.T) {
	old := rawOf(t, bson.D{{Key: "n", Value: 0.0}, {Key: "data", Value: bson.Binary{Subtype: 2, Data: []byte("abc")}}})
	if got, err := chunkData(old, 0); string(got) != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := chunkData(bson.Raw{1, 2}, 0); flow.ClassOf(err) != flow.Unknown && flow.ClassOf(err) != flow.Fatal {
		t.Error(err)
	}
}

// TestFilesBase64 writes pieces of any size.
func TestFilesBase64(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		data := content(r.IntN(400))
		text := base64Text{dst: make([]byte, 0, base64.StdEncoding.EncodedLen(len(data)))}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), r.IntN(9))
			text.write(rest[:n])
			rest = rest[n:]
		}
		if got, want := string(text.end()), base64.StdEncoding.EncodeToString(data); got != want || text.read != int64(len(data)) {
			t.Fatalf("%d bytes: %s, want %s", len(data), got, want)
		}
	}
}

// TestS8FilesReadAfterTheEvent: the chunks are read not before the event that
// asked for them, by the key of the file.
func TestS8FilesReadAfterTheEvent(t *testing.T) {
	srv := newScripted(t)
	s := openScripted(t, srv, Options{})
	before := len(srv.Commands("find"))
	if _, err := s.readChunks(t.Context(), chunkQuery{chunks: chunksOf(docFiles), file: rawID(t, "x"), from: 4, limit: 2, after: tick(9)}); err != nil {
		t.Fatal(err)
	}
	cmd := srv.Commands("find")[before].Doc
	concern := cmd.Lookup("readConcern").Document()
	time, inc, _ := concern.Lookup("afterClusterTime").TimestampOK()
	if concern.Lookup("level").StringValue() != "majority" || !tick(9).Equal(bson.Timestamp{T: time, I: inc}) {
		t.Errorf("read by %s", concern)
	}
	filter := cmd.Lookup("filter").Document()
	if cmd.Lookup("find").StringValue() != "old.docs.chunks" || filter.Lookup("files_id", "$eq").StringValue() != "x" || filter.Lookup("n", "$gte").AsInt64() != 4 {
		t.Errorf("asked for %s", cmd)
	}
}

// TestFilesPages: what a kill repeats of a copy is a page, so those of files are
// short.
func TestFilesPages(t *testing.T) {
	s := bareSource(t, Options{Files: func(ns flow.Namespace) bool { return ns == docFiles }})
	s.opts.Snapshot.BatchBytes = 1 << 20
	m := newCopies(s)
	if n := m.pageDocs(&nsCopy{ns: docFiles, avg: 200}); n != maxPageFiles {
		t.Errorf("a page has %d files", n)
	}
	if n := m.pageDocs(&nsCopy{ns: scriptedNS, avg: 200}); n < 5000 {
		t.Errorf("a page has %d other documents", n)
	}
}
