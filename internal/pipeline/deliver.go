package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sluice/internal/flow"
)

// What a retrier is told to be doing.
const (
	whatReread  = "reread"
	whatAttach  = "attach"
	whatShape   = "shape"
	whatWrite   = "write"
	whatLetters = "dead_letters"
	whatApply   = "control"
	whatRead    = "read"
)

// rereadGuess is the size that a document to be read again is taken for before
// any was seen.
const rereadGuess = 4 << 10

// delivery carries batches to the final verdicts of all their changes. One
// goroutine uses it, one batch at a time.
type delivery struct {
	sink    flow.Sink
	reread  flow.Stage
	shape   flow.Stage
	attach  Attacher
	letters DeadLetters
	breaker *breaker
	retry   retrier
	tally   *tally
	slot    *slot
	// guard looks at the changes just before each send (rule S5); may be nil.
	guard  func([]flow.Change)
	claims *claims
	hash   *hasher
	// repair: the batch at hand is a repair.
	repair bool
	// docSize is the recent size of documents that were read again.
	docSize int

	again       []flow.Change
	bad, good   []flow.Change
	badVerdicts []flow.Verdict
}

// run returns when every change of b has its final verdict, or with the error
// that ends the pump. It may change and reorder b.Changes.
func (d *delivery) run(ctx context.Context, b flow.Batch) error {
	defer d.forget()
	d.repair = b.Repair
	release, err := d.claims.take(ctx, b.Changes, d.hash)
	if err != nil {
		return err
	}
	defer release()
	if err := d.readAgain(ctx, &b); err != nil {
		return err
	}
	if err := d.judgeContent(ctx, &b); err != nil {
		return err
	}
	if err := d.buryFaults(ctx, &b); err != nil || len(b.Changes) == 0 {
		return err
	}
	if d.attach == nil {
		return d.carry(ctx, &b)
	}
	return d.carryParts(ctx, &b)
}

