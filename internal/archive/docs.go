package archive

import (
	"context"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/pack"
)

// docSource gives the archived documents of a pack by their number.
type docSource interface {
	Doc(ctx context.Context, i int) (bson.Raw, error)
}

// docs returns the archived documents, where the delete needs them to compare:
// without transactions. They are read from the spool if the pack is still there.
func (j *job) docs(w *work, place Place) docSource {
	if j.txn(w) {
		return nil
	}
	if w.file != nil && w.file.f != nil {
		return pack.OpenReader(w.file, w.manifest)
	}
	return pack.OpenReader(object{place.Objects, w.pack.Object}, w.manifest)
}

// Get reads a part of the file, n < 0 to its end.
func (f *spoolFile) Get(_ context.Context, off, n int64) (io.ReadCloser, error) {
	if n < 0 {
		info, err := f.f.Stat()
		if err != nil {
			return nil, spoolFault("read spool", f.f.Name(), err)
		}
		n = info.Size() - off
	}
	return io.NopCloser(io.NewSectionReader(f.f, off, n)), nil
}

// object is one object of a bucket.
type object struct {
	store Objects
	key   string
}

// Get reads a part of the object, n < 0 to its end.
func (o object) Get(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	return o.store.Get(ctx, o.key, off, n)
}
