package search

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// streamBatch adds the documents of one batch to their data streams (rule S2: there
// are no versions; a document that is there already stays as it is).
type streamBatch struct {
	sink     *Sink
	batch    *flow.Batch
	verdicts []flow.Verdict
	adds     []addition
	writer   *writer
}

// addition is one document to be added.
type addition struct {
	change int
	key    string
	at     time.Time
	// backing is what was known of the data stream when it was written.
	backing *backing
}

// writeStream is Write where documents go to data streams.
func (s *Sink) writeStream(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
	p := &streamBatch{sink: s, batch: &b, verdicts: make([]flow.Verdict, len(b.Changes)), writer: s.takeWriter()}
	defer s.giveWriter(p.writer)
	p.writer.verdicts = p.verdicts
	p.plan()
	for _, step := range []func(context.Context) error{p.sift, p.write, p.check} {
		if err := step(ctx); err != nil {
			p.lost()
			return nil, err
		}
	}
	if slices.ContainsFunc(p.verdicts, func(v flow.Verdict) bool {
		return v.Outcome == flow.Retry && (v.Reason == reasonOutcome || v.Reason == reasonUnavailable || v.Reason == reasonServer)
	}) {
		p.lost()
	}
	p.tell(ctx)
	return p.verdicts, nil
}

// lost takes note that some of the batch may be written though nobody said so: then
// what comes again is looked for when that is over.
func (p *streamBatch) lost() {
	p.sink.earlier.disturb()
	for i := range p.adds {
		p.sink.streams.soil(p.batch.Changes[p.adds[i].change].NS)
	}
}

// plan sets out what is to be added. A delete adds the document that was merged into
// it, and is passed over else.
func (p *streamBatch) plan() {
	var key []byte
	for i := range p.batch.Changes {
		c := &p.batch.Changes[i]
		v := &p.verdicts[i]
		switch {
		case c.Op == flow.OpSkip, c.Op == flow.OpDelete && (c.Doc == nil || c.Left):
			v.Outcome = flow.Done
		case c.ID.IsZero():
			*v = letter(reasonKey, c.NS, errors.New("the change has no _id"))
			hint(v, "")
		case c.Op == flow.OpWrite, c.Op == flow.OpDelete:
			at, err := p.sink.streams.Time(c.ID, c.Doc)
			if err != nil {
				*v = letter(reasonTimestamp, c.NS, err)
				hint(v, "give the document the field, or name another one in data_stream.timestamp")
				continue
			}
			key = transcode.AppendID(key[:0], c.ID)
			p.adds = append(p.adds, addition{change: i, key: string(key), at: at})
		default:
			*v = flow.Verdict{Outcome: flow.Halt, Reason: reasonRequest, Err: &flow.Error{
				Op: "write documents of", Object: c.NS.String(), Class: flow.Fatal, Err: errors.New("a sink can't carry out the operation " + c.Op.String()),
			}}
		}
	}
}

// sift settles what is in the older indexes of its data stream.
func (p *streamBatch) sift(ctx context.Context) error {
	keys := map[flow.Namespace][]string{}
	for i := range p.adds {
		a := &p.adds[i]
		ns := p.batch.Changes[a.change].NS
		b, err := p.sink.backing(ctx, ns)
		if err != nil {
			return err
		}
		if a.backing = b; len(b.older) > 0 {
			keys[ns] = append(keys[ns], a.key)
		}
	}
	found := map[flow.Namespace]map[string]bool{}
	for ns, of := range keys {
		var err error
		if found[ns], err = p.sink.repeats(ctx, ns, of); err != nil {
			return err
		}
	}
	p.adds = slices.DeleteFunc(p.adds, func(a addition) bool {
		there := found[p.batch.Changes[a.change].NS][a.key]
		if there {
			p.verdicts[a.change] = flow.Verdict{Outcome: flow.Superseded, Reason: reasonExists}
		}
		return there
	})
	return nil
}

// write sends what is left.
func (p *streamBatch) write(ctx context.Context) error {
	w := p.writer
	limit := p.sink.limiter.bodyBytes()
	for i := range p.adds {
		a := &p.adds[i]
		c := &p.batch.Changes[a.change]
		start := len(w.buf)
		if err := p.append(a, c); err != nil {
			w.buf = w.buf[:start]
			p.verdicts[a.change] = letter(reasonTranscode, c.NS, err)
			hint(&p.verdicts[a.change], "")
			continue
		}
		if w.path == nil {
			w.path = a.backing.target
		}
		w.items = append(w.items, item{change: a.change, start: start, target: a.backing.target, create: true})
		if len(w.buf) < limit {
			continue
		}
		if stop, err := w.flush(ctx); stop || err != nil {
			return err
		}
	}
	_, err := w.flush(ctx)
	return err
}

// append writes the action and the document.
func (p *streamBatch) append(a *addition, c *flow.Change) (err error) {
	w, t := p.writer, a.backing.target
	b := append(w.buf, `{"create":{`...)
	if w.path != nil && w.path != t {
		b = append(b, t.mixed...)
	}
	w.buf = append(transcode.AppendString(append(b, `"_id":`...), a.key), "}}\n"...)
	start := len(w.buf)
	if w.buf, err = t.route.Plan.Append(w.buf, c.Doc, &w.stats); err != nil {
		return err
	}
	if isHashed([]byte(a.key)) {
		if w.buf, err = appendKey(w.buf, start, c.ID); err != nil {
			return err
		}
	}
	w.buf = append(appendTimestamp(w.buf, start, a.at), '\n')
	return nil
}

