package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"sluice/internal/flow"
)

// carryParts brings b to its verdicts part by part, each as large as what is
// attached to it allows (rule S9): it is held while the part is on its way, and
// is let go before the next one asks for room.
func (d *delivery) carryParts(ctx context.Context, b *flow.Batch) error {
	rest := b.Changes
	for len(rest) > 0 {
		n, release, err := d.attachSome(ctx, rest)
		if err != nil {
			return err
		}
		part := *b
		part.Changes = rest[:n:n]
		err = d.carry(ctx, &part)
		release()
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// attachSome attaches to as many changes as there is room for.
func (d *delivery) attachSome(ctx context.Context, changes []flow.Change) (n int, release func(), err error) {
	err = d.retry.do(ctx, whatAttach, Retrying, func(ctx context.Context) error {
		var err error
		n, release, err = d.attach.Attach(ctx, changes)
		return err
	})
	if err == nil && (n < 1 || n > len(changes)) {
		release()
		err = &flow.Error{Op: "attach to documents", Class: flow.Fatal, Err: fmt.Errorf("%d of %d changes were seen to", n, len(changes))}
	}
	return n, release, err
}

// hasFlaw tells whether something could not be attached as it should be.
func hasFlaw(changes []flow.Change) bool {
	for i := range changes {
		if a := changes[i].Attach; a != nil && a.Flaw != nil {
			return true
		}
	}
	return false
}

// keepsLetter tells whether a change that is written has a dead letter: it lacks
// what should be attached to it.
func keepsLetter(c *flow.Change, v *flow.Verdict) bool {
	return v.Outcome == flow.Done && c.Op == flow.OpWrite && c.Attach != nil && c.Attach.Flaw != nil
}

// noteFlaws makes dead letters of documents that were written without what should
// be attached to them. They say nothing against the flow as a whole.
func (d *delivery) noteFlaws(ctx context.Context, changes []flow.Change, verdicts []flow.Verdict) error {
	var flawed []flow.Change
	var why []flow.Verdict
	for i := range changes {
		if keepsLetter(&changes[i], &verdicts[i]) {
			flawed, why = append(flawed, changes[i]), append(why, *changes[i].Attach.Flaw)
		}
	}
	if len(flawed) == 0 {
		return nil
	}
	if d.letters == nil {
		return &flow.Error{Op: "keep a dead letter of", Object: flawed[0].NS.String(), Class: flow.Fatal, Err: errors.Join(errNoLetters, why[0].Err)}
	}
	err := d.retry.do(ctx, whatLetters, Retrying, func(ctx context.Context) error {
		return d.letters.Put(ctx, flawed, why)
	})
	if err != nil {
		return err
	}
	for i := range flawed {
		ns, reason := flawed[i].NS, why[i].Reason
		d.retry.metrics.letter(ns, reason)
		d.retry.log.warn("flaw:"+ns.String()+":"+reason, "document was written without its file, and has a dead letter",
			slog.String(flow.LogNS, ns.String()), slog.String(flow.LogReason, reason))
	}
	return nil
}

var errNoLetters = errors.New("the flow keeps no dead letters")
