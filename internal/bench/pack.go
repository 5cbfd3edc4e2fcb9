package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/pack"
	"sluice/internal/transcode/shapes"
)

// packBytes is how much BSON of each shape is packed in one go.
const packBytes = 8 << 20

// pack compares packing and unpacking in memory with what go-chive does: each
// document decoded to a map, all of a batch encoded again as one document, gzip
// of the standard library; and back. Hashes, checks and manifest entries are in
// our cost; theirs has none. It compares CPU, with that of the garbage collector.
func (b *bench) pack(ctx context.Context) error {
	var in, out [2]float64 // ours, theirs: the sums over the shapes, in nanoseconds
	var inText, outText []string
	total := 0
	for _, s := range shapes.All() {
		docs := make([]bson.Raw, packBytes/s.Bytes)
		for i := range docs {
			docs[i] = s.Make(i)
		}
		size := len(docs) * s.Bytes
		total += size
		ours, err := packOurs(docs)
		if err != nil {
			return err
		}
		theirs, err := packTheirs(docs)
		if err != nil {
			return err
		}
		p, err := packDuel(ctx,
			func() error { _, err := packOurs(docs); return err },
			func() error { _, err := packTheirs(docs); return err })
		if err != nil {
			return err
		}
		u, err := packDuel(ctx, func() error { return unpackOurs(ctx, ours) }, func() error { return unpackTheirs(theirs) })
		if err != nil {
			return err
		}
		for i := range 2 {
			in[i] += p[i]
			out[i] += u[i]
		}
		ratio := func(stored int) float64 { return float64(size) / float64(stored) }
		inText = append(inText, fmt.Sprintf("%s %s times (to 1/%.1f, theirs 1/%.1f)", s.Name, number(p[1]/p[0]), ratio(len(ours.object)), ratio(len(theirs))))
		outText = append(outText, fmt.Sprintf("%s %s times", s.Name, number(u[1]/u[0])))
	}
	// Bytes a nanosecond are gigabytes a second.
	rate := func(ns float64) float64 { return float64(total) / ns * 1000 }
	b.atLeast("pack: throughput per core over go-chive's way", in[1]/in[0], 10,
		"%.0f MB/s of BSON a core, %.0f MB/s that way, equal bytes of each shape; %s", rate(in[0]), rate(in[1]), strings.Join(inText, ", "))
	b.atLeast("unpack: throughput per core over go-chive's way", out[1]/out[0], 10,
		"%.0f MB/s of BSON a core, %.0f MB/s that way; %s", rate(out[0]), rate(out[1]), strings.Join(outText, ", "))
	return nil
}

// packDuel returns the least CPU that each of two takes, in nanoseconds.
func packDuel(ctx context.Context, pair ...func() error) (least [2]float64, err error) {
	least = [2]float64{math.Inf(1), math.Inf(1)}
	for range looks {
		for i, f := range pair {
			if ctx.Err() != nil {
				return least, ctx.Err()
			}
			before, n := ourCPU(), 0
			for ourCPU()-before < slice {
				if err := f(); err != nil {
					return least, err
				}
				n++
			}
			least[i] = min(least[i], float64(ourCPU()-before)/float64(n))
		}
	}
	return least, nil
}

// packInMemory is a pack with its manifest.
type packInMemory struct {
	object   []byte
	manifest *pack.Manifest
}

// Get makes it a pack.Source.
func (p packInMemory) Get(_ context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(p.object), off, n)), nil
}

func packOurs(docs []bson.Raw) (packInMemory, error) {
	var out bytes.Buffer
	w, err := pack.NewWriter(&out, pack.WriterOptions{Docs: len(docs)})
	if err != nil {
		return packInMemory{}, err
	}
	for i, d := range docs {
		if err := w.Append(d, cold.Entry{Age: int64(i)}); err != nil {
			return packInMemory{}, err
		}
	}
	body, err := w.Close()
	if err != nil {
		return packInMemory{}, err
	}
	return packInMemory{out.Bytes(), pack.NewManifest(pack.Header{Object: "bench"}, body)}, nil
}

// unpackOurs reads every document, each compared with its hash.
func unpackOurs(ctx context.Context, p packInMemory) error {
	n := 0
	for _, err := range pack.OpenReader(p, p.manifest).All(ctx) {
		if err != nil {
			return err
		}
		n++
	}
	if n != len(p.manifest.Entries) {
		return errors.New("documents are missing")
	}
	return nil
}

// theirBatch is what go-chive writes: one document for all.
type theirBatch struct {
	Docs []bson.M `bson:"docs"`
}

func packTheirs(docs []bson.Raw) ([]byte, error) {
	batch := theirBatch{Docs: make([]bson.M, len(docs))}
	for i, d := range docs {
		if err := bson.Unmarshal(d, &batch.Docs[i]); err != nil {
			return nil, err
		}
	}
	raw, err := bson.Marshal(batch)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	if _, err := gz.Write(raw); err != nil {
		return nil, err
	}
	err = gz.Close()
	return out.Bytes(), err
}

// unpackTheirs ends with documents that can be inserted.
func unpackTheirs(object []byte) error {
	gz, err := gzip.NewReader(bytes.NewReader(object))
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(gz)
	if err != nil {
		return err
	}
	var batch theirBatch
	if err := bson.Unmarshal(raw, &batch); err != nil {
		return err
	}
	for _, m := range batch.Docs {
		if _, err := bson.Marshal(m); err != nil {
			return err
		}
	}
	return nil
}
