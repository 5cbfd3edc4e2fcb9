package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/flow"
)

// streamPriority is the least of the templates that we put: above those that come
// with the products.
const streamPriority = 500

// streamTemplate is a composable index template, as far as it concerns us.
type streamTemplate struct {
	Name string `json:"name"`
	Body struct {
		Patterns   []string         `json:"index_patterns"`
		Priority   int64            `json:"priority"`
		DataStream *json.RawMessage `json:"data_stream"`
		Meta       struct {
			Sluice *struct {
				Flow string `json:"flow"`
			} `json:"sluice"`
		} `json:"_meta"`
	} `json:"index_template"`
}

// fits tells whether a pattern of the template covers the name.
func (t *streamTemplate) fits(name string) bool {
	for _, p := range t.Body.Patterns {
		if matchesStars(p, name) {
			return true
		}
	}
	return false
}

// matchesStars tells whether name fits a pattern in which * stands for anything.
func matchesStars(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// streamTemplateName is the name of our template for a data stream.
func streamTemplateName(flow, name string) string { return "sluice-" + flow + "-" + name }

// createStream makes a data stream, by a template that is there for it or, if there
// is none, by one of ours. It returns false if somebody else was faster.
func (s *Sink) createStream(ctx context.Context, r *Route) (bool, error) {
	name := r.Index
	ours := streamTemplateName(s.client.opts.Flow, name)
	theirs, priority, err := s.client.templateFor(ctx, name, ours, s.client.opts.Flow)
	if err != nil {
		return false, err
	}
	switch {
	case theirs != "" && (len(r.Settings) > 0 || len(r.Mappings) > 0):
		return false, templateInTheWay(name, theirs)
	case theirs == "":
		if err := s.putStreamTemplate(ctx, ours, priority, r); err != nil {
			return false, err
		}
	}
	err = s.client.call(ctx, "create data stream", name, put("/_data_stream/"+url.PathEscape(name), nil), nil)
	switch e := apiErrorOf(err); {
	case e.Type == "resource_already_exists_exception":
		return false, nil
	case e.Status == http.StatusBadRequest:
		return false, &flow.Error{Op: "create data stream", Object: name, Class: flow.Config, Err: e, Hint: "check data_stream, settings and mappings of the flow"}
	}
	return err == nil, err
}

// templateFor returns the template that makes data streams of this name, "" if it
// takes one of ours, and the priority that this one needs. One that bears our name and
// is not ours is refused.
func (c *Client) templateFor(ctx context.Context, name, ours, owner string) (theirs string, priority int64, err error) {
	var list struct {
		Templates []streamTemplate `json:"index_templates"`
	}
	err = c.call(ctx, "look up index templates for", name,
		get("/_index_template?filter_path=index_templates.name,index_templates.index_template.index_patterns,index_templates.index_template.priority,"+
			"index_templates.index_template.data_stream,index_templates.index_template._meta.sluice"), &list)
	if err != nil && apiErrorOf(err).Status != http.StatusNotFound {
		return "", 0, err
	}
	var best *streamTemplate
	for i := range list.Templates {
		t := &list.Templates[i]
		if t.Name == ours {
			if t.Body.Meta.Sluice == nil || t.Body.Meta.Sluice.Flow != owner {
				return "", 0, &flow.Error{
					Op: "create data stream", Object: name, Class: flow.Config,
					Err:  fmt.Errorf("there is an index template %s that sluice has not made", ours),
					Hint: "give the data stream another name (data_stream.name), or delete that template",
				}
			}
			continue
		}
		if t.fits(name) && (best == nil || t.Body.Priority > best.Body.Priority) {
			best = t
		}
	}
	switch {
	case best == nil:
		return "", streamPriority, nil
	case best.Body.DataStream != nil:
		return best.Name, 0, nil
	}
	return "", max(streamPriority, best.Body.Priority+1), nil
}

// putStreamTemplate puts a template for this one name.
func (s *Sink) putStreamTemplate(ctx context.Context, template string, priority int64, r *Route) error {
	body, err := s.streamTemplateBody(priority, r)
	if err != nil {
		return &flow.Error{
			Op: "create data stream", Object: r.Index, Class: flow.Config, Err: err,
			Hint: "settings and mappings of the flow have to be JSON objects",
		}
	}
	err = s.client.call(ctx, "put index template", template, put("/_index_template/"+url.PathEscape(template), body), nil)
	if e := apiErrorOf(err); e.Status == http.StatusBadRequest {
		return &flow.Error{Op: "put index template", Object: template, Class: flow.Config, Err: e, Hint: "check settings and mappings of the flow"}
	}
	return err
}

func (s *Sink) streamTemplateBody(priority int64, r *Route) ([]byte, error) {
	settings := map[string]any{}
	if len(r.Settings) > 0 {
		var given map[string]json.RawMessage
		if err := json.Unmarshal(r.Settings, &given); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
		flatten("", given, settings)
	}
	mappings := map[string]json.RawMessage{}
	if len(r.Mappings) > 0 {
		if err := json.Unmarshal(r.Mappings, &mappings); err != nil {
			return nil, fmt.Errorf("mappings: %w", err)
		}
	}
	properties := map[string]json.RawMessage{}
	if raw, ok := mappings["properties"]; ok {
		if err := json.Unmarshal(raw, &properties); err != nil {
			return nil, fmt.Errorf("mappings: properties: %w", err)
		}
	}
	for name, as := range map[string]string{
		timestampField: `{"type":"date"}`,
		keyField:       `{"type":"keyword","index":false,"doc_values":false}`,
	} {
		if _, ok := properties[name]; !ok {
			properties[name] = json.RawMessage(as)
		}
	}
	var err error
	if mappings["properties"], err = json.Marshal(properties); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"index_patterns": []string{r.Index}, "priority": priority, "data_stream": map[string]any{},
		"template": map[string]any{"settings": settings, "mappings": mappings},
		"_meta":    map[string]any{"sluice": map[string]any{"flow": s.client.opts.Flow}},
	})
}

// errStreamGone says that what is there now is not what was written to.
var errStreamGone = errors.New("the data stream is gone, or was made anew, or a pipeline sends documents elsewhere")
