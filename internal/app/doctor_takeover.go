package app

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// takeover looks at the position that the first start of a flow would take over.
func (d *doctor) takeover(ctx context.Context, run *flowRun, saved checkpoint.State) {
	const check = "takeover.position"
	name, t := run.cfg.Name, run.cfg.Takeover
	if !t.Given() || d.mongo == nil || len(saved.Position) > 0 && !t.Mirror {
		return
	}
	ctx, done := context.WithTimeout(ctx, visitTimeout)
	defer done()
	db, err := openFormer(ctx, d.cfg, t)
	if err != nil {
		d.f.Fail(flow.FindingError, check, name, err, "")
		return
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	if t.Mirror {
		if err := db.Probe(ctx); err != nil {
			d.f.Fail(flow.FindingError, "takeover.mirror", name, err, "")
		}
	}
	if len(saved.Position) > 0 {
		return // it is the flow's own that counts
	}
	left, err := readFormer(ctx, db, run.covers)
	switch {
	case err != nil:
		d.f.Fail(flow.FindingError, check, name, err, "")
		return
	case left == nil:
		d.f.Add(flow.FindingWarning, check, name, fmt.Sprintf("flow %s: in the database %s there is no position of Monstache under the name %s", name, t.Database, t.Name),
			"the first start copies everything, as that of a new flow",
			"look at config-database-name, resume-name (or cluster-name, worker) and resume-strategy of Monstache, and put them into takeover")
		return
	}
	at := time.Unix(int64(left.at.T), 0).UTC().Format(time.RFC3339)
	if holds, known := d.mongo.Holds(left.at); known && !holds {
		d.f.Add(flow.FindingError, check, name, fmt.Sprintf("flow %s: Monstache was at %s, and the oplog no longer reaches back to that", name, at),
			"on.history_lost says what the first start does: copy everything again, or stop", "")
		return
	}
	d.f.OK(check, name, "the changes go on where Monstache was, at %s", at)
}
