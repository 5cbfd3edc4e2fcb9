package search

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// writer turns one batch into bulk bodies and their answers into verdicts. One
// goroutine has it at a time; its buffers live on.
type writer struct {
	sink     *Sink
	changes  []flow.Change
	verdicts []flow.Verdict
	stats    transcode.Stats

	buf   []byte
	items []item
	path  *target // the one that the path of the body names
	// lost: the transport may still read buf, so it must not be written again.
	lost   bool
	id     []byte
	answer []byte
	zip    zipper

	// seen, if it is not nil, holds what deletes are for.
	seen map[string]sequence

	marked   map[int]marked
	recent   *target
	answered bool // some body got a whole answer
	// strayed holds, by change, the index that a document was added to, if that is
	// not the one that was known to take the writes of its data stream.
	strayed map[int]string
}

// item is one action in the body.
type item struct {
	change int
	start  int
	target *target
	del    bool
	// guarded: a conflict says that the document is no longer what it was.
	guarded bool
	create  bool
}

// run writes all changes.
func (w *writer) run(ctx context.Context) error {
	if err := w.fetchMarked(ctx); err != nil {
		return err
	}
	limit := w.sink.limiter.bodyBytes()
	for i := 0; i < len(w.changes); {
		before := w.stats
		if err := w.add(ctx, i); err != nil {
			return err
		}
		if len(w.buf) < limit {
			i++
			continue
		}
		// What went over the limit begins the next body, unless it is alone.
		if n := len(w.items) - 1; len(w.buf) > limit && n > 0 {
			w.buf, w.items, w.stats = w.buf[:w.items[n].start], w.items[:n], before
		} else {
			i++
		}
		if stop, err := w.flush(ctx); stop || err != nil {
			return err
		}
		limit = w.sink.limiter.bodyBytes()
	}
	_, err := w.flush(ctx)
	return err
}

// target returns that of ns; neighbours mostly share one.
func (w *writer) target(ctx context.Context, ns flow.Namespace) (*target, error) {
	if w.recent != nil && w.recent.ns == ns {
		return w.recent, nil
	}
	t, err := w.sink.target(ctx, ns)
	if err == nil {
		w.recent = t
	}
	return t, err
}

// add appends the action for a change to the body, or settles it at once.
func (w *writer) add(ctx context.Context, i int) error {
	c := &w.changes[i]
	if c.Op == flow.OpSkip {
		w.verdicts[i] = flow.Verdict{Outcome: flow.Done}
		return nil
	}
	t, err := w.target(ctx, c.NS)
	if err != nil {
		return err
	}
	if c.ID.IsZero() {
		w.settle(i, flow.DeadLetter, reasonKey, "read the key of", t, errors.New("the change has no _id"))
		return nil
	}
	w.encode(i, c, t)
	return nil
}

// encode writes the action of a change with its document.
func (w *writer) encode(i int, c *flow.Change, t *target) {
	it := item{change: i, start: len(w.buf), target: t}
	var err error
	if w.id, err = w.sink.scheme.appendID(w.id[:0], c.ID); err != nil {
		w.settle(i, flow.DeadLetter, reasonKey, "read the key of", t, err)
		return
	}
	if _, it.guarded = w.seen[string(w.id)]; w.seen != nil && !it.guarded {
		w.verdicts[i] = flow.Verdict{Outcome: flow.Superseded, Reason: "not_scanned"}
		return
	}
	switch c.Op {
	case flow.OpWrite:
		w.action(w.put(c.Attach), t, c.Version)
		if err := w.document(c, t); err != nil {
			w.buf = w.buf[:it.start]
			w.settle(i, flow.DeadLetter, reasonTranscode, "write the document for", t, err)
			return
		}
	case flow.OpDelete:
		if !w.delete(i, c, &it) {
			return
		}
	default:
		w.settle(i, flow.Halt, reasonRequest, "write to index", t, errors.New("a sink can't carry out the operation "+c.Op.String()))
		return
	}
	if w.path == nil {
		w.path = t
	}
	w.items = append(w.items, it)
}

// delete writes what becomes of a deleted document; false says that nothing of
// it is to be sent, and the change has its verdict.
func (w *writer) delete(i int, c *flow.Change, it *item) bool {
	t := it.target
	fate := t.route.fate(c)
	if fate == fateKeep && c.Doc == nil {
		w.verdicts[i] = flow.Verdict{Outcome: flow.Done}
		return false
	}
	m, found := w.marked[i]
	if m.verdict.Outcome != 0 {
		w.verdicts[i] = m.verdict
		return false
	}
	if fate == fateRemove || c.Doc == nil && !found {
		it.del = true
		w.action(`{"delete":{`, t, c.Version)
		return true
	}
	// What stays in the index is written at the version of the delete. What comes
	// from the index has been through the pipeline.
	start := w.put(nil)
	if c.Doc == nil && w.sink.client.opts.Pipeline != "" {
		start = `{"index":{"pipeline":"_none",`
	}
	w.action(start, t, c.Version)
	if err := w.left(c, t, m.source, fate); err != nil {
		w.buf = w.buf[:it.start]
		w.settle(i, flow.DeadLetter, reasonTranscode, "write the document for", t, err)
		if errors.Is(err, errArchivedField) {
			w.settle(i, flow.DeadLetter, reasonMapping, "mark an archived document of", t, err)
			hint(&w.verdicts[i], hintArchived)
		}
		return false
	}
	return true
}

