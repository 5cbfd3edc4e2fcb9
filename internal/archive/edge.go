package archive

import (
	"context"
	"slices"
)

// The steps of a run that have edges. Each step has an effect on a document, an
// object or a file, then a row of the journal.
const (
	StepRun       = "run"       // the run is opened
	StepPlanned   = "planned"   // the pack has a row
	StepSpooled   = "spooled"   // its documents are in the spool
	StepPacked    = "packed"    // the object is known
	StepUploaded  = "uploaded"  // the object is in the bucket
	StepVerified  = "verified"  // it was read back
	StepCommitted = "committed" // the manifest is in the bucket
	StepMark      = "mark"      // the high-water mark has moved
	StepDeleting  = "deleting"  // deletes begin
	StepBatch     = "batch"     // one transaction has deleted
	StepDeleted   = "deleted"   // all entries have an outcome
	StepClosed    = "closed"    // the outcomes are in the bucket
	StepEnd       = "end"       // the run is closed
)

// The moments of a step, after a colon.
const (
	atBefore = ":before"
	atDone   = ":done" // the effect is there, the journal does not know it
	atAfter  = ":after"
)

// Edges returns the names of all edges, in the order of a run. Options.Edge is
// called at each.
func Edges() []string {
	steps := []string{
		StepRun, StepPlanned, StepSpooled, StepPacked, StepUploaded, StepVerified, StepCommitted,
		StepMark, StepDeleting, StepBatch, StepDeleted, StepClosed, StepEnd,
	}
	var edges []string
	for _, s := range steps {
		for _, at := range []string{atBefore, atDone, atAfter} {
			edges = append(edges, s+at)
		}
	}
	return slices.Clip(edges)
}

// step does the effect, then the journal's row, between its edges. The lease is
// asked before each of the two; either may be nil.
func (j *job) step(ctx context.Context, name string, effect, journal func() error) error {
	act := func(at string, f func() error) error {
		if err := j.edge(ctx, name+at); err != nil {
			return err
		}
		if f == nil {
			return nil
		}
		if err := j.lease.Check(j.need); err != nil {
			return err
		}
		return f()
	}
	if err := act(atBefore, effect); err != nil {
		return err
	}
	if err := act(atDone, journal); err != nil {
		return err
	}
	return j.edge(ctx, name+atAfter)
}

func (j *job) edge(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if j.opts.Edge == nil {
		return nil
	}
	return j.opts.Edge(ctx, name)
}
