//go:build integration

package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
	"sluice/internal/web"
)

// standIn stands for the pipeline that reads text: it tells how much base64 came.
const standIn = `{"processors":[{"script":{"source":"ctx.attachment = ['content_length': ctx.file.length()]"}}]}`

// buckets is the buckets of a database.
type buckets struct {
	stage
	t *testing.T
	// files has what each should hold, by bucket and key; nil: no content, as said.
	files map[string]map[string][]byte
}

func newBuckets(t *testing.T, s stage) *buckets {
	return &buckets{stage: s, t: t, files: map[string]map[string][]byte{}}
}

func (l *buckets) bucket(name string) *driver.GridFSBucket {
	return l.db.GridFSBucket(options.GridFSBucket().SetName(name).SetChunkSizeBytes(1000))
}

// upload puts a file into a bucket.
func (l *buckets) upload(bucket, id string, data []byte) {
	l.t.Helper()
	if err := l.bucket(bucket).UploadFromStreamWithID(l.t.Context(), id, id+".txt", bytes.NewReader(data)); err != nil {
		l.t.Fatal(err)
	}
	if l.files[bucket] == nil {
		l.files[bucket] = map[string][]byte{}
	}
	l.files[bucket][id] = data
}

func (l *buckets) remove(bucket, id string) {
	l.t.Helper()
	if err := l.bucket(bucket).Delete(l.t.Context(), id); err != nil {
		l.t.Fatal(err)
	}
	delete(l.files[bucket], id)
}

// shelf is the documents of a collection in the index.
func (l *buckets) shelf(ctx context.Context, coll string) (map[string]map[string]any, error) {
	base := l.cfg.Search.URLs[0] + "/" + url.PathEscape(l.db.Name()+"."+coll)
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
	out := map[string]map[string]any{}
	for _, h := range found.Hits.Hits {
		out[h.ID] = h.Source
	}
	return out, nil
}

// want waits until the index has every file with its own content, and no other.
func (l *buckets) want(names ...string) {
	l.t.Helper()
	testkit.Eventually(l.t, time.Minute, func() error {
		for _, bucket := range names {
			have, err := l.shelf(l.t.Context(), bucket+".files")
			if err != nil {
				return err
			}
			if len(have) != len(l.files[bucket]) {
				return fmt.Errorf("%s: %d documents, want %d", bucket, len(have), len(l.files[bucket]))
			}
			for id, data := range l.files[bucket] {
				text := base64.StdEncoding.EncodeToString(data)
				attachment, _ := have[id]["attachment"].(map[string]any)
				switch {
				case have[id]["file"] != text:
					return fmt.Errorf("%s of %s: %.40v, want %.40s", id, bucket, have[id]["file"], text)
				case fmt.Sprint(attachment["content_length"]) != fmt.Sprint(len(text)):
					return fmt.Errorf("%s of %s: not through the pipeline: %v", id, bucket, have[id]["attachment"])
				case have[id]["filename"] != id+".txt":
					return fmt.Errorf("%s of %s: its document is %v", id, bucket, have[id])
				}
			}
		}
		return nil
	})
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(3, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// pipelineOf makes an ingest pipeline for the time of the test.
func (l *buckets) pipelineOf(name, body string) {
	l.t.Helper()
	at := l.cfg.Search.URLs[0] + "/_ingest/pipeline/" + name
	if err := ask(l.t.Context(), http.MethodPut, at, body, nil); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = ask(context.Background(), http.MethodDelete, at, "", nil) })
}

// reads tells whether the shared engine, which may be anybody's, has the plug-in.
func (l *buckets) reads() bool {
	var all struct {
		Nodes map[string]struct {
			Ingest struct{ Processors []struct{ Type string } }
		}
	}
	if err := ask(l.t.Context(), http.MethodGet, l.cfg.Search.URLs[0]+"/_nodes/ingest", "", &all); err != nil {
		l.t.Fatal(err)
	}
	for _, n := range all.Nodes {
		for _, p := range n.Ingest.Processors {
			if p.Type == "attachment" {
				return true
			}
		}
	}
	return false
}

