package monstache

import (
	"regexp"
	"slices"
	"strings"
)

// selection is what is followed and copied, in the words of a flow.
type selection struct {
	// namespaces and exclude are what the flow is about.
	namespaces, exclude []string
	// stream and snapshot: whether there is one at all.
	stream, snapshot bool
	// streamInclude … are patterns; nil for everything.
	streamInclude, streamExclude     []string
	snapshotInclude, snapshotExclude []string
	dropsInclude, dropsExclude       []string
}

// everything is the pattern of all namespaces.
const everything = "/.+/"

// selected says what Monstache's lists and expressions mean.
func (s *Settings) selected() selection {
	changes, direct := s.list("change-stream-namespaces"), s.list("direct-read-namespaces")
	if len(changes) == 0 && !s.on("disable-change-events") {
		changes = []string{""}
	}
	if s.on("disable-change-events") {
		changes = nil
	}
	out := selection{stream: len(changes) > 0, snapshot: len(direct) > 0}
	match, except := anywhere(s.text("namespace-regex")), anywhere(s.text("namespace-exclude-regex"))
	followed := patterns(changes)
	switch {
	case discovers(direct):
		// What is discovered is filtered by the same expressions as the changes.
		out.namespaces, out.exclude = []string{everything}, except
		if match != nil {
			out.namespaces = match
		}
		if out.stream && !slices.Contains(followed, everything) {
			out.streamInclude = followed
		}
		out.snapshotInclude = anywhere(s.text("direct-read-dynamic-include-regex"))
		out.snapshotExclude = anywhere(s.text("direct-read-dynamic-exclude-regex"))
	default:
		copied := patterns(direct)
		out.namespaces = followed
		for _, ns := range copied {
			if !slices.ContainsFunc(followed, func(p string) bool { return covers(p, ns) }) {
				out.namespaces = append(out.namespaces, ns)
				if out.stream {
					out.streamExclude = append(out.streamExclude, ns)
				}
			}
		}
		if out.stream {
			out.streamInclude, out.streamExclude = match, append(out.streamExclude, except...)
		}
		if out.snapshot && !sameSet(copied, out.namespaces) {
			out.snapshotInclude = copied
		}
	}
	out.exclude = append(out.exclude, s.neverFollowed(out.namespaces)...)
	out.dropsInclude, out.dropsExclude = anywhere(s.text("namespace-drop-regex")), anywhere(s.text("namespace-drop-exclude-regex"))
	if !out.stream {
		out.dropsInclude, out.dropsExclude = nil, nil
	}
	return out
}

// neverFollowed are the patterns of what Monstache leaves out of each wide one.
func (s *Settings) neverFollowed(namespaces []string) []string {
	own := s.text("config-database-name")
	wide := func(p string) bool { return strings.HasPrefix(p, "/") || strings.HasSuffix(p, ".*") }
	if !slices.ContainsFunc(namespaces, wide) {
		return nil
	}
	out := []string{`/^[^.]+\..*\.chunks$/`, `/^[^.]+\..*system\..+$/`}
	if slices.ContainsFunc(namespaces, func(p string) bool { return wide(p) && (!strings.HasSuffix(p, ".*") || p == own+".*") }) {
		out = append(out, own+".*")
	}
	return out
}

// discovers tells whether all collections are to be copied.
func discovers(direct []string) bool { return len(direct) == 1 && direct[0] == "" }

// patterns turns entries of Monstache's lists into patterns of a flow.
func patterns(entries []string) []string {
	var out []string
	for _, e := range entries {
		p := e
		switch {
		case e == "":
			p = everything
		case !strings.Contains(e, "."):
			p = e + ".*"
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// covers tells whether one of patterns' results covers a plain namespace.
func covers(pattern, ns string) bool {
	if db, all := strings.CutSuffix(pattern, ".*"); all {
		return strings.HasPrefix(ns, db+".")
	}
	return pattern == everything || pattern == ns
}

// anywhere turns an expression that may match anywhere in a namespace into the
// pattern that describes the whole of it; nil for none.
func anywhere(expression string) []string {
	if expression == "" {
		return nil
	}
	if strings.HasPrefix(expression, "^") && strings.HasSuffix(expression, "$") && !strings.HasSuffix(expression, `\$`) && !strings.Contains(expression, "|") {
		return []string{"/" + expression + "/"}
	}
	return []string{"/.*(?:" + expression + ").*/"}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// checkExpressions refuses what is no regular expression.
func (s *Settings) checkExpressions() error {
	for _, key := range []string{
		"namespace-regex", "namespace-exclude-regex", "namespace-drop-regex", "namespace-drop-exclude-regex",
		"direct-read-dynamic-include-regex", "direct-read-dynamic-exclude-regex",
	} {
		if _, err := regexp.Compile(s.text(key)); err != nil {
			msg := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			return fault(2, "%s: no valid regular expression: %s", s.from(key), msg)
		}
	}
	return nil
}
