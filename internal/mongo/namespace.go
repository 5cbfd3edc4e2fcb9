package mongo

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// stateDB is the database in which sluice keeps what is its own.
const stateDB = "sluice"

// pattern fits namespaces: one, all of a database, or what an expression finds.
type pattern struct {
	db, coll string // coll "" is all of db
	re       *regexp.Regexp
}

func parsePattern(s string) (pattern, error) {
	if len(s) > 1 && s[0] == '/' && s[len(s)-1] == '/' {
		re, err := regexp.Compile(s[1 : len(s)-1])
		if err != nil {
			return pattern{}, configError(s, fmt.Errorf("no valid regular expression: %w", err))
		}
		return pattern{re: re}, nil
	}
	ns, ok := flow.ParseNamespace(s)
	if !ok {
		return pattern{}, configError(s, fmt.Errorf("wants db.collection, db.* or /regular expression/"))
	}
	if ns.Coll == "*" {
		ns.Coll = ""
	}
	return pattern{db: ns.DB, coll: ns.Coll}, nil
}

func (p pattern) fits(ns flow.Namespace) bool {
	if p.re != nil {
		return p.re.MatchString(ns.String())
	}
	return p.db == ns.DB && (p.coll == "" || p.coll == ns.Coll)
}

// plain tells whether p names exactly one collection.
func (p pattern) plain() bool { return p.re == nil && p.coll != "" }

// selection is what a flow follows, with the filters on content.
type selection struct {
	include, exclude []pattern
	priority         []pattern
	filters          []contentFilter
	// copied and streamed narrow it to what is copied, and whose changes count.
	copied, streamed choice
	// reserved are databases that the caller keeps out.
	reserved []string
	// watched are plain: their events come too, for related documents.
	watched []pattern
}

type contentFilter struct {
	pattern pattern
	query   bson.Raw
}

func newSelection(o Options) (selection, error) {
	var s selection
	var err error
	if s.include, err = parsePatterns(o.Namespaces); err != nil {
		return s, err
	}
	if s.exclude, err = parsePatterns(o.Exclude); err != nil {
		return s, err
	}
	if s.priority, err = parsePatterns(o.Snapshot.Priority); err != nil {
		return s, err
	}
	if err := s.narrow(o); err != nil {
		return s, err
	}
	for _, f := range o.Filters {
		p, err := parsePattern(f.Pattern)
		if err != nil {
			return s, err
		}
		if err := f.Query.Validate(); err != nil {
			return s, configError(f.Pattern, fmt.Errorf("its filter is no query: %w", err))
		}
		if n, _ := f.Query.Elements(); len(n) > 0 { // {} lets everything through
			s.filters = append(s.filters, contentFilter{p, f.Query})
		}
	}
	for _, r := range o.Related {
		p := pattern{db: r.When.DB, coll: r.When.Coll}
		if !slices.Contains(s.watched, p) && !slices.Contains(s.include, p) {
			s.watched = append(s.watched, p)
		}
	}
	for _, p := range slices.Concat(s.include, s.watched) {
		if p.plain() && reserved(flow.Namespace{DB: p.db, Coll: p.coll}) {
			return s, configError(p.db+"."+p.coll, fmt.Errorf("a collection of the server's own, or of sluice, can't be followed"))
		}
	}
	return s, nil
}

func parsePatterns(texts []string) ([]pattern, error) {
	all := make([]pattern, 0, len(texts))
	for _, t := range texts {
		p, err := parsePattern(t)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// follows tells whether the flow follows ns.
func (s selection) follows(ns flow.Namespace) bool {
	fits := func(p pattern) bool { return p.fits(ns) }
	if reserved(ns) || slices.Contains(s.reserved, ns.DB) || chunksOfFiles(ns) && !s.named(ns) {
		return false
	}
	return slices.ContainsFunc(s.include, fits) && !slices.ContainsFunc(s.exclude, fits)
}

// rank is the place of ns in the order of copies; lower ones go first.
func (s selection) rank(ns flow.Namespace) int {
	if i := slices.IndexFunc(s.priority, func(p pattern) bool { return p.fits(ns) }); i >= 0 {
		return i
	}
	return len(s.priority)
}

// named tells whether ns was asked for by its own name, not by a wider pattern.
func (s selection) named(ns flow.Namespace) bool {
	return slices.ContainsFunc(s.include, func(p pattern) bool { return p.plain() && p.fits(ns) })
}

// filter returns the query for ns, nil without one.
func (s selection) filter(ns flow.Namespace) bson.Raw {
	for _, f := range s.filters {
		if f.pattern.fits(ns) {
			return f.query
		}
	}
	return nil
}

// chunksOfFiles tells the collections in which GridFS keeps the pieces of files.
// Nobody searches these: who wants one gives its name.
func chunksOfFiles(ns flow.Namespace) bool { return strings.HasSuffix(ns.Coll, ".chunks") }

// reserved tells what nobody follows: the databases of the server and of
// sluice, system collections, and those that commands of the server make on
// their way ($out, renames to another database, convertToCapped).
func reserved(ns flow.Namespace) bool {
	switch ns.DB {
	case "admin", "config", "local", stateDB:
		return true
	}
	c := ns.Coll
	if strings.HasPrefix(c, "system.") || strings.HasPrefix(c, "tmp.agg_out.") || strings.HasPrefix(c, "enxcol_.") {
		return true
	}
	// tmpXXXXX.renameCollection, tmpXXXXX.convertToCapped.NAME
	if len(c) < 9 || c[:3] != "tmp" || c[8] != '.' {
		return false
	}
	rest := c[9:]
	return rest == "renameCollection" || strings.HasPrefix(rest, "convertToCapped.")
}
