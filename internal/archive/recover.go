package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// unfinished are the states of packs that somebody has to go on with.
func unfinished() []cold.PackState {
	return []cold.PackState{
		cold.PackPlanned, cold.PackSpooled, cold.PackPacked, cold.PackUploaded, cold.PackVerified,
		cold.PackCommitted, cold.PackDeleting, cold.PackDeleted,
	}
}

// recover gives up what earlier owners had not uploaded, and finishes the rest.
func (j *job) recover(ctx context.Context) error {
	packs, err := j.deps.DB.Packs(ctx, PackQuery{Rule: j.rule.Name, NS: j.rule.NS.String(), States: unfinished()})
	if err != nil {
		return err
	}
	runs, err := j.runsOf(ctx, packs)
	if err != nil {
		return err
	}
	for i := range packs {
		p := &packs[i]
		run, ok := runs[p.Run]
		if !ok {
			return &flow.Error{
				Op: "finish pack", Object: p.ID, Class: flow.Fatal, Err: errors.New("its run " + p.Run + " is not in the journal"),
				Hint: "Build the journal again from the bucket: sluice archive rebuild-catalogue.",
			}
		}
		j.touched[p.Run] = true
		if err := j.resume(ctx, &work{pack: p, run: run}); err != nil {
			return err
		}
	}
	// The runs without an open pack too.
	open, err := j.deps.DB.Runs(ctx, RunQuery{
		Rule: j.rule.Name, NS: j.rule.NS.String(), States: []cold.RunState{cold.RunPlanned, cold.RunOpen, cold.RunSoaking},
	})
	if err != nil {
		return err
	}
	for _, r := range open {
		j.touched[r.ID] = true
	}
	return j.settleRuns(ctx)
}

// runsOf reads the runs of packs.
func (j *job) runsOf(ctx context.Context, packs []cold.Pack) (map[string]*cold.Run, error) {
	if len(packs) == 0 {
		return nil, nil
	}
	byID := map[string]*cold.Run{}
	var ids []string
	for _, p := range packs {
		if _, ok := byID[p.Run]; !ok {
			byID[p.Run] = nil
			ids = append(ids, p.Run)
		}
	}
	runs, err := j.deps.DB.Runs(ctx, RunQuery{IDs: ids})
	if err != nil {
		return nil, err
	}
	clear(byID)
	for i := range runs {
		byID[runs[i].ID] = &runs[i]
	}
	return byID, nil
}

// resume goes on with one pack.
func (j *job) resume(ctx context.Context, w *work) error {
	switch w.pack.State {
	case cold.PackPlanned, cold.PackSpooled, cold.PackPacked:
		return j.abandon(ctx, w, "its documents were not uploaded")
	}
	if j.pending(w) {
		j.report.Waiting++
		return nil
	}
	if err := j.surveyed(ctx, w); err != nil {
		return err
	}
	j.prog.packIs(w.pack.ID)
	j.log.Info("going on with a pack", "pack", w.pack.ID, "run", w.pack.Run, "state", string(w.pack.State))
	place, err := j.place(ctx, w.pack)
	if err != nil {
		return err
	}
	w.manifest, err = place.Shelf.Manifest(ctx, w.pack.Manifest)
	uncommitted := w.pack.State == cold.PackUploaded || w.pack.State == cold.PackVerified
	if errors.Is(err, objstore.ErrNotFound) && uncommitted {
		if w.manifest, err = j.rebuild(ctx, w, place); hopeless(err) {
			return j.abandon(ctx, w, firstLine(err))
		}
	}
	if err != nil {
		return err
	}
	if w.manifest.Header.SHA256 != w.pack.SHA256 || w.manifest.Header.ID != w.pack.ID {
		return &flow.Error{
			Op: "go on with pack", Object: w.pack.ID, Class: flow.Fatal,
			Err: errors.New("the manifest " + w.pack.Manifest + " is not that of the journal"),
		}
	}
	if err := j.verifyAgain(ctx, w, place); err != nil {
		return err
	}
	j.report.Resumed++
	return j.advance(ctx, w)
}

