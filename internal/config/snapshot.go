package config

import "fmt"

// Pace says whether the copy minds how the live database is doing.
type Pace string

// The paces of a snapshot.
const (
	// PaceOff reads as fast as rate and parallel let it.
	PaceOff Pace = "off"
	// PaceAuto waits and slows down by the governor's limits.
	PaceAuto Pace = "auto"
)

// Paced tells whether a flow copies by the governor's limits.
func (c *Config) Paced() bool {
	for i := range c.Flows {
		if c.Flows[i].Snapshot.Pace == PaceAuto {
			return true
		}
	}
	return false
}

// pacedAlike tells whether the limits by which f copies are those of before.
func (f *Flow) pacedAlike(c, next *Config) bool {
	return f.Snapshot.Pace != PaceAuto || alike(c.Governor, next.Governor)
}

// snapshotOrderSpec declares what says when a copy reads.
func snapshotOrderSpec(s *Snapshot) []field {
	return []field{
		{
			Name: "priority", Into: texts(&s.Priority, checkPattern), Example: "[shop.orders, shop.*]",
			Doc: "Which namespaces are copied first, written as in `namespaces`: what fits the first entry, then the second, " +
				"and so on; last what fits none. Readers take from a later one only what they find no work for in an earlier one.",
		},
		{
			Name: "pace", Into: choice(&s.Pace, PaceOff, PaceAuto), Default: "off", Example: "auto",
			Doc: "`auto` lets the copy wait while `governor` says so (replication lag, flow control, a dirty cache, long queues), and slows it down before that. " +
				"A lag that can't be read does not hold it up, and `min_oplog_window` does not concern it: `min_head_room` does. The reason of a wait is in `/status`.",
		},
		{
			Name: "min_head_room", Into: share(&s.MinHeadRoom), Default: "0.25", Example: "0.5",
			Doc: "The copy waits, and the change stream goes first, while what is settled of the stream is nearer to the end of the oplog than this share of " +
				"what a full oplog holds; until the stream has caught up. `0` never waits.",
		},
	}
}

// crossPriority refuses plain patterns of priority that the flow does not follow.
func (d *decoder) crossPriority(f *Flow, path string) {
	d.crossPart(f, f.Snapshot.Priority, path+".snapshot.priority")
}

// crossPart refuses plain patterns of a list that the flow does not follow.
func (d *decoder) crossPart(f *Flow, list []string, path string) {
	for i, p := range list {
		if isPlain(p) && !f.Follows(p) {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.fail(d.places[at], at, "this flow doesn't follow %s%s", d.shown(at, p), didYouMean(p, f.Namespaces))
		}
	}
}
