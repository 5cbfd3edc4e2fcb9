package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"
)

// goChiveBatch is the largest query limit that go-chive's documentation names.
const goChiveBatch = 2000

// goChive is what go-chive does, without the timers that pace it: a batch of old
// documents decoded to maps, written as one BSON document to a file, packed by
// tar and gzip, uploaded (here copied into a directory), and a DeleteOne by _id
// for each of them. It reads nothing back, and compares nothing.
func goChive(ctx context.Context, p params) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	coll := collection(c, p.Namespaces[0])
	bucket := filepath.Join(p.State, "bucket")
	if err := os.MkdirAll(bucket, 0o700); err != nil {
		return result{}, err
	}
	var r result
	start := time.Now()
	for {
		batch, err := goChiveFetch(ctx, coll)
		if err != nil || len(batch.Docs) == 0 {
			r.Seconds = since(start)
			return r, err
		}
		name := fmt.Sprintf("archive_%d", r.Docs)
		if err := goChiveUpload(p.State, bucket, name, batch); err != nil {
			return r, err
		}
		if err := goChiveDelete(ctx, coll, batch); err != nil {
			return r, err
		}
		r.Docs += int64(len(batch.Docs))
	}
}

func goChiveFetch(ctx context.Context, coll *mongo.Collection) (theirBatch, error) {
	var batch theirBatch
	cur, err := coll.Find(ctx, bson.M{"created": bson.M{"$lt": time.Now().AddDate(0, 0, -30)}},
		options.Find().SetSort(bson.D{{Key: "created", Value: 1}, {Key: "_id", Value: 1}}).SetLimit(goChiveBatch))
	if err != nil {
		return batch, err
	}
	return batch, cur.All(ctx, &batch.Docs)
}

func goChiveUpload(dir, bucket, name string, batch theirBatch) error {
	raw, err := bson.Marshal(batch)
	if err != nil {
		return err
	}
	plain := filepath.Join(dir, name+".bson")
	if err := os.WriteFile(plain, raw, 0o600); err != nil {
		return err
	}
	packed := filepath.Join(dir, name+".tar.gz")
	if err := goChivePack(plain, packed); err != nil {
		return err
	}
	if err := copyFile(packed, filepath.Join(bucket, name+".tar.gz")); err != nil {
		return err
	}
	return errors.Join(os.Remove(plain), os.Remove(packed))
}

func goChivePack(plain, packed string) error {
	in, err := os.Open(plain)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(packed)
	if err != nil {
		return err
	}
	gz := gzip.NewWriter(out)
	tw := tar.NewWriter(gz)
	err = tw.WriteHeader(&tar.Header{Name: info.Name(), Size: info.Size(), Mode: int64(info.Mode())})
	if err == nil {
		_, err = io.Copy(tw, in)
	}
	return errors.Join(err, tw.Close(), gz.Close(), out.Close())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func goChiveDelete(ctx context.Context, coll *mongo.Collection, batch theirBatch) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, doc := range batch.Docs {
		g.Go(func() error {
			_, err := coll.DeleteOne(ctx, bson.M{"_id": doc["_id"]})
			return err
		})
	}
	return g.Wait()
}
