package objstore

import (
	"context"
	"io"
	"iter"
	"time"
)

// Info is what a store knows of an object without reading it.
type Info struct {
	// Key is below the store's prefix or root.
	Key string
	// Size is in bytes.
	Size int64
	// SHA256 is lower-case hex, or empty where it is not known: List never tells
	// it. S3 gives back what the writer stored as metadata; Dir reads the file.
	SHA256 string
	// Modified is the store's time of the write; zero after a Put to S3.
	Modified time.Time
	// StorageClass is what S3 calls it, empty for the standard one and in a Dir.
	StorageClass string
	// Cold: it must be thawed before it can be read. From List it follows from
	// the class alone; Head knows of a thawed copy.
	Cold bool
	// Version is the version of the bucket, empty without versioning.
	Version string
}

// PutOptions tell what to store with a body. A Dir keeps SHA256 alone.
type PutOptions struct {
	// SHA256 of the body; a body that differs is refused and leaves nothing.
	// Zero: not known before; the store computes it.
	SHA256 [32]byte
	// ContentType is empty for application/octet-stream.
	ContentType string
	// StorageClass is empty for the bucket's default.
	StorageClass string
	// SSE is "", "AES256" or "aws:kms"; KMSKey is the key's id or ARN.
	SSE, KMSKey string
	// Tags are at most 10, of letters, digits, spaces and + - = . _ : / @.
	Tags map[string]string
	// LockMode is "", "GOVERNANCE" or "COMPLIANCE"; then LockUntil is wanted.
	LockMode  string
	LockUntil time.Time
}

// Body is what a Put writes. It is read several times, from several goroutines,
// and must not change meanwhile.
type Body interface {
	io.ReaderAt
	// Size is in bytes.
	Size() int64
}

// Reader reads objects. All methods are safe for concurrent use.
type Reader interface {
	// Get reads n bytes from off, or to the end with n < 0, or less where the
	// object ends before. The caller closes the reader. off at or past the end is
	// ErrRange, but for a whole object (0, -1) and for n = 0, which is empty
	// without asking the store. The reader's errors are *flow.Error too; an answer
	// that is cut short is an error, never an early end.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
	// Head tells about one object.
	Head(ctx context.Context, key string) (Info, error)
	// List yields the objects whose key starts with prefix (any text, not only
	// whole segments), in order of the keys' bytes. After an error it ends.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// Writer writes objects. All methods are safe for concurrent use.
type Writer interface {
	// Put stores a body whole, or not at all, where no object is yet: else
	// ErrExists. An object of the same bytes that is found after the answer to an
	// earlier try was lost counts as our own, and is no error.
	// b is not used after the return.
	Put(ctx context.Context, key string, b Body, o PutOptions) (Info, error)
	// Delete removes an object; that it is not there is no error. In a bucket
	// with versions the older version stays.
	Delete(ctx context.Context, key string) error
}

// Store reads and writes.
type Store interface {
	Reader
	Writer
}

// Thawer brings an object of a cold storage class back, for a while. That it is
// thawed or under way already is no error. tier is "", "Standard", "Bulk" or
// "Expedited".
type Thawer interface {
	Thaw(ctx context.Context, key string, days int, tier string) error
}

// Sweeper removes what writers left behind that died inside a Put: parts and
// temporary files, which no List shows. It returns how many it removed.
type Sweeper interface {
	Sweep(ctx context.Context, olderThan time.Duration) (int, error)
}

// As finds what a store, or one that it wraps, can do besides: Thawer, Sweeper.
func As[T any](s Store) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(interface{ Unwrap() Store })
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	var none T
	return none, false
}
