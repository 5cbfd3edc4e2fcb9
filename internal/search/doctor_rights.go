package search

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/flow"
)

// VisitRights tries all that a flow does to an index, on one of its own whose
// name begins with that of the route, and which it removes: make it with the
// settings and mappings of the route, write and delete by version, search,
// change settings and mapping. Where it may not be removed, nothing is tried.
func (c *Client) VisitRights(ctx context.Context, ns flow.Namespace, r Route) flow.Findings {
	if c.opts.Stream != nil { // a probe would need a template of its own
		return nil
	}
	return c.withProbe(ctx, r.Index, func(ctx context.Context, p *probe) {
		r.Index = p.name + "-alias"
		body, err := c.sink.createBody(ns, &r)
		if err != nil {
			p.f.Fail(flow.FindingError, "search.settings", p.object, err, "settings and mappings of the flow have to be JSON objects")
			return
		}
		if !p.create(ctx, body) {
			return
		}
		p.write(ctx, r.Index)
		p.do(ctx, "refresh", post(p.path+"/_refresh", nil))
		p.do(ctx, "search in", post(p.path+"/_search", []byte(`{"size":0}`)))
		p.do(ctx, "change the settings of", put(p.path+"/_settings", []byte(`{"index":{"refresh_interval":"30s"}}`)))
		p.do(ctx, "change the mapping of", put(p.path+"/_mapping", []byte(`{"_meta":{"sluice":{}}}`)))
		p.do(ctx, "read the mapping of", get(p.path+"/_mapping"))
	})
}

// VisitOwn tries whether an index for what is ours (positions, dead letters)
// can be made beside the name index, written and read.
func (c *Client) VisitOwn(ctx context.Context, index string) flow.Findings {
	return c.withProbe(ctx, index, func(ctx context.Context, p *probe) {
		if !p.create(ctx, []byte(ownIndexBody)) {
			return
		}
		p.do(ctx, "write to", put(p.path+"/_doc/1", []byte(`{"fence":1}`)))
		p.do(ctx, "read from", get(p.path+"/_doc/1"))
	})
}

// VisitAdd tries whether a document can be added to an index that the engine makes
// for it, with a name like index.
func (c *Client) VisitAdd(ctx context.Context, index string) flow.Findings {
	return c.withProbe(ctx, index, func(ctx context.Context, p *probe) {
		err := c.call(ctx, "add a document to an index like", p.object, post(p.path+"/_doc", []byte("{}")), nil)
		cure := ""
		if apiErrorOf(err).Type == "index_not_found_exception" {
			cure = "the engine makes no index by itself: allow it for this name in action.auto_create_index"
		}
		p.f.Fail(flow.FindingError, "search.rights", p.object, err, cure)
		if err == nil {
			p.f.OK("search.rights", index, "a document can be added to an index like %s, which is made for it", index)
		}
	})
}

// probe is an index that is tried and removed.
type probe struct {
	c *Client
	f *flow.Findings
	// object is the name that it stands for.
	object, name, path string
}

// withProbe calls try unless what it makes could not be removed, and removes it.
func (c *Client) withProbe(ctx context.Context, index string, try func(context.Context, *probe)) flow.Findings {
	const check = "search.rights"
	var f flow.Findings
	ctx, done := context.WithTimeout(ctx, 3*doctorPatience)
	defer done()
	// Behind a name of any length: the engines take 255 bytes.
	name := index[:min(len(index), 200)] + "-doctor-" + strings.ToLower(rand.Text()[:12])
	p := &probe{c: c, f: &f, object: index, name: name, path: "/" + url.PathEscape(name)}
	if err := p.remove(ctx); err != nil {
		if apiErrorOf(err).Status == http.StatusForbidden {
			f.Fail(flow.FindingWarning, check, index, err, "")
			f[len(f)-1].What = "whether " + index + " can be made and written was not tried: the user may not remove an index"
			return f
		}
		f.Fail(flow.FindingError, check, index, err, "")
		return f
	}
	defer func() {
		clean, done := context.WithTimeout(context.WithoutCancel(ctx), doctorPatience)
		defer done()
		if err := p.remove(clean); err != nil {
			f.Fail(flow.FindingWarning, "search.left_behind", name, err, "DELETE /"+name)
		}
	}()
	try(ctx, p)
	if len(f) == 0 {
		f.OK(check, index, "an index like %s can be made, written, searched and changed", index)
	}
	return f
}

// remove deletes the probe; that it is not there is no error.
func (p *probe) remove(ctx context.Context) error {
	err := p.c.call(ctx, "remove the index", p.name, del(p.path), nil)
	if apiErrorOf(err).Status == http.StatusNotFound {
		return nil
	}
	return err
}

// create makes the probe and sorts out why it can't be made.
func (p *probe) create(ctx context.Context, body []byte) bool {
	err := p.c.call(ctx, "make an index like", p.object, put(p.path, body), nil)
	e := apiErrorOf(err)
	switch {
	case err == nil:
		return true
	case strings.Contains(e.Reason, "maximum") && strings.Contains(e.Reason, "shards"):
		p.f.Fail(flow.FindingError, "search.shards", p.object, err,
			"delete indexes that are not used, add a node, or raise cluster.max_shards_per_node")
	case e.Status == http.StatusBadRequest:
		p.f.Fail(flow.FindingError, "search.settings", p.object, err, "look at settings and mappings of the flow, and at the index templates that fit the name")
	default:
		p.f.Fail(flow.FindingError, "search.rights", p.object, err, "")
	}
	return false
}

// do is one request; its failure is one finding.
func (p *probe) do(ctx context.Context, op string, r *request) {
	err := p.c.call(ctx, op+" an index like", p.object, r, nil)
	p.f.Fail(flow.FindingError, "search.rights", p.object, err, "")
}

// write writes a document and deletes it, by version and by alias, as a flow does.
func (p *probe) write(ctx context.Context, alias string) {
	const op = "write to an index like"
	r := post("/"+url.PathEscape(alias)+"/_bulk?require_alias=true", []byte(
		`{"index":{"_id":"sluice-doctor","version":1,"version_type":"external_gte"}}`+"\n{}\n"+
			`{"delete":{"_id":"sluice-doctor","version":2,"version_type":"external_gte"}}`+"\n"))
	r.ndjson = true
	ans, err := p.c.do(ctx, r, nil)
	if err == nil && ans.status != http.StatusOK {
		err = failure(op, p.object, parseError(ans))
	}
	if err == nil {
		err = eachResult(ans.body, 2, func(_ int, r result) error {
			if r.status < 300 {
				return nil
			}
			var b errorBody
			_ = json.Unmarshal(r.err, &b) // without it the status has to do
			return failure(op, p.object, b.apiError(r.status))
		})
	}
	p.f.Fail(flow.FindingError, "search.rights", p.object, err, "")
}
