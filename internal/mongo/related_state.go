package mongo

import (
	"fmt"
	"log/slog"

	"sluice/internal/flow"
	"sluice/internal/relate"
)

// relatedFormat is the format of a position that owes something to related
// documents: who does not know of it must not go on without.
const relatedFormat = 2

// relatedState is what a position keeps of one lap: the keys whose dependants
// have to be written again, and the _id that it has come to.
type relatedState struct {
	When    string  `json:"when"`
	Rewrite string  `json:"rewrite"`
	Field   string  `json:"field"`
	Keys    []value `json:"keys"`
	Last    value   `json:"last,omitempty"`
}

// state notes in p what is owed; mu is held. It is taken together with the mark of
// the stream, so p never passes a change without what that owes (rule S3).
func (g *relations) state(p *position) {
	for _, r := range g.all {
		for _, lap := range r.queue.Laps() {
			st := relatedState{When: r.When.String(), Rewrite: r.Rewrite.String(), Field: r.Field, Last: valueOf(lap.Last)}
			for _, k := range lap.Keys {
				st.Keys = append(st.Keys, valueOf(&k.Value))
			}
			p.Related = append(p.Related, st)
		}
	}
	if len(p.Related) > 0 {
		p.Format = relatedFormat
	}
}

// restore takes over what a position owes; mu is held.
func (g *relations) restore(saved *position) error {
	for _, st := range saved.Related {
		r := g.find(st)
		if r == nil {
			g.s.log.Warn("documents are no longer related; what was still to be written again stays as it is",
				slog.String(flow.LogNS, st.Rewrite), slog.Int(flow.LogCount, len(st.Keys)))
			continue
		}
		last, err := st.Last.raw()
		if err != nil {
			return badPosition(err)
		}
		keys := make([]relate.Key, 0, len(st.Keys))
		for _, v := range st.Keys {
			raw, err := v.raw()
			if err != nil || raw == nil {
				return badPosition(fmt.Errorf("a key of related documents: %w", err))
			}
			keys = append(keys, relate.Key{Name: string(appendKey(nil, raw.Type, raw.Value)), Value: *raw})
		}
		was := r.queue.Used()
		r.queue.Restore(keys, last)
		g.s.opts.Metrics.relatedQueue(r.queue.Used() - was)
	}
	return nil
}

// find returns the relation that a state is of, nil if there is none any more.
func (g *relations) find(st relatedState) *relation {
	for _, r := range g.all {
		if r.When.String() == st.When && r.Rewrite.String() == st.Rewrite && r.Field == st.Field {
			return r
		}
	}
	return nil
}

// RelatedProgress says how far one relation is.
type RelatedProgress struct {
	Relation
	// Keys wait or are worked on; they take Bytes of Budget, and took Peak at most.
	Keys, Bytes, Peak, Budget int
	// Rewritten counts documents of this run.
	Rewritten int64
}

// progress returns how far all are; mu is held.
func (g *relations) progress() []RelatedProgress {
	out := make([]RelatedProgress, 0, len(g.all))
	for _, r := range g.all {
		out = append(out, RelatedProgress{
			Relation: r.Relation, Keys: r.queue.Keys(), Bytes: r.queue.Used(), Peak: r.queue.Peak(), Budget: r.queue.Budget(),
			Rewritten: r.rewritten,
		})
	}
	return out
}
