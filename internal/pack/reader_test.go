package pack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode/shapes"
)

// counted counts the gets of a Source and what they asked for.
type counted struct {
	*packed
	gets, bytes int64
	open        int
	fail        error
}

func (c *counted) Get(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if c.fail != nil {
		return nil, c.fail
	}
	c.gets++
	c.bytes += n
	c.open++
	r, err := c.packed.Get(ctx, off, n)
	return &closed{r, c}, err
}

type closed struct {
	io.ReadCloser
	c *counted
}

func (c *closed) Close() error {
	c.c.open--
	return c.ReadCloser.Close()
}

// One document costs one get of its frame; its neighbour none.
func TestDocGetsOneFrame(t *testing.T) {
	docs := some(shapes.All()[1], 4<<20)
	p := build(t, WriterOptions{}, docs...)
	src := &counted{packed: p}
	r := OpenReader(src, p.m)
	for _, i := range []int{1000, 1001, 0, len(docs) - 1} {
		got, err := r.Doc(ctx(), i)
		if err != nil || !bytes.Equal(got, docs[i]) {
			t.Fatalf("document %d: %v", i, err)
		}
	}
	if src.gets != 3 || src.bytes > 3*DefaultFrameBytes || src.open != 0 {
		t.Errorf("%d gets of %d bytes, %d left open", src.gets, src.bytes, src.open)
	}
	for _, i := range []int{-1, len(docs)} {
		if _, err := r.Doc(ctx(), i); err == nil {
			t.Errorf("document %d is there", i)
		}
	}
	// All is one get, also when it is left early.
	src.gets = 0
	for _, err := range r.All(ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if src.gets != 1 || src.open != 0 {
		t.Errorf("%d gets, %d left open", src.gets, src.open)
	}
}

// What is returned stays as it is, whatever is read later.
func TestDocumentsAreNotOverwritten(t *testing.T) {
	docs := some(shapes.All()[0], 100<<10)
	p := build(t, WriterOptions{FrameBytes: 4 << 10}, docs...)
	r := OpenReader(p, p.m)
	var got []bson.Raw
	for d, err := range r.All(ctx()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d)
	}
	for i := range docs {
		if !bytes.Equal(got[i], docs[i]) {
			t.Fatalf("document %d was overwritten", i)
		}
	}
}

// What the store says keeps its class and its cause.
func TestReaderPassesOnWhatTheStoreSays(t *testing.T) {
	p := little(t, Zstd)
	cause := errors.New("the object is in a cold class")
	src := &counted{packed: p, fail: &flow.Error{Op: "get", Class: flow.Config, Err: cause, Hint: "thaw it"}}
	r := OpenReader(src, p.m)
	if _, err := r.Doc(ctx(), 1); !errors.Is(err, cause) || flow.ClassOf(err) != flow.Config {
		t.Errorf("Doc: %v", err)
	}
	for _, err := range r.All(ctx()) {
		if !errors.Is(err, cause) || flow.ClassOf(err) != flow.Config {
			t.Errorf("All: %v", err)
		}
	}
	broken := io.MultiReader(bytes.NewReader(p.object[:100]), &failing{cause})
	if err := Verify(ctx(), broken, p.m); !errors.Is(err, cause) {
		t.Errorf("Verify: %v", err)
	}
	broken = io.MultiReader(bytes.NewReader(p.object[:100]), &failing{cause})
	if err := Decode(io.Discard, broken, Zstd); !errors.Is(err, cause) {
		t.Errorf("Decode: %v", err)
	}
	if err := Decode(&brokenSink{10}, bytes.NewReader(p.object), Zstd); !errors.Is(err, errDiskFull) || flow.ClassOf(err) != flow.Transient {
		t.Errorf("Decode to a sink that fails: %v", err)
	}
	if err := Decode(io.Discard, bytes.NewReader(p.object), "lz4"); flow.ClassOf(err) != flow.Config {
		t.Errorf("Decode of an unknown codec: %v", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestReadingEndsWithItsContext(t *testing.T) {
	p := little(t, Zstd)
	done, cancel := context.WithCancel(ctx())
	cancel()
	if err := Verify(done, bytes.NewReader(p.object), p.m); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: %v", err)
	}
	for _, err := range OpenReader(p, p.m).All(done) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("All: %v", err)
		}
	}
}
