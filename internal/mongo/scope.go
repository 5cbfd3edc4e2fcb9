package mongo

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// level is how much of a deployment a change stream covers.
type level uint8

const (
	levelCollection level = iota + 1
	levelDatabase
	levelDeployment
)

// scope is where the stream is opened and what the server filters away. Only
// names are filtered there: a filter on content would hide the update by which
// a document leaves it (rule S14).
type scope struct {
	level    level
	db, coll string
	// match is the $match stage's query, nil for none.
	match    bson.D
	expanded bool
}

// alwaysOn are the events that come through whatever their namespace: a rename
// may lead into a followed one.
func alwaysOn() bson.A { return bson.A{"rename", "dropDatabase", "invalidate"} }

// scope returns the narrowest stream that covers s.
func (s selection) scope(expanded bool) scope {
	sc := scope{level: levelDeployment, expanded: expanded}
	all := s.seen()
	dbs := databasesOf(all)
	switch {
	case len(dbs) == 1 && len(all) == 1 && all[0].plain():
		sc.level, sc.db, sc.coll = levelCollection, dbs[0], all[0].coll
		return sc
	case len(dbs) == 1:
		sc.level, sc.db = levelDatabase, dbs[0]
	}
	if conds, all := s.conditions(sc.level); !all {
		any := append(bson.A{bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: alwaysOn()}}}}}, conds...)
		sc.match = bson.D{{Key: "$or", Value: any}}
	}
	return sc
}

// seen returns the patterns of all whose events are to come.
func (s selection) seen() []pattern { return slices.Concat(s.listened(), s.watched) }

// databases returns the databases of all that is followed or watched.
func (s selection) databases() []string { return databasesOf(slices.Concat(s.include, s.watched)) }

// databasesOf returns the databases that patterns name, sorted; nil if an
// expression may reach any.
func databasesOf(patterns []pattern) []string {
	var dbs []string
	for _, p := range patterns {
		if p.re != nil {
			return nil
		}
		dbs = append(dbs, p.db)
	}
	slices.Sort(dbs)
	return slices.Compact(dbs)
}

// conditions returns what lets followed namespaces through, or all when the
// server can't tell them apart from the others.
func (s selection) conditions(lv level) (conds bson.A, all bool) {
	for _, db := range s.namedDatabases() {
		c, whole := s.dbCondition(db)
		if lv == levelDeployment {
			c = append(bson.D{{Key: "ns.db", Value: db}}, c...)
		} else if whole && len(c) == 0 {
			return nil, true
		}
		conds = append(conds, c)
	}
	var exprs []string
	for _, p := range s.seen() {
		if p.re == nil {
			continue
		}
		if !portable(p.re) {
			return nil, true
		}
		exprs = append(exprs, p.re.String())
	}
	slices.Sort(exprs)
	for _, e := range slices.Compact(exprs) {
		conds = append(conds, bson.D{{Key: "$expr", Value: bson.D{{Key: "$regexMatch", Value: bson.D{
			{Key: "input", Value: bson.D{{Key: "$concat", Value: bson.A{"$ns.db", ".", "$ns.coll"}}}},
			{Key: "regex", Value: e},
		}}}}})
	}
	return conds, false
}

func (s selection) namedDatabases() []string {
	var dbs []string
	for _, p := range s.seen() {
		if p.re == nil {
			dbs = append(dbs, p.db)
		}
	}
	slices.Sort(dbs)
	return slices.Compact(dbs)
}

// dbCondition is the condition on ns.coll inside one database.
func (s selection) dbCondition(db string) (c bson.D, whole bool) {
	var names, without []string
	for _, p := range s.seen() {
		if p.re == nil && p.db == db {
			whole = whole || p.coll == ""
			names = append(names, p.coll)
		}
	}
	if !whole {
		slices.Sort(names)
		return bson.D{{Key: "ns.coll", Value: bson.D{{Key: "$in", Value: slices.Compact(names)}}}}, false
	}
	for _, p := range slices.Concat(s.exclude, s.streamed.exclude) {
		if p.plain() && p.db == db && !slices.Contains(s.watched, p) {
			without = append(without, p.coll)
		}
	}
	if len(without) == 0 {
		return nil, true
	}
	slices.Sort(without)
	return bson.D{{Key: "ns.coll", Value: bson.D{{Key: "$nin", Value: slices.Compact(without)}}}}, true
}

// portable tells whether the server's engine (PCRE) finds all that ours finds:
// only what both mean in the same way is sent there.
func portable(re *regexp.Regexp) bool {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	return err == nil && portableTree(tree) && !strings.ContainsAny(re.String(), "\x00")
}

func portableTree(re *syntax.Regexp) bool {
	if re.Flags&syntax.FoldCase != 0 {
		return false
	}
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyCharNotNL, syntax.OpEmptyMatch,
		syntax.OpBeginText, syntax.OpEndText, syntax.OpCapture, syntax.OpStar, syntax.OpPlus,
		syntax.OpQuest, syntax.OpRepeat, syntax.OpConcat, syntax.OpAlternate:
	default:
		return false
	}
	for _, sub := range re.Sub {
		if !portableTree(sub) {
			return false
		}
	}
	return true
}

// pipeline returns the stages of the stream. slim leaves out the documents:
// for an event that is too large with it.
func (sc scope) pipeline(slim bool) []bson.D {
	var stages []bson.D
	if sc.match != nil {
		stages = append(stages, bson.D{{Key: "$match", Value: sc.match}})
	}
	out := bson.D{{Key: "updateDescription", Value: 0}}
	if slim {
		out = append(out, bson.E{Key: "fullDocument", Value: 0})
	}
	return append(stages, bson.D{{Key: "$project", Value: out}})
}

// fingerprint sums up which events the stream lets through: an event token is
// good only for a stream with the same one (rule S6).
func (sc scope) fingerprint() string {
	match, _ := bson.Marshal(bson.D{
		{Key: "level", Value: int32(sc.level)},
		{Key: "db", Value: sc.db},
		{Key: "coll", Value: sc.coll},
		{Key: "expanded", Value: sc.expanded},
		{Key: "match", Value: sc.match},
	})
	sum := sha256.Sum256(match)
	return hex.EncodeToString(sum[:12])
}
