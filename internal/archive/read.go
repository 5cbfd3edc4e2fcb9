package archive

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// readAll archives the selection, by ranges of age in parallel, and then the
// documents that had changed when their packs were deleted.
func (j *job) readAll(ctx context.Context, sel cold.Selection, left []cold.Exception) error {
	ranges := []cold.Bounds{{}}
	if j.rule.Parallel > 1 && j.survey.Count > 0 {
		split, err := j.deps.DB.Split(ctx, sel, j.rule.Parallel)
		if err != nil {
			return err
		}
		if len(split) > 0 {
			ranges = split
		}
	}
	if j.survey.Count > 0 {
		g, gctx := errgroup.WithContext(ctx)
		for _, b := range ranges {
			// In one range all before a pack is committed with it, so the mark may follow.
			g.Go(func() error { return j.lane(gctx, sel, len(ranges) == 1, j.scan(sel, b)) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	if len(left) == 0 {
		return nil
	}
	if err := j.lane(ctx, sel, false, j.again(sel, left)); err != nil {
		return err
	}
	return j.deps.DB.DropExceptions(ctx, left)
}

// source hands replies of old documents to take, in order.
type source func(ctx context.Context, take func(cold.Read) error) error

// scan reads a range by the index.
func (j *job) scan(sel cold.Selection, b cold.Bounds) source {
	return func(ctx context.Context, take func(cold.Read) error) error {
		cur, err := j.deps.DB.Read(ctx, sel, b, ReadOptions{j.rule.BatchDocs, j.rule.BatchBytes})
		if err != nil {
			return err
		}
		defer func() { cur.Close(context.WithoutCancel(ctx)) }()
		for {
			begun := time.Now()
			r, err := cur.Next(ctx)
			j.spent(&j.report.Phases.Read, &j.report.Phases.Pack, begun)
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := take(r); err != nil {
				return err
			}
		}
	}
}

// lane reads packs from src into the spool, and finishes each while the next is
// read: at most two are in the spool.
func (j *job) lane(ctx context.Context, sel cold.Selection, inOrder bool, src source) error {
	g, ctx := errgroup.WithContext(ctx)
	ready := make(chan *work)
	g.Go(func() error {
		for w := range ready {
			w.inOrder = inOrder
			if err := j.advance(ctx, w); err != nil {
				w.file.remove()
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		defer close(ready)
		defer j.spent(&j.report.Phases.Pack, nil, time.Now())
		b := &builder{job: j, runOf: j.runRow(), sel: sel, path: strings.Split(sel.Field, "."), ready: ready}
		defer b.drop()
		if err := src(ctx, func(r cold.Read) error { return b.take(ctx, r) }); err != nil {
			return err
		}
		return b.finish(ctx)
	})
	return g.Wait()
}

// work is one pack on its way from spooled to closed.
type work struct {
	pack     *cold.Pack
	run      *cold.Run
	manifest *pack.Manifest
	file     *spoolFile // nil in another process than that which read it
	inOrder  bool
}

// builder fills packs.
type builder struct {
	*job
	runOf *cold.Run // a copy
	sel   cold.Selection
	path  []string
	ready chan<- *work

	pack     *cold.Pack
	file     *spoolFile
	w        *pack.Writer
	since    time.Time
	from, to bson.Timestamp
}

// take adds the documents of one reply.
func (b *builder) take(ctx context.Context, r cold.Read) error {
	var bytes int64
	for _, d := range r.Docs {
		bytes += int64(len(d))
	}
	if err := b.deps.Governor.Wait(ctx, len(r.Docs), bytes); err != nil {
		return err
	}
	held, err := b.onHold(ctx, r.Docs)
	if err != nil {
		return err
	}
	for i, doc := range r.Docs {
		if _, yes := held[i]; yes {
			b.held.Add(1)
			continue
		}
		if err := b.add(ctx, doc, r.At); err != nil {
			return err
		}
	}
	b.prog.read(len(r.Docs), bytes)
	b.deps.Metrics.read(b.rule, len(r.Docs), bytes)
	return nil
}

// onHold tells which documents were restored lately, by their place.
func (j *job) onHold(ctx context.Context, docs []bson.Raw) (map[int]time.Time, error) {
	ids := make([]bson.RawValue, len(docs))
	for i, d := range docs {
		ids[i] = d.Lookup("_id")
	}
	return j.heldIDs(ctx, ids)
}

func (j *job) heldIDs(ctx context.Context, ids []bson.RawValue) (map[int]time.Time, error) {
	if j.rule.IgnoreHolds || len(ids) == 0 {
		return nil, nil
	}
	// Asked each time: a restore may begin while we read.
	has, err := j.deps.DB.HasHolds(ctx, j.rule.NS)
	if err != nil || !has {
		return nil, err
	}
	return j.deps.DB.Held(ctx, j.rule.NS, ids)
}

func (b *builder) add(ctx context.Context, doc bson.Raw, at bson.Timestamp) error {
	age, ok := ageOf(doc, b.path, b.sel.Kind)
	if !ok {
		b.skip.Add(1)
		return nil
	}
	if b.pack == nil {
		if err := b.begin(ctx); err != nil {
			return err
		}
	}
	key, err := keyOf(doc, b.survey.ShardKey)
	if err == nil {
		err = b.w.Append(doc, cold.Entry{Key: key, Age: age})
	}
	if flow.ClassOf(err) == flow.Document {
		b.skip.Add(1)
		b.log.Warn("a document does not fit in a pack, and stays", flow.LogErr, err)
		return nil
	} else if err != nil {
		return err
	}
	if b.from.IsZero() || at.Before(b.from) {
		b.from = at
	}
	if at.After(b.to) {
		b.to = at
	}
	if b.w.Bytes() >= b.packBytes() || b.w.Docs() >= b.rule.PackDocs || time.Since(b.since) >= b.rule.PackWait {
		return b.finish(ctx)
	}
	return nil
}

// packBytes is the target for an object, within the bound of the spool.
func (b *builder) packBytes() int64 {
	return min(b.rule.PackBytes, max(b.spool.room.Size()-slack, b.spool.room.Size()/2))
}

// begin starts the next pack.
func (b *builder) begin(ctx context.Context) error {
	now := time.Now()
	p := &cold.Pack{
		ID: newID(b.serverNow()), Run: b.runOf.ID, Rule: b.rule.Name, NS: b.rule.NS.String(), State: cold.PackPlanned,
		Fence: b.fence, Created: b.serverNow(), Updated: now,
	}
	file, err := b.spool.open(ctx, b.dir, p.ID, b.packBytes())
	if err != nil {
		return err
	}
	b.file = file
	b.w, err = pack.NewWriter(file, pack.WriterOptions{Codec: b.rule.Codec, Level: b.rule.Level, FrameBytes: b.rule.FrameBytes})
	if err != nil {
		return err
	}
	err = b.step(ctx, StepPlanned, nil, func() error { return b.deps.DB.PutPack(ctx, *p, "") })
	if err != nil {
		return err
	}
	b.pack, b.since, b.from, b.to = p, now, bson.Timestamp{}, bson.Timestamp{}
	b.prog.packIs(p.ID)
	return nil
}

// serverNow is the server's time, as far as ours has gone on since it was asked.
func (j *job) serverNow() time.Time { return j.now.Add(time.Since(j.asked)) }

// finish closes the pack, and hands it on when the one before is done.
func (b *builder) finish(ctx context.Context) error {
	if b.pack == nil {
		return nil
	}
	var body pack.Body
	w := &work{pack: b.pack, run: b.runOf, file: b.file}
	err := b.step(ctx, StepSpooled, func() (err error) {
		body, err = b.w.Close()
		return err
	}, func() error { return b.move(ctx, w, cold.PackSpooled) })
	if err != nil {
		return err
	}
	if body.Docs == 0 {
		b.drop()
		return b.move(ctx, w, cold.PackAbandoned)
	}
	err = b.step(ctx, StepPacked, func() error {
		b.deps.Place.Shelf.Place(w.pack)
		w.manifest = b.manifest(w, body)
		h := w.manifest.Header
		w.pack.Docs, w.pack.RawBytes, w.pack.Bytes, w.pack.SHA256 = h.Docs, h.RawBytes, h.Bytes, h.SHA256
		w.pack.MinAge, w.pack.MaxAge, w.pack.DeleteAfter = h.MinAge, h.MaxAge, h.DeleteAfter
		w.pack.ReadFrom, w.pack.ReadTo = h.ReadFrom, h.ReadTo
		return nil
	}, func() error { return b.move(ctx, w, cold.PackPacked) })
	if err != nil {
		return err
	}
	begun := time.Now()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case b.ready <- w:
		b.spent(nil, &b.report.Phases.Pack, begun)
		b.pack, b.file, b.w = nil, nil, nil
		return nil
	}
}

// drop takes the file of an unfinished pack away.
func (b *builder) drop() {
	b.file.remove()
	b.pack, b.file, b.w = nil, nil, nil
}

// manifest makes the manifest of a pack of this run.
func (b *builder) manifest(w *work, body pack.Body) *pack.Manifest {
	h := b.header(w, b.rule.Soak)
	h.ReadFrom, h.ReadTo = b.from, b.to
	return pack.NewManifest(h, body)
}

// body is the file as it is uploaded.
func (f *spoolFile) body() (objstore.Body, error) { return objstore.FileBody(f.f) }