// carry sends b until every change has its final verdict.
func (d *delivery) carry(ctx context.Context, b *flow.Batch) error {
	var pause backoff
	for troubled := false; ; {
		verdicts, err := d.send(ctx, b)
		if err != nil {
			return err
		}
		sent := len(b.Changes)
		reason, cause, err := d.judge(ctx, b, verdicts)
		if err != nil || len(b.Changes) == 0 {
			return err
		}
		if !troubled {
			troubled = true
			d.retry.watch.enter(Retrying)
			defer d.retry.watch.leave(Retrying)
		}
		if len(b.Changes) < sent { // some got through: no need to slow down further
			pause.reset()
		}
		d.retry.note(reason, len(b.Changes), cause)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// forget lets go of the documents that the scratch slices still point to.
func (d *delivery) forget() {
	clear(d.again[:cap(d.again)])
	clear(d.bad[:cap(d.bad)])
	clear(d.good[:cap(d.good)])
	clear(d.badVerdicts[:cap(d.badVerdicts)])
}

// judgeContent runs the stage that looks at documents before they are sent.
func (d *delivery) judgeContent(ctx context.Context, b *flow.Batch) error {
	if d.shape == nil {
		return nil
	}
	all := len(b.Changes)
	err := d.retry.do(ctx, whatShape, Retrying, func(ctx context.Context) error {
		out, err := d.shape.Apply(ctx, *b)
		if err == nil {
			*b = out
		}
		return err
	})
	if err == nil && len(b.Changes) != all {
		err = &flow.Error{Op: "look at documents", Class: flow.Fatal, Err: fmt.Errorf("the stage returned %d changes for %d", len(b.Changes), all)}
	}
	return err
}

// buryFaults puts aside what that stage found at fault, and leaves the rest in b.
func (d *delivery) buryFaults(ctx context.Context, b *flow.Batch) error {
	if d.shape == nil || !slices.ContainsFunc(b.Changes, func(c flow.Change) bool { return c.Fault != nil }) {
		return nil // nearly always: then nothing is moved
	}
	d.bad, d.badVerdicts = d.bad[:0], d.badVerdicts[:0]
	good := b.Changes[:0]
	for i := range b.Changes {
		c := b.Changes[i]
		if c.Fault == nil {
			good = append(good, c)
			continue
		}
		d.badVerdicts = append(d.badVerdicts, *c.Fault)
		c.Fault = nil
		d.bad = append(d.bad, c)
	}
	b.Changes = good
	return d.bury(ctx, d.bad, d.badVerdicts)
}

// readAgain runs the reread stage if b has anything for it.
func (d *delivery) readAgain(ctx context.Context, b *flow.Batch) error {
	n, before := countRereads(b.Changes)
	if n == 0 {
		return nil
	}
	if d.reread == nil {
		return &flow.Error{Op: "read documents again", Class: flow.Fatal, Err: errors.New("the flow has no stage for it")}
	}
	all := len(b.Changes)
	err := d.retry.do(ctx, whatReread, Retrying, func(ctx context.Context) error {
		out, err := d.reread.Apply(ctx, *b)
		if err == nil {
			*b = out
		}
		return err
	})
	if err != nil {
		return err
	}
	left, after := countRereads(b.Changes)
	if len(b.Changes) != all || left > 0 {
		return &flow.Error{
			Op: "read documents again", Class: flow.Fatal,
			Err: fmt.Errorf("the stage returned %d changes for %d and left %d unread", len(b.Changes), all, left),
		}
	}
	d.docSize = (3*d.docSize + max(after-before, 0)/n) / 4
	return nil
}

// countRereads returns how many changes are to be read again, and the bytes of
// all documents that are there.
func countRereads(changes []flow.Change) (n, docs int) {
	for i := range changes {
		if changes[i].Op == flow.OpReread {
			n++
		}
		docs += len(changes[i].Doc)
	}
	return n, docs
}

// send writes b until the sink answers it.
func (d *delivery) send(ctx context.Context, b *flow.Batch) (verdicts []flow.Verdict, err error) {
	err = d.retry.do(ctx, whatWrite, BlockedSink, func(ctx context.Context) error {
		if d.guard != nil {
			d.guard(b.Changes)
		}
		d.slot.begin()
		defer d.slot.end()
		var err error
		verdicts, err = d.sink.Write(ctx, *b)
		if err != nil && len(b.Changes) == 1 && flow.ClassOf(err) == flow.Document {
			verdicts = []flow.Verdict{{Outcome: flow.DeadLetter, Reason: "document", Err: err}}
			return nil
		}
		return err
	})
	if err == nil && len(verdicts) != len(b.Changes) {
		err = &flow.Error{
			Op: "write batch", Class: flow.Fatal,
			Err: fmt.Errorf("the sink gave %d verdicts for %d changes", len(verdicts), len(b.Changes)),
		}
	}
	return verdicts, err
}

// judge counts the final verdicts, puts the dead letters aside and leaves in
// b what has to be sent again, with the reason and the cause of the last of it.
func (d *delivery) judge(ctx context.Context, b *flow.Batch, verdicts []flow.Verdict) (reason string, cause, err error) {
	d.again, d.bad, d.good, d.badVerdicts = d.again[:0], d.bad[:0], d.good[:0], d.badVerdicts[:0]
	clean := isClean(verdicts)
	whole := clean && !hasFlaw(b.Changes)
	for i := range b.Changes {
		c, v := &b.Changes[i], &verdicts[i]
		switch v.Outcome {
		case flow.Done, flow.Superseded:
			d.tally.add(c, verdict(v.Outcome))
			if !whole && !keepsLetter(c, v) {
				d.good = append(d.good, *c)
			}
		case flow.Retry:
			d.again = append(d.again, *c)
			reason, cause = v.Reason, v.Err
		case flow.DeadLetter:
			d.bad = append(d.bad, *c)
			d.badVerdicts = append(d.badVerdicts, *v)
		default:
			err = halted(c, v)
		}
	}
	settled := d.good
	if whole {
		settled = b.Changes
	}
	d.closeLetters(ctx, settled)
	if e := d.noteFlaws(ctx, b.Changes, verdicts); e != nil && err == nil {
		err = e
	}
	d.tally.flush(func(ns flow.Namespace, _ verdict, docs int) { d.breaker.settled(ns, docs, clean, time.Now()) })
	if e := d.bury(ctx, b.Changes, verdicts); e != nil && err == nil {
		err = e
	}
	b.Changes = append(b.Changes[:0], d.again...)
	return reason, cause, err
}

// isClean tells whether every verdict says that the change is done.
func isClean(verdicts []flow.Verdict) bool {
	for i := range verdicts {
		if o := verdicts[i].Outcome; o != flow.Done && o != flow.Superseded {
			return false
		}
	}
	return true
}

// halted is the error for a verdict that only a person can mend.
func halted(c *flow.Change, v *flow.Verdict) error {
	class := flow.ClassOf(v.Err)
	switch class {
	case flow.Unknown, flow.Transient, flow.Document:
		class = flow.Fatal
	}
	cause := v.Err
	if cause == nil {
		cause = fmt.Errorf("the sink says %s, reason %q", v.Outcome, v.Reason)
	}
	return &flow.Error{Op: "write documents of", Object: c.NS.String(), Class: class, Err: cause}
}

// closeLetters closes the dead letters of keys that are settled now. A letter that
// can't be closed is no harm: it stays for a person to look at.
func (d *delivery) closeLetters(ctx context.Context, settled []flow.Change) {
	if d.letters == nil || len(settled) == 0 {
		return
	}
	if err := d.letters.Settled(ctx, settled); err != nil && ctx.Err() == nil {
		d.retry.log.warn("close letters", "can't close dead letters", slog.Any(flow.LogErr, err))
	}
}

// bury makes the dead letters of a batch durable, counts them, and asks the
// breaker, which is shown all verdicts in order.
func (d *delivery) bury(ctx context.Context, changes []flow.Change, verdicts []flow.Verdict) error {
	if len(d.bad) == 0 {
		return nil
	}
	if d.letters == nil {
		return halted(&d.bad[0], &d.badVerdicts[0])
	}
	err := d.retry.do(ctx, whatLetters, Retrying, func(ctx context.Context) error {
		return d.letters.Put(ctx, d.bad, d.badVerdicts)
	})
	if err != nil {
		return err
	}
	for i := range d.bad {
		c, reason := &d.bad[i], d.badVerdicts[i].Reason
		d.tally.add(c, verdict(flow.DeadLetter))
		d.retry.metrics.letter(c.NS, reason)
		// Without the engine's text: it may quote the document.
		d.retry.log.warn("letter:"+c.NS.String()+":"+reason, "document went to the dead letters",
			slog.String(flow.LogNS, c.NS.String()), slog.String(flow.LogReason, reason))
	}
	d.tally.flush(nil)
	if d.repair {
		return nil
	}
	return d.ask(changes, verdicts)
}

func (d *delivery) ask(changes []flow.Change, verdicts []flow.Verdict) error {
	now := time.Now()
	for i := range changes {
		switch verdicts[i].Outcome {
		case flow.Done, flow.Superseded:
			if changes[i].Op != flow.OpSkip {
				d.breaker.settled(changes[i].NS, 0, true, now)
			}
		case flow.DeadLetter:
			if err := d.breaker.bad(changes[i].NS, verdicts[i].Reason, now); err != nil {
				return err
			}
		}
	}
	return nil
}
