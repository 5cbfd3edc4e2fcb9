package search

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/internal/flow"
)

// defaultFields is index.mapping.total_fields.limit where it is not set.
const defaultFields = 1000

// shownClashes bounds the fields that are told of one namespace.
const shownClashes = 10

// VisitIndex looks at the index of ns, and whether the sample of documents (as
// JSON, the way they will be written) fits its mapping. It changes nothing.
// shards is how many an index that is still to be made takes.
func (c *Client) VisitIndex(ctx context.Context, ns flow.Namespace, r Route, sample [][]byte) (shards int, f flow.Findings) {
	const check = "search.index"
	ctx, done := context.WithTimeout(ctx, 3*doctorPatience)
	defer done()
	if c.opts.Stream != nil {
		return c.visitStream(ctx, ns, r, sample)
	}
	x, alias, err := c.lookup(ctx, r.Index)
	if err != nil {
		f.Fail(flow.FindingError, check, r.Index, err, "")
		return 0, f
	}
	root := &mapped{}
	var settings map[string]any
	if x == nil {
		settings = wantedSettings(r)
		shards = shardsOf(settings)
		if len(r.Mappings) > 0 {
			_ = json.Unmarshal(r.Mappings, root) // what is wrong with it, making an index tells
		}
	} else {
		settings = x.Settings
		c.judgeIndex(ctx, &f, ns, r, x, alias)
		if root, err = c.mapping(ctx, x.name); err != nil {
			f.Fail(flow.FindingWarning, check, x.name, err, "")
			return 0, f
		}
	}
	judgeSample(&f, ns, r, root, settings, sample)
	if len(f) == 0 {
		f.OK(check, r.Index, "%s can go to the index %s", ns, r.Index)
	}
	return shards, f
}

// wantedSettings are those of an index that the flow would make.
func wantedSettings(r Route) map[string]any {
	flat := map[string]any{}
	var given map[string]json.RawMessage
	if json.Unmarshal(r.Settings, &given) == nil {
		flatten("", given, flat)
	}
	for k, v := range flat {
		if raw, ok := v.(json.RawMessage); ok {
			flat[k] = strings.Trim(string(raw), `"`)
		}
	}
	return flat
}

func number(settings map[string]any, name string, otherwise int) int {
	if n, err := strconv.Atoi(fmt.Sprint(settings[name])); err == nil {
		return n
	}
	return otherwise
}

func shardsOf(settings map[string]any) int {
	return number(settings, "index.number_of_shards", 1) * (1 + number(settings, "index.number_of_replicas", 1))
}

// mapping reads the mapping of a concrete index.
func (c *Client) mapping(ctx context.Context, index string) (*mapped, error) {
	var all map[string]struct {
		Mappings *mapped `json:"mappings"`
	}
	if err := c.call(ctx, "read the mapping of", index, get("/"+url.PathEscape(index)+"/_mapping"), &all); err != nil {
		return nil, err
	}
	if m := all[index].Mappings; m != nil {
		return m, nil
	}
	return &mapped{}, nil
}

// judgeIndex looks at an index that is there.
func (c *Client) judgeIndex(ctx context.Context, f *flow.Findings, ns flow.Namespace, r Route, x *indexInfo, alias bool) {
	const check = "search.index"
	closed := x.setting("index.verified_before_close") == "true"
	if closed {
		f.Add(flow.FindingError, check, x.name, "the index "+x.name+" is closed", "nothing can be written to it", hintClosed)
	}
	c.judgeOwner(ctx, f, r, x, closed)
	for _, block := range []string{"write", "read_only", "read_only_allow_delete"} {
		if x.setting("index.blocks."+block) == "true" {
			f.Add(flow.FindingError, "search.blocks", x.name, "the index "+x.name+" is blocked: index.blocks."+block, blockMeans(block),
				"PUT /"+x.name+`/_settings {"index.blocks.`+block+`": null}`)
		}
	}
	if strings.EqualFold(x.setting("index.translog.durability"), "async") {
		f.Add(flow.FindingWarning, "search.durability", x.name, "index.translog.durability of "+x.name+" is async",
			"a crash of the engine loses writes that it has confirmed, and sluice does not write them again",
			"PUT /"+x.name+`/_settings {"index.translog.durability": "request"}`)
	}
	if !alias && c.opts.Profile != ProfileMonstache {
		c.judgeAutoCreate(ctx, f, ns, x)
	}
	for _, name := range []string{"index.default_pipeline", "index.final_pipeline"} {
		c.judgePipeline(ctx, f, x, name)
	}
}

func blockMeans(block string) string {
	if block == "read_only_allow_delete" {
		return "the engine sets it when a disk is past the flood stage, and takes it away when there is room"
	}
	return "somebody has set it; nothing can be written to the index"
}

