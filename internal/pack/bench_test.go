package pack

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/transcode/shapes"
)

func some(s shapes.Shape, bytes int) []bson.Raw {
	docs := make([]bson.Raw, bytes/s.Bytes)
	for i := range docs {
		docs[i] = s.Make(i)
	}
	return docs
}

// The way of others: decoded to maps, one document {docs: […]} of a batch, gzip
// of the standard library.
type oldBatch struct {
	Docs []bson.M `bson:"docs"`
}

func packTheirWay(w io.Writer, docs []bson.Raw) error {
	var b oldBatch
	for _, d := range docs {
		var m bson.M
		if err := bson.Unmarshal(d, &m); err != nil {
			return err
		}
		b.Docs = append(b.Docs, m)
	}
	raw, err := bson.Marshal(b)
	if err != nil {
		return err
	}
	gz := gzip.NewWriter(w)
	if _, err := gz.Write(raw); err != nil {
		return err
	}
	return gz.Close()
}

func unpackTheirWay(r io.Reader) error {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(gz)
	if err != nil {
		return err
	}
	var b oldBatch
	if err := bson.Unmarshal(raw, &b); err != nil {
		return err
	}
	for _, m := range b.Docs {
		if _, err := bson.Marshal(m); err != nil {
			return err
		}
	}
	return nil
}

const benchBytes = 8 << 20

func BenchmarkPack(b *testing.B) {
	for _, s := range shapes.All() {
		docs := some(s, benchBytes)
		size := int64(len(docs) * s.Bytes)
		for _, o := range []WriterOptions{{Codec: Zstd}, {Codec: Zstd, Level: 3}, {Codec: Gzip}} {
			b.Run(fmt.Sprintf("%s/%s-%d", s.Name, o.Codec, o.Level), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				var n int64
				for b.Loop() {
					w, err := NewWriter(io.Discard, o)
					if err != nil {
						b.Fatal(err)
					}
					for i, d := range docs {
						if err := w.Append(d, cold.Entry{Age: int64(i)}); err != nil {
							b.Fatal(err)
						}
					}
					body, err := w.Close()
					if err != nil {
						b.Fatal(err)
					}
					n = body.Bytes
				}
				b.ReportMetric(float64(size)/float64(n), "ratio")
			})
		}
		b.Run(s.Name+"/theirs", func(b *testing.B) {
			b.SetBytes(size)
			var n int
			for b.Loop() {
				var out bytes.Buffer
				if err := packTheirWay(&out, docs); err != nil {
					b.Fatal(err)
				}
				n = out.Len()
			}
			b.ReportMetric(float64(size)/float64(n), "ratio")
		})
	}
}

func BenchmarkUnpack(b *testing.B) {
	for _, s := range shapes.All() {
		docs := some(s, benchBytes)
		size := int64(len(docs) * s.Bytes)
		for _, o := range []WriterOptions{{Codec: Zstd}, {Codec: Gzip}} {
			p := build(b, o, docs...)
			b.Run(fmt.Sprintf("%s/%s", s.Name, o.Codec), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				r := OpenReader(p, p.m)
				for b.Loop() {
					for _, err := range r.All(ctx()) {
						if err != nil {
							b.Fatal(err)
						}
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%s-verify", s.Name, o.Codec), func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					if err := verify(p, p.object); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		var old bytes.Buffer
		if err := packTheirWay(&old, docs); err != nil {
			b.Fatal(err)
		}
		b.Run(s.Name+"/theirs", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if err := unpackTheirWay(bytes.NewReader(old.Bytes())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a size of frames costs: the ratio, and the reading of one document.
func BenchmarkFrameBytes(b *testing.B) {
	docs := some(shapes.All()[1], benchBytes)
	size := int64(len(docs) * len(docs[0]))
	for _, kib := range []int{64, 128, 256, 512, 1024, 2048} {
		p := build(b, WriterOptions{FrameBytes: kib << 10}, docs...)
		b.Run(fmt.Sprintf("%dKiB", kib), func(b *testing.B) {
			i := 0
			for b.Loop() {
				r := OpenReader(p, p.m)
				if _, err := r.Doc(ctx(), i%len(docs)); err != nil {
					b.Fatal(err)
				}
				i += 997
			}
			b.ReportMetric(float64(size)/float64(len(p.object)), "ratio")
		})
	}
}
