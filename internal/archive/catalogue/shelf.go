package catalogue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// Options say what a Shelf writes.
type Options struct {
	// Name is that of the store, without secrets: "s3://bucket/prefix".
	Name string
	// Put tells how objects are put. The storage class is that of packs alone:
	// manifests and outcomes must be readable at any time.
	Put objstore.PutOptions
	// LockFor, if not zero, sets Put.LockUntil anew at each put: now and so long.
	LockFor time.Duration
	// Codec is that of new packs, zstd unless told otherwise.
	Codec pack.Codec
	// Owner is who works, for outcomes and audit records; Tool name and version,
	// for the manifests of rewritten packs.
	Owner, Tool string
	// TempDir is where Forget writes packs anew; "" is the system's.
	TempDir string
	Logger  *slog.Logger
	// Now is the clock, for tests; nil is time.Now.
	Now func() time.Time
}

// readers is how many small objects are read at once.
const readers = 8

// Shelf is the archive's side of one store. It is safe for concurrent use.
type Shelf struct {
	store objstore.Store
	o     Options
}

// New returns the Shelf over a store. It reads nothing yet.
func New(store objstore.Store, o Options) *Shelf {
	if o.Codec == "" {
		o.Codec = pack.Zstd
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Shelf{store: store, o: o}
}

// Name is that of the store.
func (s *Shelf) Name() string { return s.o.Name }

// Place sets where the objects of a pack are to be: Store, Object and Manifest.
// It follows from Rule, NS, Created and ID alone.
func (s *Shelf) Place(p *cold.Pack) {
	stem := prefix(p.Rule, p.NS) + p.Created.UTC().Format(time.DateOnly) + "/" + part(p.ID)
	p.Store, p.Object, p.Manifest = s.o.Name, stem+s.o.Codec.Ext(), manifestOf(stem)
}

// Get reads an object by range, n < 0 to its end.
func (s *Shelf) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	return s.store.Get(ctx, key, off, n)
}

// putOptions are those for an object with this hash.
func (s *Shelf) putOptions(sum [32]byte, packs bool) objstore.PutOptions {
	o := s.o.Put
	o.SHA256 = sum
	if !packs {
		o.StorageClass = ""
	}
	if s.o.LockFor > 0 {
		o.LockUntil = s.o.Now().Add(s.o.LockFor)
	}
	return o
}

// Upload puts the object of a pack, under p.Object, with p.SHA256 and p.Bytes.
// That the same object is there already is success; that another is, is an error
// of class Conflict: keys never repeat (rule A4).
func (s *Shelf) Upload(ctx context.Context, p *cold.Pack, body objstore.Body) error {
	const op = "upload pack"
	sum, err := hex.DecodeString(p.SHA256)
	switch {
	case err != nil || len(sum) != 32:
		return &flow.Error{Op: op, Object: p.Object, Class: flow.Fatal, Err: errors.New("its SHA-256 is not known")}
	case body.Size() != p.Bytes:
		return &flow.Error{
			Op: op, Object: p.Object, Class: flow.Fatal, Err: fmt.Errorf("it has %d bytes, and %d were written", body.Size(), p.Bytes),
			Hint: "The file in the spool was cut or changed: look at the disk. Nothing was uploaded or deleted.",
		}
	}
	_, err = s.store.Put(ctx, p.Object, body, s.putOptions([32]byte(sum), true))
	if !errors.Is(err, objstore.ErrExists) {
		return fail(op, p.Object, err)
	}
	same, err := s.holds(ctx, p.Object, p.Bytes, [32]byte(sum))
	if err != nil {
		return fail(op, p.Object, err)
	}
	if !same {
		return otherObject(op, p.Object)
	}
	return nil
}

// holds tells whether the object under key has this size and hash. What the
// store does not know of it is read.
func (s *Shelf) holds(ctx context.Context, key string, size int64, sum [32]byte) (bool, error) {
	info, err := s.store.Head(ctx, key)
	if err != nil || info.Size != size {
		return false, err
	}
	if info.SHA256 != "" {
		return info.SHA256 == hex.EncodeToString(sum[:]), nil
	}
	body, err := s.store.Get(ctx, key, 0, -1)
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return false, err
	}
	return [32]byte(h.Sum(nil)) == sum, nil
}

// Verify reads the object of a pack back, whole, and compares every byte with
// what its manifest tells.
func (s *Shelf) Verify(ctx context.Context, m *pack.Manifest) error {
	body, err := s.store.Get(ctx, m.Header.Object, 0, -1)
	if err != nil {
		return fail("verify pack", m.Header.Object, err)
	}
	defer func() { _ = body.Close() }()
	return pack.Verify(ctx, body, m)
}

func otherObject(op, key string) error {
	return &flow.Error{
		Op: op, Object: key, Class: flow.Conflict, Err: fmt.Errorf("%w, and it is another", objstore.ErrExists),
		Hint: "Two processes work on the same pack, or somebody writes below the archive's prefix. Nothing was replaced or deleted.",
	}
}

// fail wraps an error that names neither what was done nor to what; one that
// does is passed on.
func fail(op, object string, err error) error {
	if err == nil {
		return nil
	}
	var known *flow.Error
	if errors.As(err, &known) {
		return &flow.Error{Op: op, Object: object, Class: flow.ClassOf(err), Err: err}
	}
	return &flow.Error{Op: op, Object: object, Err: err}
}
