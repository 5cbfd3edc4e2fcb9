//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// filesFile writes a configuration that attaches the files of the bed's database,
// by a pipeline that tells how much came.
func (b bed) filesFile(t *testing.T, snapshot, more string) string {
	t.Helper()
	pipeline := b.search + "/_ingest/pipeline/" + b.db.Name()
	body := `{"processors":[{"script":{"source":"ctx.attachment = ['content_length': ctx.file.length()]"}}]}`
	if err := call(t.Context(), http.MethodPut, pipeline, body, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call(context.Background(), http.MethodDelete, pipeline, "", nil) })
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q], gzip: true}\nstate: {path: %q}\n%sflows:\n  - name: files\n    namespaces: [%s.fs.files]\n"+
		"    snapshot: {%s}\n    mappings: {properties: {file: {type: binary}}}\n    files: {namespaces: [%[5]s.fs.files], pipeline: %[5]s, put_pipeline: false}\n",
		b.uri, b.search, b.state, more, b.db.Name(), snapshot)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (b bed) bucket() *mongo.GridFSBucket {
	return b.db.GridFSBucket(options.GridFSBucket().SetChunkSizeBytes(100_000))
}

func noise(seed, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(n)
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(data) // never fails
	return data
}

// attached compares a document of the index with the content of its file.
func (b bed) attached(ctx context.Context, id string, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.search+"/"+url.PathEscape(b.index("fs.files"))+"/_source/"+id, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	doc, err := io.ReadAll(resp.Body)
	text := base64.StdEncoding.EncodeToString(data)
	switch {
	case err != nil || resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s, %w", id, resp.Status, err)
	case !bytes.Contains(doc, []byte(`"file":"`+text+`"`)):
		return fmt.Errorf("%s has another content: %d bytes of JSON, want %d of base64", id, len(doc), len(text))
	case !bytes.Contains(doc, fmt.Appendf(nil, `"content_length":%d}`, len(text))):
		return fmt.Errorf("%s did not go through the pipeline", id)
	}
	return nil
}

// TestFilesKillNine kills the copy of 50 files, and the stream of their changes,
// at random times: afterwards each document has the content of its file.
func TestFilesKillNine(t *testing.T) {
	b := newBed(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	files := map[string][]byte{}
	put := func(id string, n int) {
		t.Helper()
		files[id] = noise(len(files), n)
		if err := b.bucket().UploadFromStreamWithID(t.Context(), id, id, bytes.NewReader(files[id])); err != nil {
			t.Fatal(err)
		}
	}
	take := func(id string) {
		t.Helper()
		if err := b.bucket().Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		delete(files, id)
	}
	for i := range 50 {
		put(fmt.Sprint("f", i), r.IntN(400_000)*(i%7)/6)
	}
	file := b.filesFile(t, "rate: 20, chunk: 1MB", "")
	for i := range rounds(4, 40) {
		p := start(t, "run", "-c", file)
		pause(t.Context(), 300*time.Millisecond+time.Duration(r.IntN(900))*time.Millisecond)
		id := fmt.Sprint("f", i)
		take(id)
		put(fmt.Sprint("g", i), r.IntN(300_000))
		if i%2 == 0 {
			put(id, r.IntN(300_000)) // under the same key
		}
		p.kill()
	}
	p := start(t, "run", "-c", file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	p.eventually(t, time.Minute, func() error {
		base := b.search + "/" + url.PathEscape(b.index("fs.files"))
		if err := call(t.Context(), http.MethodPost, base+"/_refresh", "", nil); err != nil {
			return err
		}
		var found struct{ Count int }
		if err := call(t.Context(), http.MethodGet, base+"/_count", "", &found); err != nil || found.Count != len(files) {
			return fmt.Errorf("%d documents for %d files, %w", found.Count, len(files), err)
		}
		for id, data := range files {
			if err := b.attached(t.Context(), id, data); err != nil {
				return err
			}
		}
		return nil
	})
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
}

// TestFilesMemory: large files, and many at one time, take no more memory than is
// said; what no request can carry is not even read.
func TestFilesMemory(t *testing.T) {
	b := newBed(t)
	put := func(id string, data []byte) {
		t.Helper()
		if err := b.bucket().UploadFromStreamWithID(t.Context(), id, id, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	const many = 20
	medium, large := noise(1, 3<<20), noise(2, 30<<20)
	for i := range many {
		put(fmt.Sprint("f", i), medium)
	}
	// Nobody reads what it does not have.
	huge := bson.D{{Key: "_id", Value: "huge"}, {Key: "length", Value: int64(80 << 20)}, {Key: "chunkSize", Value: 261120}, {Key: "filename", Value: "huge"}}
	if _, err := b.db.Collection("fs.files").InsertOne(t.Context(), huge); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", "-c", b.filesFile(t, "rate: 0", "limits: {memory_budget: 32MB}\n"))
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	for i := range many {
		if err := b.attached(t.Context(), fmt.Sprint("f", i), medium); err != nil {
			t.Error(err)
		}
	}
	if err := b.attached(t.Context(), "huge", nil); err != nil {
		t.Error(err)
	}
	peakMany := p.memory(t, "VmHWM:")
	put("large", large)
	p.eventually(t, time.Minute, func() error { return b.attached(t.Context(), "large", large) })
	peak := p.memory(t, "VmHWM:")
	if peakMany > 100<<10 || peak > 220<<10 {
		t.Error("more memory than docs/files.md says")
	}
	t.Logf("at most resident: with %d files of 3 MB: %d KiB; with one of 30 MB: %d KiB", many, peakMany, peak)
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
}