// appendTimestamp puts @timestamp into a document, in the place of one that it may
// have. buf ends with the document, which begins at start.
func appendTimestamp(buf []byte, start int, at time.Time) []byte {
	value := at.UTC().Format(`"` + markTime + `"`)
	if y := at.UTC().Year(); y < 0 || y > 9999 {
		value = strconv.FormatInt(at.UnixMilli(), 10)
	}
	return appendField(buf, start, timestampField, value)
}

// appendField puts a field into a document, in the place of one that it may have.
// value is JSON. buf ends with the document, which begins at start.
func appendField(buf []byte, start int, name, value string) []byte {
	quoted := transcode.AppendString(nil, name)
	if bytes.Contains(buf[start:], append(quoted, ':')) {
		s := scanner{b: bytes.Clone(buf[start:])}
		buf = append(buf[:start], '{')
		_ = s.object(func(key []byte) error { // it came out of the transcoder, and is valid
			if v := s.skip(); string(key) != string(quoted[1:len(quoted)-1]) {
				buf = append(append(append(append(append(buf, '"'), key...), `":`...), v...), ',')
			}
			return nil
		})
	} else if buf = buf[:len(buf)-1]; len(buf)-start > 1 {
		buf = append(buf, ',')
	}
	buf = append(append(append(buf, quoted...), ':'), value...)
	return append(buf, '}')
}

// landed tells whether all documents of an answer without errors were added to the
// indexes that were known to take them.
func (w *writer) landed(ans []byte, from, to int) bool {
	n := 0
	var seen []*target
	for i := from; i < to; i++ {
		t := w.items[i].target
		if w.items[i].create && !slices.Contains(seen, t) {
			seen = append(seen, t)
			n += bytes.Count(ans, []byte(`"_index":"`+t.concrete+`"`))
		}
	}
	return n == to-from
}

// elsewhere notes that a document was added to, or was found in, an index that was
// not known to take them. (A pipeline that drops a document answers with 200.)
func (it *item) elsewhere(w *writer, r result) {
	if !it.create || r.status != http.StatusCreated && r.status != http.StatusConflict || string(r.index) == it.target.concrete {
		return
	}
	if w.strayed == nil {
		w.strayed = map[int]string{}
	}
	w.strayed[it.change] = string(r.index)
}

// check looks after documents that were added to an index that was not known to
// take them: the data stream has rolled over, and they may lie in an older one.
func (p *streamBatch) check(ctx context.Context) error {
	strayed := map[flow.Namespace][]*addition{}
	for i := range p.adds {
		a := &p.adds[i]
		ns := p.batch.Changes[a.change].NS
		if p.writer.strayed[a.change] != "" {
			strayed[ns] = append(strayed[ns], a)
			continue
		}
		p.sink.streams.wrote(ns, a.backing.target.concrete)
	}
	for ns, of := range strayed {
		p.sink.streams.stale(ns, of[0].backing)
		now, err := p.sink.backing(ctx, ns)
		if err != nil {
			return err
		}
		if err := p.settleStrayed(ctx, ns, now, of); err != nil {
			return err
		}
	}
	return nil
}

// settleStrayed takes out again what was added twice.
func (p *streamBatch) settleStrayed(ctx context.Context, ns flow.Namespace, now *backing, of []*addition) error {
	var keys []string
	for _, a := range of {
		index := p.writer.strayed[a.change]
		switch {
		case index == now.target.concrete, slices.Contains(now.older, index):
			keys = append(keys, a.key)
			p.sink.streams.wrote(ns, index)
		case strings.HasPrefix(index, ".fs-"):
			p.verdicts[a.change] = flow.Verdict{Outcome: flow.DeadLetter, Reason: reasonFailures, Err: &flow.Error{
				Op: "write a document of", Object: ns.String(), Class: flow.Document,
				Err:  errors.New("the engine could not index it, and has put it into the failure store of the data stream"),
				Hint: "GET " + now.target.name + "::failures/_search tells why",
			}}
		default:
			return &flow.Error{Op: "write to data stream", Object: now.target.name, Class: flow.Fatal, Err: errStreamGone, Hint: hintMissing}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := p.sink.repeats(ctx, ns, keys)
	for _, a := range of {
		if found[a.key] && p.verdicts[a.change].Outcome == flow.Done {
			p.verdicts[a.change] = flow.Verdict{Outcome: flow.Superseded, Reason: reasonExists}
		}
	}
	return err
}

// passedOver counts what a data stream does not take, for the log.
type passedOver struct {
	mu      sync.Mutex
	updates int
	next    time.Time
}

// passedEvery is how often the log tells of it.
const passedEvery = time.Minute

// tell counts the updates and deletes that changed nothing.
func (p *streamBatch) tell(ctx context.Context) {
	updates, deletes := 0, 0
	for i := range p.batch.Changes {
		switch c := &p.batch.Changes[i]; {
		case c.Op == flow.OpDelete && !c.Left:
			deletes++
		case c.Update && p.verdicts[i].Outcome == flow.Superseded:
			updates++
		}
	}
	p.sink.client.metrics.passedOver("update", updates)
	p.sink.client.metrics.passedOver("delete", deletes)
	if updates == 0 {
		return
	}
	o := &p.sink.streams.passed
	o.mu.Lock()
	defer o.mu.Unlock()
	o.updates += updates
	if now := time.Now(); now.After(o.next) {
		p.sink.client.log.LogAttrs(ctx, slog.LevelWarn, "updates and replacements of documents were passed over: a data stream holds each as it was when it came first",
			slog.Int(flow.LogCount, o.updates))
		o.updates, o.next = 0, now.Add(passedEvery)
	}
}
