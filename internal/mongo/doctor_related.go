package mongo

import (
	"context"

	"sluice/internal/flow"
)

// related tells whether what relations need is there.
func (d *Doctor) related(ctx context.Context, f *flow.Findings, name string, s *Source) {
	const check = "mongodb.related"
	if len(s.related.all) == 0 {
		return
	}
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	if err := s.related.examine(ctx); err != nil {
		f.Fail(flow.FindingError, check, name, err, "look at related of the flow")
		return
	}
	f.OK(check, name, "flow %s: related documents are found by an index", name)
}
