package config

import (
	"fmt"
	"slices"
)

// Repeat says whether what was copied is copied again.
type Repeat string

// When a namespace is copied.
const (
	// RepeatOnce copies it once.
	RepeatOnce Repeat = "once"
	// RepeatAlways copies it at each start of the process.
	RepeatAlways Repeat = "always"
)

// Stream says whose changes are followed, and from when on.
type Stream struct {
	Enabled bool
	// Include and Exclude hold patterns; no Include is all that is followed.
	Include, Exclude []string
	// DropsInclude and DropsExclude do so for drops of collections.
	DropsInclude, DropsExclude []string
	// StartAt is where a flow starts that has no position.
	StartAt StartAt
}

// readSpec declares what is read, and from when on.
func readSpec(f *Flow) []field {
	return []field{
		{
			Name: "snapshot", Doc: "The first full copy.",
			Into: section(func() []field { return snapshotSpec(&f.Snapshot) }),
		},
		{
			Name: "stream", Doc: "The changes that are followed.",
			Into: section(func() []field { return streamSpec(&f.Stream) }),
		},
		{
			Name: "takeover", Doc: "Whose place the flow takes, at its first start: see [takeover.md](takeover.md).",
			Into: section(func() []field { return takeoverSpec(&f.Takeover) }),
		},
	}
}

// snapshotWhatSpec declares what is copied, and how often.
func snapshotWhatSpec(s *Snapshot) []field {
	return []field{
		{
			Name: "include", Into: texts(&s.Include, checkPattern), Example: `[shop.orders, "/^shop[.]view_/"]`,
			Doc: "What of the flow's namespaces is copied, written as in `namespaces`; without it, all. A view that fits is copied too, which else comes by its own name only. " +
				"What is not copied is in the index from its next change on. A copy is made when the flow first meets a namespace: `sluice resync` makes one later.",
		},
		{
			Name: "exclude", Into: texts(&s.Exclude, checkPattern), Example: "[shop.log]",
			Doc: "What of it is not copied.",
		},
		{
			Name: "repeat", Into: choice(&s.Repeat, RepeatOnce, RepeatAlways), Default: "once", Example: "always",
			Doc: "`always` copies everything again at each start of the process, in place: documents are written anew, and none is removed (the change stream does that). " +
				"A copy that was cut off goes on instead. With a saved position it is not needed, unless what documents are made of is more than MongoDB holds, or for views, which have no changes.",
		},
	}
}

// streamSpec declares whose changes are followed.
func streamSpec(s *Stream) []field {
	return []field{
		{
			Name: "enabled", Into: toggle(&s.Enabled), Default: "true",
			Doc: "`false` follows no changes: there is only the copy, with which `--once` ends. What changed is copied again once this is `true`.",
		},
		{
			Name: "include", Into: texts(&s.Include, checkPattern), Example: `[shop.orders, "/^shop[.]order_/"]`,
			Doc: "Whose changes are followed, of the flow's namespaces and written as these; without it, of all. The others are copied only. " +
				"The change stream is opened on the one collection, the one database or the deployment that these need, and so are the rights that it takes.",
		},
		{
			Name: "exclude", Into: texts(&s.Exclude, checkPattern), Example: "[shop.log]",
			Doc: "Whose changes are not followed.",
		},
		{
			Name: "drops_include", Into: texts(&s.DropsInclude, checkPattern), Example: `["/^shop[.]tmp_/"]`,
			Doc: "Whose drop counts, of those whose changes are followed; without it, of all. `on.drop` says what follows from it; a drop that does not count leaves the index as it is. " +
				"The drop of a database is that of each of its collections.",
		},
		{
			Name: "drops_exclude", Into: texts(&s.DropsExclude, checkPattern), Example: "[shop.orders]",
			Doc: "Whose drop does not count.",
		},
		{
			Name: "start_at", Into: startAt(&s.StartAt), Example: "2026-01-31T12:00:00Z",
			Doc: "Where the changes begin, for a flow that has no position yet: a time (RFC 3339, inclusive), a cluster time `{t: 1769860800, i: 1}`, the same as one number " +
				"(t·2³² + i; below 2³¹ it is t), or `earliest`, the first entry of the oplog. Without it: now. If the oplog no longer holds that time, `on.history_lost` says what follows.",
		},
	}
}

