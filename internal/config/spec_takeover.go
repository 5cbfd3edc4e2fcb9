package config

import (
	"errors"
	"fmt"
	"strings"
)

// Predecessor is a program whose place a flow may take.
type Predecessor string

// FromMonstache is Monstache 6.
const FromMonstache Predecessor = "monstache"

// Strategy is how Monstache keeps its position (its resume-strategy).
type Strategy string

// The strategies: 0 and 1 of Monstache.
const (
	StrategyTimestamp Strategy = "timestamp"
	StrategyToken     Strategy = "token"
)

// CopiedBy says what counts as copied already.
type CopiedBy string

// What counts as copied.
const (
	// CopiedIndexed is what has an index that is not empty, unless a list says else.
	CopiedIndexed CopiedBy = "indexed"
	// CopiedListed is what the list of finished direct reads names.
	CopiedListed CopiedBy = "listed"
)

// Takeover says whose place a flow takes that has no position yet.
type Takeover struct {
	// From is "" for nobody's; then nothing else counts.
	From Predecessor
	// Database and Name are where its positions lie.
	Database, Name string
	Strategy       Strategy
	Copied         CopiedBy
	// Mirror: its positions are kept up to date.
	Mirror bool
}

// Given tells whether there is anybody's place to take.
func (t *Takeover) Given() bool { return t.From != "" }

// takeoverSpec declares where the positions of another program lie.
func takeoverSpec(t *Takeover) []field {
	const when = "from"
	return []field{
		{
			Name: "from", Into: choice(&t.From, FromMonstache), Example: "monstache",
			Doc: "Whose positions are taken over while the flow has none of its own: `monstache`.",
		},
		{
			Name: "database", Into: text(&t.Database), Default: "monstache", Example: "monstache", When: t.Given, WhenDoc: when,
			Doc: "Database of its state (`config-database-name`). Nothing in it is followed.",
			Check: func() error {
				if t.Database == "" || strings.ContainsAny(t.Database, "/\\ \"$*<>:|?.\x00") || len(t.Database) > 63 {
					return errors.New("wants the name of a database")
				}
				return nil
			},
		},
		{
			Name: "name", Into: text(&t.Name), Default: "default", Example: "default", When: t.Given, WhenDoc: when,
			Doc:   "Name of its position (`resume-name`).",
			Check: func() error { return notBlank(t.Name) },
		},
		{
			Name: "strategy", Into: choice(&t.Strategy, StrategyTimestamp, StrategyToken), Default: "timestamp", Example: "token", When: t.Given, WhenDoc: when,
			Doc: "How it keeps it (`resume-strategy`): `timestamp` (0) or `token` (1).",
		},
		{
			Name: "copied", Into: choice(&t.Copied, CopiedIndexed, CopiedListed), Default: "indexed", Example: "listed", When: t.Given, WhenDoc: when,
			Doc: "What is not copied again: `indexed`, what has an index that is not empty and, where it kept a list of finished direct reads, is in it; " +
				"`listed`, only what is in that list, for who ran it with `direct-read-stateful`.",
		},
		{
			Name: "mirror", Into: toggle(&t.Mirror), Default: "false", When: t.Given, WhenDoc: when,
			Doc: "`true` keeps its position and its list up to date, so that one can go back to it. Never run both at one time.",
		},
	}
}

// crossMirrors refuses two flows that would write the same position: each would
// put it where only its own changes are done.
func (c *Config) crossMirrors(d *decoder) {
	type place struct{ database, name string }
	seen := map[place]int{}
	for i := range c.Flows {
		t := &c.Flows[i].Takeover
		if !t.Given() || !t.Mirror {
			continue
		}
		p := place{t.Database, t.Name}
		if other, dup := seen[p]; dup {
			path := fmt.Sprintf("flows[%d].takeover.mirror", i)
			d.fail(d.places[path], path, "flow %s keeps the same position up to date: it would be ahead of what one of them has done", c.flowWord(d, other))
		}
		seen[p] = i
	}
}

// crossTakeover looks at what stands beside a takeover.
func (d *decoder) crossTakeover(f *Flow, path string) {
	if !f.Takeover.Given() {
		return
	}
	path += ".takeover"
	if !f.Stream.Enabled {
		d.fail(d.places[path], path, "has a position of changes to go on from, and stream.enabled is false; remove one of them")
	}
	if f.Stream.StartAt != (StartAt{}) {
		d.fail(d.places[path], path, "and stream.start_at both say where the changes begin; remove one of them")
	}
	for i, ns := range f.Namespaces {
		if isPlain(ns) && strings.HasPrefix(ns, f.Takeover.Database+".") {
			at := fmt.Sprintf("%s.namespaces[%d]", strings.TrimSuffix(path, ".takeover"), i)
			d.fail(d.places[at], at, "%s can't be followed: takeover.database is where positions lie", d.shown(at, ns))
		}
	}
}
