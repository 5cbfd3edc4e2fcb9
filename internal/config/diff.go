package config

import (
	"reflect"
	"slices"
)

// Diff is what a new configuration changes of one that runs, by flows and by
// rules of the archive. What it does not name is applied in place.
type Diff struct {
	Flows Changes
	Rules Changes
	// Archive: what all rules work with has changed (s3, governor, spool); every
	// rule that stays is in Rules.Changed.
	Archive bool
	// Search: how the search engine is reached has changed, or no flow was there
	// that needed it.
	Search bool
	// Live: something changed that ends nothing.
	Live bool
}

// Changes are names, each in exactly one list, in the order of the new
// configuration; Removed in that of the old one.
type Changes struct {
	Same, Changed, Added, Removed []string
}

// Any tells whether something is not the same.
func (c Changes) Any() bool { return len(c.Changed)+len(c.Added)+len(c.Removed) > 0 }

// Empty tells whether both mean the same.
func (d Diff) Empty() bool { return !d.Flows.Any() && !d.Rules.Any() && !d.Archive && !d.Live }

// Diff compares c, which runs, with next. The error, of type Errors, names what
// of next can't be applied without a restart.
func (c *Config) Diff(next *Config) (Diff, error) {
	if errs := c.needsRestart(next); len(errs) > 0 {
		return Diff{}, errs.sorted()
	}
	s3 := alike(c.S3, next.S3) && c.files.sameContent(next.files, next.S3.CAFile)
	t := next.Search.TLS
	search := alike(c.Search, next.Search) && c.files.sameContent(next.files, t.CAFile, t.CertFile, t.KeyFile)
	shared := search && alike(c.DeadLetters, next.DeadLetters) &&
		c.Limits.Lanes == next.Limits.Lanes && c.Limits.SnapshotWriters == next.Limits.SnapshotWriters
	flows := changesOf(c.Flows, next.Flows, func(f *Flow) string { return f.Name }, func(a, b *Flow) bool {
		return shared && alike(*a, *b) && b.pacedAlike(c, next) && (a.Snapshot.Pace != PaceAuto || alike(c.Governor, next.Governor)) && (!a.On.Attributes() || s3 && alike(c.takers(a), next.takers(b)))
	})
	base := s3 && alike(c.Governor, next.Governor) && alike(c.Spool, next.Spool)
	rules := changesOf(c.Archive, next.Archive, func(a *Archive) string { return a.Name }, func(a, b *Archive) bool {
		return base && alike(*a, *b)
	})
	return Diff{
		Flows: flows, Rules: rules,
		Archive: !base && len(c.Archive) > 0 && len(next.Archive) > 0,
		Search:  !search || len(c.Flows) == 0,
		Live:    c.liveDiffers(next),
	}, nil
}

// liveDiffers tells whether something differs that is applied in place.
func (c *Config) liveDiffers(next *Config) bool {
	return c.Limits.MemoryBudget != next.Limits.MemoryBudget || c.HTTP.Token != next.HTTP.Token || c.HTTP.ReadyLag != next.HTTP.ReadyLag
}

// needsRestart tells what can't change while it runs.
func (c *Config) needsRestart(next *Config) Errors {
	d := &decoder{places: next.places}
	tell := func(path, why string) {
		at, given := d.places[path]
		if !given {
			at = place{file: next.File}
		}
		d.fail(at, path, "changed, and needs a restart: %s", why)
	}
	if c.MongoDB.OwnDatabase != next.MongoDB.OwnDatabase {
		tell("mongodb.own_database", "the positions would stay behind in the old one")
	}
	if c.MongoDB.URI != next.MongoDB.URI {
		tell("mongodb.uri", "positions, leases and everything that is open belong to this connection")
	}
	if !alike(c.State, next.State) {
		tell("state", "the positions would stay behind in the old store")
	}
	if c.HTTP.Listen != next.HTTP.Listen {
		tell("http.listen", "the address is taken once")
	}
	if c.HTTP.Probes != next.HTTP.Probes {
		tell("http.probes", "the address is taken once")
	}
	c.operationRestart(next, tell)
	return d.errs
}

// taker is a rule of the archive as far as a flow that asks for it depends on it.
type taker struct {
	namespace string
	exclude   []string
	to        string
}

// takers are the rules that may take documents of the flow.
func (c *Config) takers(f *Flow) []taker {
	var all []taker
	for i := range c.Archive {
		a := &c.Archive[i]
		if !slices.ContainsFunc(f.Namespaces, func(ns string) bool { return !isPlain(ns) || a.Covers(ns) }) {
			continue
		}
		all = append(all, taker{a.Namespace, a.Exclude, a.To})
	}
	return all
}

// Attributes tells whether a flow has to know whose a delete is: not if an
// archive's deletes do to the index what users' deletes do.
func (o On) Attributes() bool {
	archive, del := o.Archive, o.Delete
	if archive == "" {
		archive = ArchiveRemove
	}
	if del == "" {
		del = DeleteRemove
	}
	return archive == ArchiveMark || string(archive) != string(del)
}

func alike(a, b any) bool { return reflect.DeepEqual(a, b) }

// changesOf sorts entries by their names.
func changesOf[T any](old, next []T, name func(*T) string, equal func(a, b *T) bool) Changes {
	var c Changes
	was := map[string]*T{}
	for i := range old {
		was[name(&old[i])] = &old[i]
	}
	for i := range next {
		n := name(&next[i])
		before, there := was[n]
		delete(was, n)
		switch {
		case !there:
			c.Added = append(c.Added, n)
		case equal(before, &next[i]):
			c.Same = append(c.Same, n)
		default:
			c.Changed = append(c.Changed, n)
		}
	}
	for i := range old {
		if n := name(&old[i]); was[n] != nil {
			c.Removed = append(c.Removed, n)
		}
	}
	return c
}