// CountsDrop tells whether a drop of the namespace "db.collection" counts.
func (s *Stream) CountsDrop(ns string) bool {
	covers := func(p string) bool { return fits(p, ns) }
	return (len(s.DropsInclude) == 0 || slices.ContainsFunc(s.DropsInclude, covers)) && !slices.ContainsFunc(s.DropsExclude, covers)
}

// Streams tells whether the flow follows the changes of the namespace "db.collection".
func (f *Flow) Streams(ns string) bool {
	return f.Follows(ns) && takes(f.Stream.Enabled, f.Stream.Include, f.Stream.Exclude, ns)
}

// takes is what include and exclude say of a namespace that the flow follows.
func takes(enabled bool, include, exclude []string, ns string) bool {
	covers := func(p string) bool { return fits(p, ns) }
	return enabled && (len(include) == 0 || slices.ContainsFunc(include, covers)) && !slices.ContainsFunc(exclude, covers)
}

// crossStream refuses what leads nowhere, or would lose something in silence.
func (d *decoder) crossStream(f *Flow, path string) {
	s, sn := &f.Stream, &f.Snapshot
	d.crossPart(f, sn.Include, path+".snapshot.include")
	d.crossPart(f, sn.Exclude, path+".snapshot.exclude")
	for _, one := range []struct {
		name string
		list []string
	}{{"include", s.Include}, {"exclude", s.Exclude}, {"drops_include", s.DropsInclude}, {"drops_exclude", s.DropsExclude}} {
		at := path + ".stream." + one.name
		d.crossPart(f, one.list, at)
		if !s.Enabled && len(one.list) > 0 {
			d.fail(d.places[at], at, "has no effect where enabled is false; remove one of them")
		}
	}
	if f.On.Drop == DropIgnore && len(s.DropsInclude)+len(s.DropsExclude) > 0 {
		d.fail(d.places[path+".on.drop"], path+".on.drop", "with ignore no drop counts; remove stream.drops_include and stream.drops_exclude")
	}
	if !s.Enabled {
		d.crossIdle(f, path)
	}
	d.crossParts(f, path)
}

// crossIdle looks at a flow that follows no changes.
func (d *decoder) crossIdle(f *Flow, path string) {
	at := path + ".stream.enabled"
	if !f.Snapshot.Enabled {
		d.fail(d.places[at], at, "and snapshot.enabled are both false: the flow would do nothing")
	}
	if len(f.Related) > 0 {
		d.fail(d.places[path+".related"], path+".related", "needs the changes: stream.enabled is false")
	}
	if f.Stream.StartAt != (StartAt{}) {
		d.fail(d.places[path+".stream.start_at"], path+".stream.start_at", "has no effect where enabled is false; remove one of them")
	}
}

// crossParts refuses a namespace that is neither copied nor followed, and a flow
// that follows no changes without saying so.
func (d *decoder) crossParts(f *Flow, path string) {
	s, sn := &f.Stream, &f.Snapshot
	if !s.Enabled && !sn.Enabled {
		return // told already
	}
	streams := false
	for i, ns := range f.Namespaces {
		if !isPlain(ns) {
			streams = true // nobody knows
			continue
		}
		changes := takes(s.Enabled, s.Include, s.Exclude, ns)
		streams = streams || changes
		if at := fmt.Sprintf("%s.namespaces[%d]", path, i); !changes && f.Follows(ns) && !takes(sn.Enabled, sn.Include, sn.Exclude, ns) {
			d.fail(d.places[at], at, "%s is neither copied (snapshot) nor are its changes followed (stream)", d.shown(at, ns))
		}
	}
	if at := path + ".stream"; s.Enabled && !streams && len(f.Namespaces) > 0 && len(s.Include)+len(s.Exclude) > 0 {
		d.fail(d.places[at], at, "include and exclude leave no namespace whose changes are followed; if that is meant, say enabled: false instead")
	}
}
