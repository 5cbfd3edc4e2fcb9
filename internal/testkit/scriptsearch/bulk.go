package scriptsearch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Action is one line, or two, of a bulk body.
type Action struct {
	// Op is index, create, update or delete.
	Op string
	// Index is the target's name as given, an index or an alias.
	Index, ID, Routing, Pipeline string
	// Version is that of the action, with VersionType.
	Version      int64
	VersionType  string
	RequireAlias bool
	// Source is the second line, nil for a delete.
	Source json.RawMessage
}

// Bulk is one bulk request.
type Bulk struct {
	// Path and Query are those of the request.
	Path, Query string
	Actions     []Action
	// Bytes is the size of the plain body.
	Bytes int
	// Gzip: it came compressed.
	Gzip bool
}

type actionLine struct {
	Index        *string `json:"_index"`
	ID           *string `json:"_id"`
	Version      int64   `json:"version"`
	VersionType  string  `json:"version_type"`
	Routing      string  `json:"routing"`
	Pipeline     string  `json:"pipeline"`
	RequireAlias *bool   `json:"require_alias"`
}

// parseBulk reads a body as strictly as the engines do: one fault fails the
// whole request.
func parseBulk(r *http.Request, body []byte) (*Bulk, error) {
	b := &Bulk{Path: r.URL.Path, Query: r.URL.RawQuery, Bytes: len(body)}
	base := Action{Index: strings.TrimSuffix(strings.Trim(r.URL.Path, "/"), "_bulk"), RequireAlias: r.URL.Query().Get("require_alias") == "true"}
	base.Index = strings.TrimSuffix(base.Index, "/")
	if len(body) == 0 || body[len(body)-1] != '\n' {
		return nil, fmt.Errorf("the bulk request must be terminated by a newline [\\n]")
	}
	for len(body) > 0 {
		var line []byte
		if line, body = cutLine(body); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		a, err := parseAction(base, line)
		if err != nil {
			return nil, err
		}
		if a.Op != "delete" {
			if a.Source, body = cutLine(body); !json.Valid(a.Source) {
				return nil, fmt.Errorf("source of [%s] is not JSON", a.ID)
			}
		}
		b.Actions = append(b.Actions, a)
	}
	return b, nil
}

func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	return line, rest
}

func parseAction(a Action, line []byte) (Action, error) {
	var op map[string]actionLine
	if err := json.Unmarshal(line, &op); err != nil || len(op) != 1 {
		return a, fmt.Errorf("Malformed action/metadata line: %s", line)
	}
	for name, l := range op {
		a.Op, a.Version, a.VersionType, a.Routing, a.Pipeline = name, l.Version, l.VersionType, l.Routing, l.Pipeline
		if l.Index != nil {
			a.Index = *l.Index
		}
		if l.ID != nil {
			a.ID = *l.ID
		}
		if l.RequireAlias != nil {
			a.RequireAlias = *l.RequireAlias
		}
	}
	return a, a.check()
}

// check holds what fails a whole request on the real engines.
func (a Action) check() error {
	switch {
	case a.Op != "index" && a.Op != "create" && a.Op != "update" && a.Op != "delete":
		return fmt.Errorf("Malformed action/metadata line, found [%s]", a.Op)
	case a.Index == "":
		return fmt.Errorf("index is missing")
	case len(a.ID) > 512:
		return fmt.Errorf("id [%s] is too long, must be no longer than 512 bytes but was: %d", a.ID, len(a.ID))
	case a.ID == "" && a.Op != "index" && a.Op != "create":
		return fmt.Errorf("an id must be provided if version type or value are set")
	case strings.HasPrefix(a.VersionType, "external") && (a.Op == "create" || a.Op == "update"):
		return fmt.Errorf("%s operations do not support external versions", a.Op)
	}
	return nil
}

// countBulk counts the actions of a body without reading them; deletes tells
// which of them, by place, are deletes (nil if none is).
func countBulk(body []byte) (n int, deletes map[int]bool) {
	for len(body) > 0 {
		line, rest := cutLine(body)
		if len(line) == 0 {
			body = rest
			continue
		}
		if bytes.HasPrefix(line, []byte(`{"delete"`)) {
			if deletes == nil {
				deletes = map[int]bool{}
			}
			deletes[n] = true
		} else {
			_, rest = cutLine(rest)
		}
		n++
		body = rest
	}
	return n, deletes
}
