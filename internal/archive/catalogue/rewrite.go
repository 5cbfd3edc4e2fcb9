package catalogue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path"
	"slices"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// rewrite writes the pack o anew without the entries doomed, and commits it: the
// new pack is in the bucket and was read back, and its outcomes are there, before
// its manifest is.
func (s *Shelf) rewrite(ctx context.Context, o *Opened, doomed []int) (*pack.Manifest, error) {
	const op = "rewrite pack"
	file, err := os.CreateTemp(s.o.TempDir, "sluice-forget-*")
	if err != nil {
		return nil, &flow.Error{Op: op, Object: o.Header.Object, Class: flow.Fatal, Err: err, Hint: "A pack is written to a temporary file first: set TMPDIR to where there is room."}
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	kept := keep(len(o.Manifest.Entries), doomed)
	m, err := s.writeAnew(ctx, file, o, kept)
	if err != nil {
		return nil, fail(op, o.Header.Object, err)
	}
	body, err := objstore.FileBody(file)
	if err != nil {
		return nil, err
	}
	h := m.Header
	if err := s.Upload(ctx, &cold.Pack{Object: h.Object, SHA256: h.SHA256, Bytes: h.Bytes}, body); err != nil {
		return nil, err
	}
	if err := s.Verify(ctx, m); err != nil {
		return nil, err
	}
	stem := path.Dir(h.Object) + "/" + part(h.ID)
	if err := s.carry(ctx, o, m, stem, kept); err != nil {
		return nil, err
	}
	if err := s.Commit(ctx, m); err != nil {
		return nil, err
	}
	// The outcomes are ours, or somebody else forgets in this pack.
	now, err := s.outcome(ctx, stem)
	if err != nil {
		return nil, err
	}
	if want := carried(o, kept); now.Known != o.Outcome.Known || len(now.Exceptions) != len(want) || now.docs() != len(kept) && now.Known {
		return nil, otherObject(op, outcomeOf(stem))
	}
	return m, nil
}

// keep returns the numbers below n that are not in doomed, which is in order.
func keep(n int, doomed []int) []int {
	kept := make([]int, 0, n-len(doomed))
	for i := range n {
		if len(doomed) > 0 && doomed[0] == i {
			doomed = doomed[1:]
			continue
		}
		kept = append(kept, i)
	}
	return kept
}

// writeAnew writes the kept entries to file, and makes the manifest.
func (s *Shelf) writeAnew(ctx context.Context, file *os.File, o *Opened, kept []int) (*pack.Manifest, error) {
	old := o.Manifest.Header
	w, err := pack.NewWriter(file, pack.WriterOptions{Codec: old.Codec, Docs: len(kept)})
	if err != nil {
		return nil, err
	}
	for d, err := range o.Docs(ctx, kept) {
		if err != nil {
			return nil, err
		}
		e := o.Manifest.Entries[d.Entry]
		if err := w.Append(d.Doc, cold.Entry{ID: e.ID, Key: e.Key, Age: e.Age}); err != nil {
			return nil, err
		}
	}
	body, err := w.Close()
	if err != nil {
		return nil, err
	}
	if body.Docs != len(kept) {
		return nil, errors.New("not all documents were written")
	}
	h := old
	h.ID, h.Supersedes = rewritten(old.ID), old.ID
	if s.o.Tool != "" {
		h.Tool = s.o.Tool
	}
	h.Object = path.Dir(old.Object) + "/" + part(h.ID) + "-" + hex.EncodeToString(body.SHA256[:4]) + old.Codec.Ext()
	return pack.NewManifest(h, body), nil
}

// carried are the exceptions of the kept entries, under their new numbers.
func carried(o *Opened, kept []int) []cold.Exception {
	var ex []cold.Exception
	for now, was := range kept {
		if x, ok := o.Outcome.Exceptions[was]; ok {
			ex = append(ex, cold.Exception{Entry: now, Outcome: x})
		}
	}
	return ex
}

// carry puts the outcomes of the new pack. Those that another Forget left, which
// died before its manifest, give way.
func (s *Shelf) carry(ctx context.Context, o *Opened, m *pack.Manifest, stem string, kept []int) error {
	if !o.Outcome.Known {
		return nil
	}
	h := m.Header
	out := pack.Outcome{Pack: h.ID, Run: h.Run, Rule: h.Rule, NS: h.NS, Owner: o.Outcome.Owner, At: o.Outcome.At}
	put := func() error { return s.settle(ctx, outcomeOf(stem), out, len(kept), carried(o, kept)) }
	err := put()
	if flow.ClassOf(err) != flow.Conflict {
		return err
	}
	if _, head := s.store.Head(ctx, manifestOf(stem)); !errors.Is(head, objstore.ErrNotFound) {
		return err
	}
	if err := s.store.Delete(ctx, outcomeOf(stem)); err != nil {
		return fail("remove", outcomeOf(stem), err)
	}
	return put()
}

// putNew puts a small object under a key that must be free.
func (s *Shelf) putNew(ctx context.Context, key string, b []byte) error {
	there, existed, err := s.putBack(ctx, key, b)
	if err == nil && (existed || !bytes.Equal(there, b)) {
		err = otherObject("put", key)
	}
	return fail("put", key, err)
}

// keyHash is what an audit record tells of a key: it proves which one was erased
// to who knows it, and tells nobody else.
func keyHash(ns string, key []byte) string {
	sum := sha256.Sum256(slices.Concat([]byte(ns), []byte{0}, key))
	return hex.EncodeToString(sum[:])
}