// verifyAgain reads the object back once more before anything is committed or
// deleted on its word: whoever verified it is gone, and so is what it has seen.
// Since then the pack has soaked, or its row was written anew from the bucket. One
// that went into a cold class meanwhile is there, and can't be read.
func (j *job) verifyAgain(ctx context.Context, w *work, place Place) error {
	switch {
	case w.pack.State == cold.PackVerified:
	case (w.pack.State == cold.PackCommitted || w.pack.State == cold.PackDeleting) && j.mayDelete(w) && w.pack.Next < w.pack.Docs:
	default:
		return nil
	}
	err := place.Shelf.Verify(ctx, w.manifest)
	if err == nil || errors.Is(err, objstore.ErrCold) && w.pack.State != cold.PackVerified {
		return nil
	}
	return &flow.Error{
		Op: "read back again before its documents are deleted: pack", Object: w.pack.ID, Class: flow.ClassOf(err), Err: err,
		Hint: "Nothing is deleted on its word. Bring the object back, from an older version in the bucket or from a copy; the next run goes on.",
	}
}

// hopeless: the object is not there, or is not what was written. Nothing was
// deleted on its word; garbage collection removes it.
func hopeless(err error) bool {
	if err == nil {
		return false
	}
	switch flow.ClassOf(err) {
	case flow.Unknown, flow.Document, flow.Fatal:
		return !errors.Is(err, context.Canceled)
	}
	return errors.Is(err, objstore.ErrNotFound)
}

// pending tells whether a committed pack is not due, so that nothing is to be
// read of it.
func (j *job) pending(w *work) bool {
	return w.pack.State == cold.PackCommitted && w.run.Delete && !w.run.Shadow &&
		(!j.mayDelete(w) || w.pack.DeleteAfter.After(j.now))
}

func (j *job) abandon(ctx context.Context, w *work, reason string) error {
	j.log.Info("a pack of an earlier run is given up", "pack", w.pack.ID, "state", string(w.pack.State), flow.LogReason, reason)
	j.report.Abandoned++
	return j.move(ctx, w, cold.PackAbandoned)
}

// surveyed asks for what deleting and manifests need to know of the collection.
func (j *job) surveyed(ctx context.Context, w *work) error {
	if j.survey.Kind != "" {
		return nil
	}
	sel, err := selectionOf(*w.run)
	if err != nil {
		return err
	}
	j.survey, err = j.deps.DB.Survey(ctx, sel)
	return err
}

// rebuild makes the manifest of an object whose writer died before it was
// committed: the documents are read back and written again. If that gives the
// same object, byte for byte, its manifest is the one that is missing.
func (j *job) rebuild(ctx context.Context, w *work, place Place) (*pack.Manifest, error) {
	body, err := place.Objects.Get(ctx, w.pack.Object, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	codec := pack.Zstd
	if strings.HasSuffix(w.pack.Object, pack.Gzip.Ext()) {
		codec = pack.Gzip
	}
	pw, err := pack.NewWriter(io.Discard, pack.WriterOptions{Codec: codec, Level: j.rule.Level, FrameBytes: j.rule.FrameBytes, Docs: w.pack.Docs})
	if err != nil {
		return nil, err
	}
	split := &splitter{take: func(doc bson.Raw) error {
		age, ok := ageOf(doc, strings.Split(w.run.Field, "."), w.run.Kind)
		if !ok {
			return fmt.Errorf("a document has no age in %s", w.run.Field)
		}
		key, err := keyOf(doc, j.survey.ShardKey)
		if err != nil {
			return err
		}
		return pw.Append(doc, cold.Entry{Key: key, Age: age})
	}}
	if err := pack.Decode(split, body, codec); err != nil {
		return nil, err
	}
	whole, err := pw.Close()
	if err != nil {
		return nil, err
	}
	h := j.header(w, 0)
	// Not when it was begun: a version that another pack took meanwhile would then
	// pass for newer than one that was read later.
	h.ReadFrom, h.ReadTo, h.DeleteAfter = w.pack.ReadFrom, w.pack.ReadTo, w.pack.DeleteAfter
	m := pack.NewManifest(h, whole)
	if m.Header.SHA256 != w.pack.SHA256 {
		return nil, errors.New("its object can't be made again from its documents")
	}
	return m, nil
}

// splitter is an io.Writer that cuts a BSON stream into documents.
type splitter struct {
	buf  bytes.Buffer
	take func(bson.Raw) error
}

func (s *splitter) Write(p []byte) (int, error) {
	s.buf.Write(p)
	for s.buf.Len() >= 4 {
		b := s.buf.Bytes()
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16 | int(b[3])<<24
		if n < 5 {
			return 0, fmt.Errorf("a BSON document of %d bytes is told", n)
		}
		if len(b) < n {
			break
		}
		if err := s.take(bson.Raw(s.buf.Next(n))); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