// judgeOwner tells whose index it is.
func (c *Client) judgeOwner(ctx context.Context, f *flow.Findings, r Route, x *indexInfo, closed bool) {
	const check = "search.owner"
	if m := x.meta(); m != nil {
		f.Fail(flow.FindingError, check, x.name, m.check(x.name, &c.opts), "")
		return
	}
	if closed {
		return
	}
	n, err := c.count(ctx, x.name)
	if err != nil {
		f.Fail(flow.FindingWarning, check, x.name, err, "")
		return
	}
	switch {
	case n > 0 && c.opts.Profile == ProfileMonstache:
		f.Add(flow.FindingInfo, check, x.name, fmt.Sprintf("the index %s has %d documents that sluice has not written", x.name, n),
			"the flow goes on with it (profile: monstache); a copy with an index that has documents ends by removing what MongoDB does not have", "")
	case n > 0:
		f.Add(flow.FindingError, check, x.name, fmt.Sprintf("the index %s has %d documents that sluice has not written", x.name, n),
			"the copy ends by removing what MongoDB does not have, and documents of the same id are overwritten",
			"give the flow another index (index, index_prefix); or, if these documents may go, delete the index "+x.name)
	}
}

// judgeAutoCreate is for an index that is written by its own name: if it is
// deleted meanwhile, a late write may make it anew, without its mapping.
func (c *Client) judgeAutoCreate(ctx context.Context, f *flow.Findings, ns flow.Namespace, x *indexInfo) {
	set, err := c.clusterSettings(ctx)
	if err != nil || set["action.auto_create_index"] == "false" {
		return
	}
	f.Add(flow.FindingInfo, "search.auto_create", x.name, fmt.Sprintf("%s goes to %s, which is an index and no alias", ns, x.name),
		"if it is deleted while sluice runs, a late write makes it anew without its mapping (action.auto_create_index)",
		"put an alias before it, or set action.auto_create_index to false")
}

// judgePipeline looks for an ingest pipeline that the index names.
func (c *Client) judgePipeline(ctx context.Context, f *flow.Findings, x *indexInfo, name string) {
	pipeline := x.setting(name)
	if pipeline == "" || pipeline == "_none" {
		return
	}
	err := c.call(ctx, "look up the ingest pipeline", pipeline, get("/_ingest/pipeline/"+url.PathEscape(pipeline)), nil)
	if apiErrorOf(err).Status != http.StatusNotFound {
		return
	}
	f.Add(flow.FindingError, "search.pipeline", x.name, name+" of "+x.name+" names the ingest pipeline "+pipeline+", which is not there",
		"every write is refused", "make the pipeline, or PUT /"+x.name+`/_settings {"`+name+`": null}`)
}

// judgeSample compares documents with the mapping, and counts their fields.
func judgeSample(f *flow.Findings, ns flow.Namespace, r Route, root *mapped, settings map[string]any, sample [][]byte) {
	s, _ := shapeOf(sample)
	const check = "search.mapping"
	clashes := root.clashes(s)
	for i, one := range clashes {
		if i == shownClashes {
			f.Add(flow.FindingWarning, check, ns.String(), fmt.Sprintf("%s: %d more fields do not fit", ns, len(clashes)-i), "", "see the ones before")
			break
		}
		what := fmt.Sprintf("%s: field %s: %s (of %d documents looked at)", ns, one.field, one.what, len(sample))
		cure := "map the field in mappings of the flow before the index is made (for values of any form: flattened, flat_object, or enabled: false), or leave it out (fields.exclude)"
		if one.docs > 0 {
			f.Add(flow.FindingError, check, r.Index, what, fmt.Sprintf("at least %d of them will be refused by the engine, and lie in the dead letters", one.docs), cure)
			continue
		}
		f.Add(flow.FindingWarning, check, r.Index, what, "the first document that is written decides the type; those that do not fit it lie in the dead letters", cure)
	}
	judgeFields(f, ns, r, root, settings, s)
}

func judgeFields(f *flow.Findings, ns flow.Namespace, r Route, root *mapped, settings map[string]any, s shape) {
	if fmt.Sprint(settings["index.mapping.total_fields.ignore_dynamic_beyond_limit"]) == "true" {
		return
	}
	const check = "search.fields"
	limit := number(settings, "index.mapping.total_fields.limit", defaultFields)
	n := root.count() + root.newFields(s)
	what := fmt.Sprintf("%s: mapping and documents have about %d fields together, and the limit is %d", ns, n, limit)
	cure := "leave fields out (fields.include, fields.exclude), map a part as flattened or flat_object, set dynamic: false, or raise index.mapping.total_fields.limit in settings of the flow"
	switch {
	case n > limit:
		f.Add(flow.FindingError, check, r.Index, what, "a document that adds a field beyond the limit is refused, and lies in the dead letters", cure)
	case n*10 > limit*9:
		f.Add(flow.FindingWarning, check, r.Index, what, "a document that adds a field beyond the limit is refused", cure)
	}
}
