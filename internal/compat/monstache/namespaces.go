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
	// passedOver are namespaces that are listed and pass no filter.
	passedOver []string
}

// everything is the pattern of all namespaces.
const everything = "/./"

// selected says what Monstache's lists and expressions mean.
func (s *Settings) selected() selection {
	changes, direct := s.list("change-stream-namespaces"), s.list("direct-read-namespaces")
	if len(changes) == 0 {
		changes = []string{""}
	}
	if s.on("disable-change-events") {
		changes = nil
	}
	out := selection{stream: len(changes) > 0, snapshot: len(direct) > 0}
	if discovers(direct) {
		s.selectAll(&out, patterns(changes))
	} else {
		s.selectListed(&out, patterns(changes), patterns(direct))
	}
	out.exclude = append(out.exclude, s.neverFollowed(out.namespaces)...)
	if out.stream {
		out.dropsInclude, out.dropsExclude = expression(s.text("namespace-drop-regex")), expression(s.text("namespace-drop-exclude-regex"))
	}
	return out
}

// selectAll is for direct reads of everything that is found. It is filtered by the
// same expressions as the changes.
func (s *Settings) selectAll(out *selection, followed []string) {
	out.namespaces, out.exclude = []string{everything}, expression(s.text("namespace-exclude-regex"))
	if match := expression(s.text("namespace-regex")); match != nil {
		out.namespaces = match
	}
	if out.stream && !slices.Contains(followed, everything) {
		passes := s.passes()
		for _, p := range followed {
			if plain(p) && !passes(p) {
				out.passedOver = append(out.passedOver, p)
			} else {
				out.streamInclude = append(out.streamInclude, p)
			}
		}
		out.stream = len(out.streamInclude) > 0
	}
	// A pattern of what is copied takes views along.
	out.snapshotInclude = []string{everything}
	if match := expression(s.text("direct-read-dynamic-include-regex")); match != nil {
		out.snapshotInclude = match
	}
	out.snapshotExclude = expression(s.text("direct-read-dynamic-exclude-regex"))
}

// selectListed is for direct reads of a list, which no expression filters.
func (s *Settings) selectListed(out *selection, followed, copied []string) {
	wide := slices.DeleteFunc(slices.Clone(followed), plain)
	passes := s.passes()
	for _, p := range followed {
		switch {
		case !plain(p) || passes(p):
			out.namespaces = append(out.namespaces, p)
		case slices.Contains(copied, p):
			out.namespaces = append(out.namespaces, p)
			out.streamExclude = append(out.streamExclude, p)
		default:
			out.passedOver = append(out.passedOver, p)
		}
	}
	for _, ns := range copied {
		if slices.ContainsFunc(followed, func(p string) bool { return covers(p, ns) }) {
			continue
		}
		out.namespaces = append(out.namespaces, ns)
		if out.stream {
			out.streamExclude = append(out.streamExclude, ns)
		}
	}
	switch {
	case !out.stream:
	case len(wide) > 0:
		if match := expression(s.text("namespace-regex")); match != nil {
			out.streamInclude = match
		}
		out.streamExclude = append(out.streamExclude, expression(s.text("namespace-exclude-regex"))...)
	case len(out.streamExclude) == len(out.namespaces):
		out.stream, out.streamExclude = false, nil // nothing is left to follow
	}
	if out.snapshot && !sameSet(copied, out.namespaces) {
		out.snapshotInclude = copied
	}
}

// passes tells what the filters of namespaces let through.
func (s *Settings) passes() func(ns string) bool {
	match, errMatch := regexp.Compile(s.text("namespace-regex"))
	except, errExcept := regexp.Compile(s.text("namespace-exclude-regex"))
	return func(ns string) bool {
		return (errMatch != nil || match.MatchString(ns)) && (errExcept != nil || s.text("namespace-exclude-regex") == "" || !except.MatchString(ns))
	}
}

// plain tells whether a pattern of ours names one collection.
func plain(p string) bool { return !strings.HasPrefix(p, "/") && !strings.HasSuffix(p, ".*") }

// neverFollowed are the patterns of what Monstache leaves out of each wide one.
func (s *Settings) neverFollowed(namespaces []string) []string {
	own := s.text("config-database-name")
	wide := func(p string) bool { return !plain(p) }
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

// expression is the pattern of an expression, which is looked for in a namespace;
// nil for none.
func expression(text string) []string {
	if text == "" {
		return nil
	}
	return []string{"/" + text + "/"}
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
