package search

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// write sends the documents to their places.
func (p *placedBatch) write(ctx context.Context) error {
	w := p.writer
	limit := p.sink.limiter.bodyBytes()
	var sent []*job
	w.verdicts = make([]flow.Verdict, len(p.jobs))
	written := map[string]bool{}
	for i := range p.jobs {
		j := &p.jobs[i]
		if !j.put {
			continue
		}
		if !p.put(j, len(sent)) {
			continue
		}
		sent = append(sent, j)
		written[j.target.concrete] = true
		if len(w.buf) < limit {
			continue
		}
		if err := p.flushSoiling(ctx, written); err != nil {
			return err
		}
	}
	if err := p.flushSoiling(ctx, written); err != nil {
		return err
	}
	for k, j := range sent {
		j.verdict = p.judged(j.target, w.verdicts[k])
	}
	return nil
}

// flushSoiling is flush; whatever comes of it, searches have to see what it wrote.
func (p *placedBatch) flushSoiling(ctx context.Context, written map[string]bool) error {
	p.sink.places.soil(written)
	err := p.flush(ctx)
	p.sink.places.soil(written)
	return err
}

// flush sends what is in the body. What has no verdict after a body has failed is
// of those that are tried again.
func (p *placedBatch) flush(ctx context.Context) error {
	_, err := p.writer.flush(ctx)
	if err != nil {
		return err
	}
	w := p.writer
	w.buf, w.items, w.path = w.buf[:0], w.items[:0], nil
	return nil
}

// judged makes that an index is gone a thing that passes where names come from
// documents: it is made anew. Elsewhere somebody has to start again.
func (p *placedBatch) judged(t *target, v flow.Verdict) flow.Verdict {
	if v.Outcome == 0 {
		return flow.Verdict{Outcome: flow.Retry, Reason: reasonOutcome}
	}
	if v.Outcome == flow.Halt && v.Reason == reasonMissing && p.sink.places.Prefix != nil {
		p.sink.places.forget(t)
		v.Outcome = flow.Retry
	}
	return v
}

// put appends the action and the document of a job; false says that the document
// can't be written, and the job has its verdict.
func (p *placedBatch) put(j *job, n int) bool {
	w, c := p.writer, &p.batch.Changes[j.change]
	start := len(w.buf)
	w.actionAt(`{"index":{`, j.target, j.at.ID, j.at.Routing, c.Version)
	err := p.body(j, c)
	if err != nil {
		w.buf = w.buf[:start]
		j.verdict = letter(reasonTranscode, c.NS, err)
		hint(&j.verdict, "")
		if errors.Is(err, errArchivedField) {
			j.verdict = letter(reasonMapping, c.NS, err)
			hint(&j.verdict, hintArchived)
		}
		return false
	}
	w.buf = append(w.buf, '\n')
	if w.path == nil {
		w.path = j.target
	}
	w.items = append(w.items, item{change: n, start: start, target: j.target})
	return true
}

// body appends what is written: the document with the fields that lead back to
// it, or what the index holds, with a mark.
func (p *placedBatch) body(j *job, c *flow.Change) (err error) {
	w := p.writer
	start := len(w.buf)
	source := j.stays
	if c.Doc != nil {
		if w.buf, err = j.target.route.Plan.Append(w.buf, c.Doc, &w.stats); err != nil {
			return err
		}
		if p.sink.places.Field != "" {
			w.buf = appendField(w.buf, start, p.sink.places.Field, j.at.Field)
		}
		if w.buf, err = appendLead(w.buf, start, c, j.key); err != nil || j.fate == fateRemove || j.fate == fateKeep {
			return err
		}
		source = bytes.Clone(w.buf[start:])
		w.buf = w.buf[:start]
	}
	w.buf, err = appendMarked(w.buf, source, c, &j.target.route)
	return err
}

// appendLead puts the namespace and the key of a document into its body (rule
// S10). buf ends with the document, which begins at start.
func appendLead(buf []byte, start int, c *flow.Change, key string) (_ []byte, err error) {
	if isHashed([]byte(key)) {
		if buf, err = appendKey(buf, start, c.ID); err != nil {
			return buf, err
		}
	}
	buf = buf[:len(buf)-1]
	if len(buf)-start > 1 {
		buf = append(buf, ',')
	}
	buf = transcode.AppendString(append(buf, `"`+nsField+`":`...), c.NS.String())
	buf = transcode.AppendString(append(buf, `,"`+idField+`":`...), key)
	return append(buf, '}'), nil
}

// actionAt appends an action line for one place.
func (w *writer) actionAt(start string, t *target, id, routing string, version int64) {
	b := append(w.buf, start...)
	if w.path != nil && w.path != t {
		b = append(b, t.mixed...)
	}
	b = transcode.AppendString(append(b, `"_id":`...), id)
	if routing != "" {
		b = transcode.AppendString(append(b, `,"routing":`...), routing)
	}
	b = strconv.AppendInt(append(b, `,"version":`...), version+w.sink.scheme.offset, 10)
	w.buf = append(b, `,"version_type":"external_gte"}}`+"\n"...)
}

// remove deletes what lies elsewhere, where the document itself is settled.
func (p *placedBatch) remove(ctx context.Context) error {
	w := p.writer
	type removal struct {
		job    *job
		target *target
	}
	var all []removal
	written := map[string]bool{}
	limit := p.sink.limiter.bodyBytes()
	total := 0
	for i := range p.jobs {
		total += len(p.jobs[i].spots)
	}
	w.verdicts = make([]flow.Verdict, total)
	for i := range p.jobs {
		j := &p.jobs[i]
		if o := j.verdict.Outcome; o == flow.Retry || o == flow.Halt {
			continue
		}
		version := p.batch.Changes[j.change].Version
		for k := range j.spots {
			f := &j.spots[k]
			if f.version > version || j.target != nil && f.is(j.target, j.at) {
				continue
			}
			start := len(w.buf)
			at := version
			if j.target != nil && f.shares(j.target, j.at) {
				at-- // what was written there now is newer, and stays
			}
			w.actionAt(`{"delete":{`, f.target, f.id, f.routing, at)
			if w.path == nil {
				w.path = f.target
			}
			w.items = append(w.items, item{change: len(all), start: start, target: f.target, del: true})
			all = append(all, removal{j, f.target})
			written[f.target.concrete] = true
			if len(w.buf) < limit {
				continue
			}
			if err := p.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	p.sink.places.soil(written)
	for k, one := range all {
		v := p.judged(one.target, w.verdicts[k])
		switch v.Outcome {
		case flow.Done, flow.Superseded:
		case flow.Retry, flow.Halt:
			if one.job.verdict.Outcome != flow.Halt {
				one.job.verdict = v
			}
		default:
			v.Outcome = flow.Halt
			one.job.verdict = v
		}
	}
	return nil
}