// TestFiles: the copy, the stream, a repair and a resync give each document the
// content of its file, by way of the pipeline; what is not a file goes without.
func TestFiles(t *testing.T) {
	l := newBuckets(t, newStage(t))
	l.load(t, "    files: {namespaces: ["+l.db.Name()+".*], max_size: 50000}\n")
	l.upload("fs", "text", []byte("plain text"))
	if !l.reads() {
		err := New(Options{Config: l.cfg}).Run(t.Context(), nil)
		if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "install ingest-attachment") {
			t.Fatal(err)
		}
	}
	l.pipelineOf("attachment", standIn)

	l.upload("fs", "none", nil)
	l.upload("fs", "large", bytesOf(50_001))
	l.files["fs"]["large"] = nil
	l.upload("fs", "limit", bytesOf(50_000))
	l.upload("my.old.docs", "dots", []byte("in a bucket with dots"))
	l.upload("my", "dots", []byte("in another bucket"))
	l.upload("fs", "torn", bytesOf(3500))
	torn := l.db.Collection("fs.chunks")
	part, err := torn.FindOneAndDelete(t.Context(), bson.D{{Key: "files_id", Value: "torn"}, {Key: "n", Value: 2}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	l.files["fs"]["torn"] = nil
	l.put(t, "orders", 0, 5, "")

	a, stop := run(t, Options{Config: l.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	all := []string{"fs", "my", "my.old.docs"}
	l.want(all...)
	if orders, err := l.shelf(t.Context(), "orders"); err != nil || len(orders) != 5 || orders["1"]["attachment"] != nil || orders["1"]["file"] != nil {
		t.Error(orders, err)
	}
	letters := command[DeadLetterList](t, a, web.FlowCommand{Verb: web.FlowLetters, Errors: true}).Letters
	if len(letters) != 1 || letters[0].Key != "torn" || letters[0].Reason != "file_incomplete" || !strings.Contains(letters[0].Error, "chunk 2 is missing") {
		t.Errorf("letters: %+v", letters)
	}

	// By the stream: new, written anew under its key, renamed, deleted.
	for i := range 20 {
		l.upload("fs", fmt.Sprint("new", i), bytesOf(7000+i))
	}
	l.remove("fs", "text")
	l.upload("fs", "text", []byte("another text"))
	l.remove("my", "dots")
	if _, err := l.db.Collection("my.old.docs.files").UpdateByID(t.Context(), "dots", bson.D{{Key: "$set", Value: bson.D{{Key: "file", Value: "their own"}}}}); err != nil {
		t.Fatal(err)
	}
	l.want(all...)

	// The chunk comes back, and nobody tells: a retry finds it.
	retry := command[DeadLetterRetry](t, a, web.FlowCommand{Verb: web.FlowRetry})
	if retry.Tried != 1 || retry.Closed != 0 {
		t.Errorf("it is still torn: %+v", retry)
	}
	if _, err := torn.InsertOne(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	if retry = command[DeadLetterRetry](t, a, web.FlowCommand{Verb: web.FlowRetry}); retry.Closed != 1 {
		t.Errorf("it is whole: %+v", retry)
	}
	l.files["fs"]["torn"] = bytesOf(3500)
	l.want(all...)
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// Another shape of the documents of files alone is one to ask about (S12).
	l.load(t, "    files: {namespaces: ["+l.db.Name()+".*], max_size: 60000, put_pipeline: false}\n")
	if err := New(Options{Config: l.cfg}).Run(t.Context(), nil); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "fs.files") {
		t.Fatalf("got %v, want a refusal", err)
	}
	l.files["fs"]["large"] = bytesOf(50_001)
	a, stop = run(t, Options{Config: l.cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	l.want(all...)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestFilesWithoutIndex: a bucket whose chunks have no index would be read as a
// whole for each file.
func TestFilesWithoutIndex(t *testing.T) {
	l := newBuckets(t, newStage(t))
	l.load(t, "    files: {namespaces: ["+l.db.Name()+".fs.files], put_pipeline: false}\n")
	l.upload("fs", "a", []byte("text"))
	if err := l.db.Collection("fs.chunks").Indexes().DropAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := New(Options{Config: l.cfg}).Run(t.Context(), nil)
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), `createIndex({files_id: 1, n: 1}`) {
		t.Fatal(err)
	}
}

const page = "<html><head><title>The Old Moon</title></head><body><p>is in the <b>new</b> moon's arms</p></body></html>"

// TestFilesText: the real plug-in reads text out of files.
func TestFilesText(t *testing.T) {
	real, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{Attachment: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = real.Stop() })
	l := newBuckets(t, newStage(t))
	l.cfg.Search.URLs = []string{real.URL()}
	l.load(t, "    files: {namespaces: ["+l.db.Name()+".fs.files]}\n    on: {delete: mark}\n")
	l.upload("fs", "page", []byte(page))
	l.upload("fs", "empty", nil)
	l.upload("fs", "broken", []byte("%PDF-1.7\n1 0 obj\n<< /Type"))
	diagnosis, err := Doctor(t.Context(), DoctorOptions{Config: l.cfg})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range diagnosis.Findings {
		if strings.HasSuffix(f.Check, ".attachments") && f.Severity != flow.FindingOK {
			t.Errorf("%+v", f)
		}
	}
	a, stop := run(t, Options{Config: l.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	l.upload("fs", "later", []byte("a text by the stream"))
	text := func(id, want string) {
		t.Helper()
		testkit.Eventually(t, time.Minute, func() error {
			have, err := l.shelf(t.Context(), "fs.files")
			if err != nil {
				return err
			}
			attachment, ok := have[id]["attachment"].(map[string]any)
			if got := fmt.Sprint(attachment["content"]); !ok || !strings.Contains(got, want) {
				return fmt.Errorf("%s is %v", id, have[id])
			}
			return nil
		})
	}
	text("page", "is in the new moon's arms")
	text("later", "a text by the stream")
	text("empty", "")
	// What is kept after a delete keeps the text, and not the file.
	l.remove("fs", "page")
	testkit.Eventually(t, time.Minute, func() error {
		have, err := l.shelf(t.Context(), "fs.files")
		if err == nil && (have["page"]["deleted"] == nil || have["page"]["file"] != nil) {
			err = fmt.Errorf("it is %v", have["page"])
		}
		return err
	})
	text("page", "is in the new moon's arms")
	letters := command[DeadLetterList](t, a, web.FlowCommand{Verb: web.FlowLetters, Errors: true}).Letters
	if len(letters) != 1 || letters[0].Key != "broken" || letters[0].Reason != "ingest_pipeline" || !strings.Contains(letters[0].Error, "Error parsing document in field [file]") {
		t.Errorf("letters: %+v", letters)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
