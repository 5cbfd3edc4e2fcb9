package search

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/flow"
)

// hintAttachment is the cure where the engine can't read files.
const hintAttachment = "the plug-in ingest-attachment is missing on a node: install it on each (bin/opensearch-plugin install ingest-attachment; " +
	"Elasticsearch before 8.4: bin/elasticsearch-plugin) and restart them;\n" +
	"or set files.put_pipeline: false, and files.pipeline to an ingest pipeline of your own"

// attachmentPipeline is the body of the pipeline that reads text out of files.
func attachmentPipeline(field string) []byte {
	// A field needs no escape.
	return []byte(`{"description":"Extract file information","processors":[{"attachment":{"field":"` + field + `"}}]}`)
}

// PutAttachmentPipeline makes the ingest pipeline of that name, which reads text
// out of the base64 in a field, unless there is one: that stays as it is, also if it
// does something else. Where the engine has no such processor, the error is of class
// Config and names the cure.
func (c *Client) PutAttachmentPipeline(ctx context.Context, name, field string) error {
	there, same, err := c.attachmentPipeline(ctx, name, field)
	switch {
	case err != nil:
		return err
	case there && !same:
		c.log.LogAttrs(ctx, slog.LevelInfo, "the ingest pipeline for files is not the one that sluice would make; it stays as it is", slog.String("pipeline", name))
		return nil
	case there:
		return nil
	}
	err = c.call(ctx, "make the ingest pipeline", name, put(pipelinePath(name), attachmentPipeline(field)), nil)
	if e := apiErrorOf(err); e.Status == http.StatusBadRequest && strings.Contains(e.Reason+e.Cause, "[attachment]") {
		return &flow.Error{Op: "make the ingest pipeline", Object: name, Class: flow.Config, Err: e, Hint: hintAttachment}
	}
	return err
}

func pipelinePath(name string) string { return "/_ingest/pipeline/" + url.PathEscape(name) }

// attachmentPipeline looks whether a pipeline is there, and whether its processors
// are those that we would give it.
func (c *Client) attachmentPipeline(ctx context.Context, name, field string) (there, same bool, err error) {
	type body struct {
		Processors json.RawMessage `json:"processors"`
	}
	var all map[string]body
	err = c.call(ctx, "look up the ingest pipeline", name, get(pipelinePath(name)), &all)
	if apiErrorOf(err).Status == http.StatusNotFound {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	have, there := all[name]
	var want body
	if err := json.Unmarshal(attachmentPipeline(field), &want); err != nil {
		return there, false, err
	}
	return there, bytes.Equal(canonical(have.Processors), canonical(want.Processors)), nil
}

// canonical is JSON with its keys in order and without white space.
func canonical(raw []byte) []byte {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// VisitAttachments tells whether files can be read by the pipeline of that name;
// makes says that PutAttachmentPipeline will be asked to make it.
func (c *Client) VisitAttachments(ctx context.Context, name, field string, makes bool) flow.Findings {
	const check = "search.attachments"
	var f flow.Findings
	there, same, err := c.attachmentPipeline(ctx, name, field)
	switch {
	case err != nil:
		f.Fail(flow.FindingError, check, name, err, "")
	case there && makes && !same:
		f.Add(flow.FindingInfo, check, name, "the ingest pipeline "+name+" is not the one that sluice would make",
			"it is used as it is, and never overwritten", "set files.put_pipeline: false to say that it is meant")
	case there:
		f.OK(check, name, "files go through the ingest pipeline %s", name)
	case !makes:
		f.Add(flow.FindingError, check, name, "there is no ingest pipeline "+name,
			"the flow stops at the first file", "make it, or set files.put_pipeline: true")
	default:
		c.visitProcessors(ctx, &f, check, name)
	}
	return f
}

// visitProcessors tells whether every node can read files.
func (c *Client) visitProcessors(ctx context.Context, f *flow.Findings, check, name string) {
	var all struct {
		Nodes map[string]struct {
			Name   string `json:"name"`
			Ingest struct {
				Processors []struct {
					Type string `json:"type"`
				} `json:"processors"`
			} `json:"ingest"`
		} `json:"nodes"`
	}
	err := c.call(ctx, "look up processors of", "the cluster", get("/_nodes/ingest?filter_path=nodes.*.name,nodes.*.ingest.processors"), &all)
	if err != nil {
		if !unseen(f, check, name, err) {
			f.Fail(flow.FindingError, check, name, err, "")
		}
		return
	}
	for _, n := range all.Nodes {
		has := false
		for _, p := range n.Ingest.Processors {
			has = has || p.Type == "attachment"
		}
		if !has {
			f.Add(flow.FindingError, check, name, fmt.Sprintf("node %s has no processor named attachment", n.Name),
				"the pipeline that reads text out of files can't be made", hintAttachment)
			return
		}
	}
	f.OK(check, name, "every node can read text out of files")
}