// left appends the line of a document that stays after its delete. Without a
// Doc of the change it is source, what the index holds.
func (w *writer) left(c *flow.Change, t *target, source []byte, f fate) (err error) {
	start := len(w.buf)
	if c.Doc != nil {
		if err := w.document(c, t); err != nil || f == fateKeep {
			return err
		}
		source = bytes.Clone(w.buf[start : len(w.buf)-1])
		w.buf = w.buf[:start]
	}
	w.buf, err = appendMarked(w.buf, source, c, &t.route)
	w.buf = append(w.buf, '\n')
	return err
}

// settle gives a change its verdict without asking the engine.
func (w *writer) settle(i int, o flow.Outcome, reason, op string, t *target, err error) {
	class := flow.Fatal
	if o == flow.DeadLetter {
		class = flow.Document
	}
	w.verdicts[i] = flow.Verdict{Outcome: o, Reason: reason, Err: &flow.Error{Op: op, Object: t.name, Class: class, Err: err}}
}

// put begins the action line of a document.
func (w *writer) put(a *flow.Attachment) string {
	if w.sink.update && a == nil {
		return `{"update":{`
	}
	return indexStart(a)
}

// action appends an action line: what to do, where if the path does not say
// it, and at which version. external_gte lets the same write through again. An
// update has no version, and neither has what is between updates; one that meets
// somebody else's is made again by the engine.
func (w *writer) action(start string, t *target, version int64) {
	b := append(w.buf, start...)
	if w.path != nil && w.path != t {
		b = append(b, t.mixed...)
	}
	b = append(b, `"_id":`...)
	b = appendQuoted(b, w.id)
	if w.sink.update {
		if start == `{"update":{` {
			b = append(b, `,"retry_on_conflict":3`...)
		}
		if seq, ok := w.seen[string(w.id)]; ok {
			b = strconv.AppendInt(append(b, `,"if_seq_no":`...), seq.no, 10)
			b = strconv.AppendInt(append(b, `,"if_primary_term":`...), seq.term, 10)
		}
		w.buf = append(b, "}}\n"...)
		return
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, version+w.sink.scheme.offset, 10)
	w.buf = append(b, `,"version_type":"external_gte"}}`+"\n"...)
}

// document appends the document's line.
func (w *writer) document(c *flow.Change, t *target) error {
	attached := c.Op == flow.OpWrite && c.Attach != nil
	update := w.sink.update && !attached
	if update {
		w.buf = append(w.buf, `{"doc":`...)
	}
	start := len(w.buf)
	b, err := t.route.Plan.Append(w.buf, c.Doc, &w.stats)
	w.buf = b
	if err != nil {
		return err
	}
	if !w.sink.scheme.monstache && isHashed(w.id) {
		if w.buf, err = appendKey(w.buf, start, c.ID); err != nil {
			return err
		}
	}
	if update {
		w.buf = append(w.buf, `,"doc_as_upsert":true}`...)
	}
	if attached {
		if w.buf, err = appendAttachment(w.buf, start, c.Attach); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '\n')
	return nil
}

// flush sends the body. stop says that all other changes have their verdict too.
func (w *writer) flush(ctx context.Context) (stop bool, err error) {
	if len(w.items) == 0 {
		return false, nil
	}
	if err := w.send(ctx, 0, len(w.items)); err != nil {
		return true, w.giveUp(ctx, err)
	}
	if w.lost {
		w.buf, w.lost = nil, false
	}
	w.buf, w.items, w.path = w.buf[:0], w.items[:0], nil
	return false, nil
}

// end is where item i ends in buf.
func (w *writer) end(i int) int {
	if i+1 < len(w.items) {
		return w.items[i+1].start
	}
	return len(w.buf)
}

// giveUp ends a batch of which a body failed. Changes without a verdict are
// sent again by who called; if none has one from the engine, so is the batch.
func (w *writer) giveUp(ctx context.Context, err error) error {
	if ctx.Err() != nil || !w.answered || flow.ClassOf(err) != flow.Transient {
		return err
	}
	n := 0
	for i := range w.verdicts {
		if w.verdicts[i].Outcome == 0 {
			w.verdicts[i] = flow.Verdict{Outcome: flow.Retry, Reason: reasonOutcome, Err: err}
			n++
		}
	}
	w.sink.client.metrics.retry(reasonOutcome, n)
	return nil
}

// reset lets go of the batch, and of buffers that grew out of all measure.
func (w *writer) reset() {
	w.changes, w.verdicts, w.marked, w.path, w.recent, w.seen, w.strayed = nil, nil, nil, nil, nil, nil, nil
	w.stats, w.answered = transcode.Stats{}, false
	clear(w.items[:cap(w.items)])
	w.items = w.items[:0]
	if w.lost || cap(w.buf) > 2*w.sink.client.opts.BodyBytes+minBody {
		w.buf, w.lost = nil, false
	}
	w.buf = w.buf[:0]
	if cap(w.answer) > 4<<20 {
		w.answer = nil
	}
	w.zip.trim(w.sink.client.opts.BodyBytes)
}
