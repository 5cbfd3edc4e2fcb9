package search

import (
	"context"
	"encoding/json"
	"fmt"

	"sluice/internal/flow"
)

// visitStream is VisitIndex where documents go to data streams.
func (c *Client) visitStream(ctx context.Context, ns flow.Namespace, r Route, sample [][]byte) (shards int, f flow.Findings) {
	const check = "search.data_stream"
	x, err := c.lookupStream(ctx, r.Index)
	if err != nil {
		f.Fail(flow.FindingError, check, r.Index, err, "")
		return 0, f
	}
	root, settings := &mapped{}, wantedSettings(r)
	if x == nil {
		shards = c.visitTemplate(ctx, &f, r, settings)
		if len(r.Mappings) > 0 {
			_ = json.Unmarshal(r.Mappings, root) // what is wrong with it, making the data stream tells
		}
	} else {
		if m := x.ours(); m != nil {
			f.Fail(flow.FindingError, "search.owner", r.Index, m.check(r.Index, &c.opts), "")
		}
		settings = x.write().Settings
		if root, err = c.mapping(ctx, x.write().name); err != nil {
			f.Fail(flow.FindingWarning, check, r.Index, err, "")
			return 0, f
		}
	}
	judgeSample(&f, ns, r, root, settings, sample)
	if len(f) == 0 {
		f.OK(check, r.Index, "%s can go to the data stream %s", ns, r.Index)
	}
	return shards, f
}

// visitTemplate tells by which template a data stream would be made.
func (c *Client) visitTemplate(ctx context.Context, f *flow.Findings, r Route, settings map[string]any) (shards int) {
	const check = "search.template"
	theirs, _, err := c.templateFor(ctx, r.Index, streamTemplateName(c.opts.Flow, r.Index), c.opts.Flow)
	if err != nil {
		f.Fail(flow.FindingError, check, r.Index, err, "")
		return 0
	}
	if theirs != "" && (len(r.Settings) > 0 || len(r.Mappings) > 0) {
		f.Fail(flow.FindingError, check, r.Index, templateInTheWay(r.Index, theirs), "")
		return 0
	}
	if theirs != "" {
		f.OK(check, r.Index, "the data stream %s will be made by the index template %s", r.Index, theirs)
		return 0
	}
	return shardsOf(settings)
}

// templateInTheWay says that a template of somebody else leaves what the flow says of
// its indexes without effect.
func templateInTheWay(name, theirs string) error {
	return &flow.Error{
		Op: "create data stream", Object: name, Class: flow.Config,
		Err:  fmt.Errorf("settings and mappings of the flow would have no effect: the index template %s is there for this name", theirs),
		Hint: "take them out of the flow and put them into that template, or give the data stream a name that it does not cover (data_stream.name)",
	}
}
