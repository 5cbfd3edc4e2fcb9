package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"

	"sluice/internal/flow"
)

// bulkFilter asks for a short answer. Without the status of each item the
// places of those that failed would be lost; the index of deletes tells when
// one has made an index (see stray).
const bulkFilter = "filter_path=errors,items.*.status,items.*.error,items.delete._index"

// zipper compresses bodies; it keeps its tables and its buffer.
type zipper struct {
	out bytes.Buffer
	w   *gzip.Writer
}

// zip returns in compressed; the result is good until the next call.
func (z *zipper) zip(in []byte) ([]byte, error) {
	z.out.Reset()
	if z.w == nil {
		w, err := gzip.NewWriterLevel(&z.out, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		z.w = w
	} else {
		z.w.Reset(&z.out)
	}
	if _, err := z.w.Write(in); err != nil {
		return nil, err
	}
	if err := z.w.Close(); err != nil {
		return nil, err
	}
	return z.out.Bytes(), nil
}

// trim lets go of a buffer that is larger than most, or that is lent.
func (z *zipper) trim(most int) {
	if z.out.Cap() > most {
		z.out = bytes.Buffer{}
	}
}

// send sends items from to to as one bulk and puts down their verdicts; a body
// that is too large goes in halves. The error says that the outcome is unknown,
// or that nothing can go on.
func (w *writer) send(ctx context.Context, from, to int) error {
	ans, started, err := w.exchange(ctx, from, to)
	size := w.end(to-1) - w.items[from].start
	switch {
	case errors.Is(err, errAnswerTooLarge) && to-from > 1:
		return w.halves(ctx, from, to)
	case (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) && to-from > 1:
		// A body that is too large may be answered while it is still sent, and the
		// answer lost with the connection. Anything else fails again at once.
		w.sink.doubt()
		return w.halves(ctx, from, to)
	case err != nil:
		w.sink.doubt()
		w.sink.limiter.failed(started)
		w.sink.client.metrics.bulk("failed", time.Since(started))
		return err
	case ans.status == http.StatusOK:
		return w.read(ctx, ans.body, from, to, started)
	case to-from > 1 && tooLarge(ans):
		w.sink.client.metrics.bulk("too_large", time.Since(started))
		now := w.sink.limiter.tooLarge(size)
		w.sink.client.log.LogAttrs(ctx, slog.LevelWarn, "a bulk body was too large for the cluster; bodies are smaller from now on",
			slog.Int(flow.LogBytes, size), slog.Int("body_bytes", now))
		return w.halves(ctx, from, to)
	}
	return w.refused(ans, from, to, started)
}

func (w *writer) halves(ctx context.Context, from, to int) error {
	mid := from + (to-from)/2
	if err := w.send(ctx, from, mid); err != nil {
		return err
	}
	return w.send(ctx, mid, to)
}

// exchange waits for its turn, sends and reads the whole answer.
func (w *writer) exchange(ctx context.Context, from, to int) (*answer, time.Time, error) {
	c := w.sink.client
	started, err := w.sink.limiter.acquire(ctx)
	if err != nil {
		return nil, time.Now(), err
	}
	defer w.sink.limiter.release()
	body := w.buf[w.items[from].start:w.end(to-1)]
	r := &request{method: http.MethodPost, path: w.bulkPath(), body: body, ndjson: true, gzipped: c.opts.Gzip}
	if r.gzipped {
		if r.body, err = w.zip.zip(body); err != nil {
			return nil, started, err
		}
	}
	c.metrics.sent(len(body), len(r.body))
	ans, err := c.do(ctx, r, w.answer)
	w.sink.lastBulk.Store(int64(time.Since(started)))
	if r.lent.Load() != 0 {
		if r.gzipped {
			w.zip.out = bytes.Buffer{}
		} else {
			w.lost = true
		}
	}
	if err != nil {
		return nil, started, err
	}
	w.answer = ans.body
	return ans, started, nil
}

func (w *writer) bulkPath() string {
	// The engine gives up on a shard before we give up on the engine.
	path := "/" + url.PathEscape(w.path.name) + "/_bulk?" + bulkFilter + "&timeout=" + seconds(w.sink.client.timeout/2)
	if w.path.alias {
		path += "&require_alias=true"
	}
	if w.sink.streams != nil {
		path = strings.Replace(path, bulkFilter, bulkFilter+",items.create._index", 1)
	}
	if p := w.sink.client.opts.Pipeline; p != "" {
		path += "&pipeline=" + url.QueryEscape(p)
	}
	return path
}

// refused judges an answer that speaks for all its items.
func (w *writer) refused(ans *answer, from, to int, started time.Time) error {
	e := parseError(ans)
	t := w.items[from].target
	v := w.sink.judge(e, t.name)
	if overPressure(e) { // it is alone
		v = letterOfPressure(e, t.name)
	}
	switch {
	case v.Outcome == flow.Retry && ans.status >= 500 && e.Type != "cluster_block_exception", ans.status == http.StatusRequestTimeout:
		w.sink.doubt()
		w.sink.limiter.failed(started)
		w.sink.client.metrics.bulk("failed", time.Since(started))
		return &flow.Error{Op: "write to index", Object: t.name, Class: flow.Transient, Err: e, Hint: errorHint(v)}
	case v.Outcome == flow.DeadLetter && v.Reason != reasonTooLarge:
		// It can't be told which document, if any: no reason to put all aside.
		v = flow.Verdict{Outcome: flow.Halt, Reason: reasonRequest, Err: &flow.Error{
			Op: "write to index", Object: t.name,
			Class: flow.Fatal, Err: e, Hint: hintRequest,
		}}
	}
	w.answered = true
	w.tell(v, started)
	for i := from; i < to; i++ {
		w.verdicts[w.items[i].change] = v
	}
	if v.Outcome == flow.Retry {
		w.sink.client.metrics.retry(v.Reason, to-from)
	}
	return nil
}

// tell lets the limiter and the metrics know of an answer for a whole body.
func (w *writer) tell(v flow.Verdict, started time.Time) {
	result := "partial"
	if v.Reason == reasonRejected || v.Reason == reasonMemory {
		result = "rejected"
		w.sink.limiter.rejected(started)
	}
	w.sink.client.metrics.bulk(result, time.Since(started))
}

// quotesArchived tells whether an error names the field of the archive's mark,
// which the engine puts in brackets.
func quotesArchived(err []byte) bool {
	return bytes.Contains(err, []byte("["+archivedField+"]")) || bytes.Contains(err, []byte("["+archivedField+"."))
}

// hint gives the error of a verdict another cure.
func hint(v *flow.Verdict, cure string) {
	var f *flow.Error
	if errors.As(v.Err, &f) {
		f.Hint = cure
	}
}

func errorHint(v flow.Verdict) string {
	var f *flow.Error
	if errors.As(v.Err, &f) {
		return f.Hint
	}
	return ""
}

// read puts down the verdicts of a whole answer.
func (w *writer) read(ctx context.Context, ans []byte, from, to int, started time.Time) error {
	n := to - from
	if allDone(ans, n) && !w.astray(ans, from, to) {
		for i := from; i < to; i++ {
			w.verdicts[w.items[i].change] = flow.Verdict{Outcome: flow.Done}
		}
		w.answered = true
		w.sink.limiter.accepted()
		w.sink.client.metrics.bulk("ok", time.Since(started))
		return nil
	}
	w.sink.client.metrics.bulk("partial", time.Since(started))
	verdicts := make([]flow.Verdict, n)
	var strays []*target
	rejected := false
	err := eachResult(ans, n, func(i int, r result) error {
		it := &w.items[from+i]
		if (string(r.op) == "delete") != it.del {
			return errTorn
		}
		v := w.sink.verdict(it, r)
		it.elsewhere(w, r)
		if it.del && v.Outcome == flow.Halt && it.isStray(r) && !slices.Contains(strays, it.target) {
			strays = append(strays, it.target)
		}
		rejected = rejected || v.Reason == reasonRejected || v.Reason == reasonMemory
		if v.Outcome == flow.Retry {
			w.sink.client.metrics.retry(v.Reason, 1)
		}
		verdicts[i] = v
		return nil
	})
	if err != nil {
		w.sink.limiter.failed(started)
		return &flow.Error{Op: "read the answer to a bulk for", Object: w.items[from].target.name, Class: flow.Transient, Err: err}
	}
	for i, v := range verdicts {
		w.verdicts[w.items[from+i].change] = v
	}
	w.answered = true
	if rejected {
		w.sink.limiter.rejected(started)
	} else {
		w.sink.limiter.accepted()
	}
	for _, t := range strays {
		w.sink.removeStray(ctx, t)
	}
	return nil
}

// verdict judges one item of an answer.
func (s *Sink) verdict(it *item, r result) flow.Verdict {
	index := it.target.name
	switch {
	case it.isStray(r):
		return flow.Verdict{Outcome: flow.Halt, Reason: reasonMissing, Err: &flow.Error{
			Op: "write to index", Object: index, Class: flow.Fatal,
			Err: errors.New("the index is gone"), Hint: hintMissing,
		}}
	case r.err == nil && r.status/100 == 2, r.err == nil && r.status == http.StatusNotFound && it.del:
		return flow.Verdict{Outcome: flow.Done}
	case r.status == http.StatusConflict && it.guarded:
		return flow.Verdict{Outcome: flow.Superseded, Reason: "newer_version"}
	case r.status == http.StatusConflict && it.create && bytes.Contains(r.err, []byte(versionConflict)):
		return flow.Verdict{Outcome: flow.Superseded, Reason: reasonExists}
	case r.status == http.StatusConflict && bytes.Contains(r.err, []byte(versionConflict)):
		return s.conflict(r.err, index)
	}
	var b errorBody
	if r.err != nil && json.Unmarshal(r.err, &b) != nil {
		b.Reason = string(r.err)
	}
	v := s.judge(b.apiError(r.status), index)
	if v.Outcome == flow.DeadLetter && it.target.route.Archive == ArchiveMark && quotesArchived(r.err) {
		hint(&v, hintArchived)
	}
	return v
}

// isStray tells whether a delete went to an index that bears the name of the
// alias: the alias was gone, and the engine, which heeds require_alias for
// documents only, has made an index for the delete.
func (it *item) isStray(r result) bool {
	return it.del && r.err == nil && it.target.alias && string(r.index) == it.target.name
}

// astray looks for strays in an answer that has no errors.
func (w *writer) astray(ans []byte, from, to int) bool {
	if w.sink.streams != nil {
		return !w.landed(ans, from, to)
	}
	var last *target
	for i := from; i < to; i++ {
		it := &w.items[i]
		if it.del && it.target.alias && it.target != last {
			if last = it.target; bytes.Contains(ans, []byte(`"_index":"`+last.name+`"`)) {
				return true
			}
		}
	}
	return false
}

// removeStray deletes the index that a delete has made under the alias's name,
// if it is empty in every respect; it would be in the way of the next start.
func (s *Sink) removeStray(ctx context.Context, t *target) {
	c := s.client
	s.entry(t.ns).ready.Store(nil)
	var all map[string]struct {
		Mappings map[string]json.RawMessage `json:"mappings"`
		Aliases  map[string]json.RawMessage `json:"aliases"`
	}
	path := "/" + url.PathEscape(t.name)
	err := c.call(ctx, "look up index", t.name, get(path), &all)
	x, exact := all[t.name]
	if err != nil || !exact || len(x.Mappings) > 0 || len(x.Aliases) > 0 {
		return
	}
	if n, err := c.count(ctx, t.name); err != nil || n > 0 {
		return
	}
	if err := c.call(ctx, "delete index", t.name, del(path), nil); err != nil {
		c.log.LogAttrs(ctx, slog.LevelWarn, fmt.Sprintf("an empty index named %s is in the way; delete it", t.name),
			slog.String(flow.LogIndex, t.name), slog.String(flow.LogErr, strings.TrimSpace(err.Error())))
	}
}
