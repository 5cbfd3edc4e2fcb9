package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"sluice/internal/app"
)

// pauseTarget say what pauses.
type pauseTarget struct {
	flowFlags
	jsonFlag
	Namespace string `help:"Only this collection of the flow. Its changes are passed over meanwhile, so it is copied again, in place, when it is resumed; the flow's others go on." placeholder:"DB.COLL"`
}

func (p *pauseTarget) post(ctx context.Context, what string, q url.Values, out stdio) error {
	t, err := p.target()
	if err != nil {
		return err
	}
	if p.Namespace != "" {
		q.Set("ns", p.Namespace)
	}
	var done app.FlowCommanded
	err = t.send(ctx, http.MethodPost, what, q, &done)
	if errors.Is(err, errNobody) {
		return t.nobody("only a running sluice pauses and resumes: is it running, and does it listen there?")
	}
	if err != nil {
		return err
	}
	return tell(out, p.JSON, done, done.Text())
}

type pauseCmd struct {
	pauseTarget
	Reason string `help:"Shown by status." placeholder:"TEXT"`
}

// Help is shown by --help.
func (*pauseCmd) Help() string {
	return "A flow that pauses reads nothing; its position stays, and it goes on from there, as long as the oplog of MongoDB " +
		"reaches back so far (oplog_head_room_seconds in status --json). It pauses until resume, or until sluice restarts."
}

// Run lets a flow pause.
func (p *pauseCmd) Run(ctx context.Context, out stdio) error {
	q := url.Values{}
	if p.Reason != "" {
		q.Set("reason", p.Reason)
	}
	return p.post(ctx, "pause", q, out)
}

type resumeCmd struct{ pauseTarget }

// Run lets a flow go on.
func (r *resumeCmd) Run(ctx context.Context, out stdio) error {
	return r.post(ctx, "resume", url.Values{}, out)
}
