package catalogue

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// Commit puts the manifest of a pack beside its object, and reads it back: from
// here on the pack is part of the archive. That the manifest of the same pack is
// there already is success.
func (s *Shelf) Commit(ctx context.Context, m *pack.Manifest) error {
	const op = "commit manifest"
	key := manifestOf(path.Dir(m.Header.Object) + "/" + part(m.Header.ID))
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		return err
	}
	there, existed, err := s.putBack(ctx, key, b.Bytes())
	if err != nil {
		return fail(op, key, err)
	}
	if bytes.Equal(there, b.Bytes()) {
		return nil
	}
	if !existed {
		return &flow.Error{
			Op: op, Object: key, Class: flow.Fatal, Err: errors.New("what is read back is not what was written"),
			Hint: "The store changes what it is given. Nothing is deleted on its word.",
		}
	}
	old, err := pack.DecodeManifest(bytes.NewReader(there))
	if err != nil {
		return err
	}
	if !sameManifest(old, m) {
		return otherObject(op, key)
	}
	return nil
}

// putBack puts a small object if there is none, and reads what is there then.
func (s *Shelf) putBack(ctx context.Context, key string, b []byte) (there []byte, existed bool, err error) {
	_, err = s.store.Put(ctx, key, objstore.BytesBody(b), s.putOptions(sha256.Sum256(b), false))
	if existed = errors.Is(err, objstore.ErrExists); err != nil && !existed {
		return nil, false, err
	}
	there, err = s.read(ctx, key)
	return there, existed, err
}

// read returns a whole object.
func (s *Shelf) read(ctx context.Context, key string) ([]byte, error) {
	body, err := s.store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// sameManifest tells whether two manifests are of the same pack with the same
// documents; when they were made does not count.
func sameManifest(a, b *pack.Manifest) bool {
	x, y := a.Header, b.Header
	return x.ID == y.ID && x.Run == y.Run && x.Rule == y.Rule && x.NS == y.NS && x.Object == y.Object &&
		x.SHA256 == y.SHA256 && x.Delete == y.Delete && x.Shadow == y.Shadow && x.Supersedes == y.Supersedes &&
		slices.EqualFunc(a.Entries, b.Entries, func(e, f cold.Entry) bool {
			return e.Hash == f.Hash && e.Offset == f.Offset && e.Age == f.Age && bytes.Equal(e.Key, f.Key)
		})
}

// Manifest reads the manifest under key, and checks all that it tells.
func (s *Shelf) Manifest(ctx context.Context, key string) (*pack.Manifest, error) {
	body, err := s.store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fail("read manifest", key, err)
	}
	defer func() { _ = body.Close() }()
	m, err := pack.DecodeManifest(body)
	if err != nil {
		return nil, fail("read manifest", key, err)
	}
	return m, checkPlace(m.Header, key)
}

// checkPlace refuses a manifest that is that of another pack than its key says.
func checkPlace(h pack.Header, key string) error {
	if part(h.ID) == id(stemOf(key)) {
		return nil
	}
	return &flow.Error{
		Op: "read manifest", Object: key, Class: flow.Fatal, Err: fmt.Errorf("it is that of pack %.80q", h.ID),
		Hint: "Objects of the archive were renamed or copied over each other. Bring them back under their own keys.",
	}
}

// Settle puts the outcomes of a pack beside it: all entries that are not in ex
// were deleted from MongoDB. That the same outcomes are there is success.
func (s *Shelf) Settle(ctx context.Context, p *cold.Pack, ex []cold.Exception) error {
	at := p.Updated
	if at.IsZero() {
		at = s.o.Now()
	}
	o := pack.Outcome{Pack: p.ID, Run: p.Run, Rule: p.Rule, NS: p.NS, Owner: s.o.Owner, At: at.UTC().Truncate(time.Millisecond)}
	return s.settle(ctx, outcomeOf(stemOf(p.Manifest)), o, p.Docs, ex)
}

func (s *Shelf) settle(ctx context.Context, key string, o pack.Outcome, docs int, ex []cold.Exception) error {
	const op = "settle pack"
	ex = slices.Clone(ex)
	slices.SortFunc(ex, func(a, b cold.Exception) int { return cmp.Compare(a.Entry, b.Entry) })
	ours := pack.NewOutcome(o, docs, ex)
	var b bytes.Buffer
	if err := ours.Encode(&b); err != nil {
		return err
	}
	there, _, err := s.putBack(ctx, key, b.Bytes())
	if err != nil {
		return fail(op, key, err)
	}
	if bytes.Equal(there, b.Bytes()) {
		return nil
	}
	old, err := pack.DecodeOutcome(bytes.NewReader(there))
	if err != nil {
		return fail(op, key, err)
	}
	if old.Pack != ours.Pack || old.Docs != ours.Docs || !slices.EqualFunc(old.Exceptions, ours.Exceptions, func(x, y cold.Exception) bool {
		return x.Entry == y.Entry && x.Outcome == y.Outcome
	}) {
		return otherObject(op, key)
	}
	return nil
}

// Outcome is what became of the documents of a pack.
type Outcome struct {
	// Known is false while MongoDB may still have documents of the pack, or if
	// none were to be deleted.
	Known bool `json:"known"`
	// Deleted, Changed, Gone and Unknown count them.
	Deleted int `json:"deleted"`
	Changed int `json:"changed"`
	Gone    int `json:"gone"`
	Unknown int `json:"unknown"`
	// Owner is who deleted them, At when the last outcome was known.
	Owner string    `json:"owner,omitempty"`
	At    time.Time `json:"at,omitzero"`
	// Exceptions are the outcomes that are not Deleted, by entry.
	Exceptions map[int]cold.Outcome `json:"-"`
}

func (o Outcome) docs() int { return o.Deleted + o.Changed + o.Gone + o.Unknown }

// Of returns the outcome of an entry, "" if it is not known.
func (o Outcome) Of(entry int) cold.Outcome {
	if !o.Known {
		return ""
	}
	if x, ok := o.Exceptions[entry]; ok {
		return x
	}
	return cold.Deleted
}

// Outcome reads what became of the documents of a pack, by p.Manifest.
func (s *Shelf) Outcome(ctx context.Context, p *cold.Pack) (Outcome, error) {
	return s.outcome(ctx, stemOf(p.Manifest))
}

// outcome reads that of a stem; that there is none is no error.
func (s *Shelf) outcome(ctx context.Context, stem string) (Outcome, error) {
	key := outcomeOf(stem)
	b, err := s.read(ctx, key)
	if errors.Is(err, objstore.ErrNotFound) {
		return Outcome{}, nil
	}
	if err != nil {
		return Outcome{}, fail("read outcome", key, err)
	}
	o, err := pack.DecodeOutcome(bytes.NewReader(b))
	if err != nil {
		return Outcome{}, fail("read outcome", key, err)
	}
	if part(o.Pack) != id(stem) {
		return Outcome{}, checkPlace(pack.Header{ID: o.Pack}, key)
	}
	known := Outcome{
		Known: true, Deleted: o.Deleted, Changed: o.Changed, Gone: o.Gone, Unknown: o.Unknown, Owner: o.Owner, At: o.At,
		Exceptions: make(map[int]cold.Outcome, len(o.Exceptions)),
	}
	for _, x := range o.Exceptions {
		known.Exceptions[x.Entry] = x.Outcome
	}
	return known, nil
}
