package search

import (
	"context"
	"errors"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// placedBatch writes one batch whose documents lie where templates say (rule
// S14): first each document to its place, then, when that is settled, the deletes
// of where it lay before. Both at the version of the change, so that either may
// be done again.
type placedBatch struct {
	sink     *Sink
	batch    *flow.Batch
	verdicts []flow.Verdict
	jobs     []job
	writer   *writer
}

// job is what is to be done for one change.
type job struct {
	change int
	key    string
	// look: where the document lies has to be asked; source: with what it is.
	look, source bool
	// put: something is to be written to at, on target.
	put    bool
	at     Place
	target *target
	fate   fate
	// spots are where the document may lie, stays what the index holds of a
	// document that is to be marked.
	spots []spot
	stays []byte
	// verdict, if it has an outcome, settles the change.
	verdict flow.Verdict
}

// writePlaced is Write where places come from templates.
func (s *Sink) writePlaced(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
	p := &placedBatch{sink: s, batch: &b, verdicts: make([]flow.Verdict, len(b.Changes)), writer: s.takeWriter()}
	defer s.giveWriter(p.writer)
	for _, step := range []func(context.Context) error{p.plan, p.find, p.decide, p.write, p.remove} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	for i := range p.jobs {
		j := &p.jobs[i]
		if j.verdict.Outcome == 0 {
			j.verdict = flow.Verdict{Outcome: flow.Done}
		}
		p.verdicts[j.change] = j.verdict
	}
	return p.verdicts, nil
}

// plan sets out what each change wants.
func (p *placedBatch) plan(ctx context.Context) error {
	var key []byte
	for i := range p.batch.Changes {
		c := &p.batch.Changes[i]
		r, err := p.sink.route(c.NS)
		if err != nil {
			return err
		}
		key = transcode.AppendID(key[:0], c.ID)
		j := job{change: i, key: string(key)}
		switch {
		case c.ID.IsZero() && c.Op != flow.OpSkip:
			p.verdicts[i] = letter(reasonKey, c.NS, errors.New("the change has no _id"))
			continue
		case c.Op == flow.OpWrite:
			j.put = true
		case c.Op == flow.OpDelete:
			j.fate = r.fate(c)
			j.put = j.fate != fateRemove && c.Doc != nil
			j.source = j.fate != fateRemove && c.Doc == nil
		case c.Op == flow.OpSkip && c.Doc == nil && p.isStream() && r.strict():
			// It is gone, and its delete, which is on its way, knows no more where
			// it lay before this change.
		case c.Op == flow.OpSkip:
			p.verdicts[i] = flow.Verdict{Outcome: flow.Done}
			continue
		default:
			p.verdicts[i] = flow.Verdict{Outcome: flow.Halt, Reason: reasonRequest, Err: &flow.Error{
				Op: "write documents of", Object: c.NS.String(), Class: flow.Fatal, Err: errors.New("a sink can't carry out the operation " + c.Op.String()),
			}}
			continue
		}
		if j.fate == fateKeep && c.Doc == nil {
			p.verdicts[i] = flow.Verdict{Outcome: flow.Done}
			continue
		}
		if j.put {
			p.place(&j, c, &r)
		}
		p.sources(&j, c, &r)
		p.jobs = append(p.jobs, j)
	}
	return nil
}

// isStream tells whether the batch came from the change stream.
func (p *placedBatch) isStream() bool { return !p.batch.Snapshot && !p.batch.Repair }

// letter is the verdict on a document at fault.
func letter(reason string, ns flow.Namespace, err error) flow.Verdict {
	return flow.Verdict{Outcome: flow.DeadLetter, Reason: reason, Err: &flow.Error{
		Op: "place a document of", Object: ns.String(), Class: flow.Document, Err: err,
		Hint: "give the field a value that can be used, or the template a default: {field|default}",
	}}
}

// place finds where a document belongs. One that has no place is a dead letter,
// and leaves the place that it had.
func (p *placedBatch) place(j *job, c *flow.Change, r *Route) {
	at, err := p.sink.places.Of(c.NS, c.ID, c.Doc)
	if err != nil {
		j.put, j.verdict = false, letter(reasonPlace, c.NS, err)
		return
	}
	if at.Index == "" {
		at.Index = r.Index
	}
	j.at = at
}

// sources says how it is found out where the document lay.
func (p *placedBatch) sources(j *job, c *flow.Change, r *Route) {
	switch {
	case p.batch.Snapshot && !p.batch.Repair && p.sink.places.trustOf(c.NS) == filling:
		// The copy that fills empty indexes: what the stream has written
		// meanwhile, the stream will move.
	case j.source, c.Before == nil, !p.isStream(), !r.strict(), p.sink.places.trustOf(c.NS) == doubtful:
		j.look = true
	}
}

// find looks for the documents of which it is not known where they lie.
func (p *placedBatch) find(ctx context.Context) error {
	type group struct {
		ns     flow.Namespace
		source bool
	}
	keys := map[group][]string{}
	for i := range p.jobs {
		if j := &p.jobs[i]; j.look {
			g := group{p.batch.Changes[j.change].NS, j.source}
			keys[g] = append(keys[g], j.key)
		}
	}
	found := map[group]map[string][]spot{}
	for g, of := range keys {
		var err error
		if found[g], err = p.sink.find(ctx, g.ns, of, g.source); err != nil {
			return err
		}
	}
	for i := range p.jobs {
		j := &p.jobs[i]
		c := &p.batch.Changes[j.change]
		if j.look {
			j.spots = found[group{c.NS, j.source}][j.key]
			continue
		}
		if c.Before == nil {
			continue
		}
		for _, doc := range c.Before.Docs {
			if err := p.spotOf(ctx, j, c, doc); err != nil {
				return err
			}
		}
	}
	return nil
}

// spotOf adds where a document that was there before has its place.
func (p *placedBatch) spotOf(ctx context.Context, j *job, c *flow.Change, doc []byte) error {
	at, err := p.sink.places.Of(c.NS, c.ID, doc)
	if err != nil { // it had none
		return nil //nolint:nilerr // so nothing lies there
	}
	if at.Index == "" {
		r, err := p.sink.route(c.NS)
		if err != nil {
			return err
		}
		at.Index = r.Index
	}
	there, err := p.sink.placeExists(ctx, c.NS, at.Index)
	if err != nil || !there {
		return err
	}
	t, err := p.sink.placedTarget(ctx, c.NS, at.Index)
	if err != nil {
		return err
	}
	j.spots = append(j.spots, spot{target: t, id: at.ID, routing: at.Routing})
	return nil
}

// decide turns what was found into what is to be written.
func (p *placedBatch) decide(ctx context.Context) error {
	for i := range p.jobs {
		j := &p.jobs[i]
		c := &p.batch.Changes[j.change]
		if j.source && j.verdict.Outcome == 0 {
			p.mark(j, c)
			continue
		}
		if !j.put {
			continue
		}
		var err error
		if j.target, err = p.sink.placedTarget(ctx, c.NS, j.at.Index); err != nil {
			return err
		}
		for k := range j.spots {
			// A newer one lies elsewhere: ours would be a second one.
			if f := &j.spots[k]; f.version > c.Version && !f.is(j.target, j.at) {
				j.put, j.verdict = false, flow.Verdict{Outcome: flow.Superseded, Reason: "newer_version"}
			}
		}
	}
	return nil
}

// mark chooses the newest of what was found to carry the mark.
func (p *placedBatch) mark(j *job, c *flow.Change) {
	var newest *spot
	for k := range j.spots {
		if f := &j.spots[k]; newest == nil || f.version > newest.version {
			newest = f
		}
	}
	switch {
	case newest == nil:
		return
	case newest.version > c.Version:
		j.verdict = flow.Verdict{Outcome: flow.Superseded, Reason: "newer_version"}
		return
	}
	j.put, j.target, j.stays = true, newest.target, newest.source
	j.at = Place{Index: newest.target.name, ID: newest.id, Routing: newest.routing}
}
