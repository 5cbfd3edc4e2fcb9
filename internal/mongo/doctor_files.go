package mongo

import (
	"context"
	"slices"

	"sluice/internal/flow"
)

// Files tells whether the files of a flow can be found by an index, in those of its
// collections that fit.
func (d *Doctor) Files(ctx context.Context, name string, o Options, all []Collection, fits func(flow.Namespace) bool) flow.Findings {
	const check = "mongodb.files"
	var f flow.Findings
	if !slices.ContainsFunc(all, func(c Collection) bool { return fits(c.NS) }) {
		f.Add(flow.FindingInfo, check, name, "flow "+name+": no collection with the documents of files is there", "what comes later and fits is attached", "")
		return f
	}
	s, err := d.source(o)
	if err != nil {
		return f // told already
	}
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	if err := s.examineFiles(ctx, all, fits); err != nil {
		f.Fail(flow.FindingError, check, name, err, "look at files of the flow")
		return f
	}
	f.OK(check, name, "flow %s: the content of files is found by an index", name)
	return f
}
