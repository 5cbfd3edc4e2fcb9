package mongo

import (
	"math"
	"time"
)

// The pace of the copies is averaged over a third of the time that they took so
// far, and minAveraged at least: so estimates settle as a copy goes on.
const (
	minAveraged   = 30 * time.Second
	averagedShare = 3
)

// speed is how much gets done in a second, averaged.
type speed struct {
	perSecond float64
	took      time.Duration
}

// add takes note of what was done in d.
func (v *speed) add(done float64, d time.Duration) {
	if d <= 0 {
		return
	}
	v.took += d
	over := max(minAveraged, v.took/averagedShare)
	// While little was seen yet, all of it counts the same.
	weight := max(1-math.Exp(-d.Seconds()/over.Seconds()), d.Seconds()/v.took.Seconds())
	v.perSecond += (done/d.Seconds() - v.perSecond) * weight
}

// left is how long so much takes, -1 if that is not known.
func (v *speed) left(todo float64) time.Duration {
	switch {
	case todo <= 0:
		return 0
	case v.perSecond <= 0 || v.took < 2*time.Second:
		return -1
	}
	return time.Duration(min(todo/v.perSecond, 1e9) * float64(time.Second))
}

// done returns how many documents of the copy are behind us, those that a filter
// leaves out included; it reaches total at the end, whatever was estimated.
func (c *nsCopy) done() int64 {
	n := c.doneDocs
	for _, ch := range c.chunks {
		if ch.stage < stageSettled {
			n += min(ch.settled, ch.docs)
		}
	}
	return n
}

// total returns about how many documents there are, -1 if that is not known.
// Once all chunks are cut they tell, and no longer the server's guess.
func (c *nsCopy) total() int64 {
	switch {
	case c.cut:
		return c.cutDocs
	case c.estimated < 0:
		return -1
	}
	return max(c.estimated, c.cutDocs)
}

// size is about what a document takes.
func (c *nsCopy) size() float64 {
	if c.avg > 0 {
		return c.avg
	}
	return defaultDocSize
}

// tailDocs guesses how many documents the last chunk holds, of which only the
// most is known.
func (c *nsCopy) tailDocs(most int64) int64 {
	if c.estimated < 0 {
		return most
	}
	return min(max(c.estimated-c.cutDocs, 1), most)
}

// measure takes note of what the copies have done since the last time; mu is held.
func (m *copies) measure(d time.Duration) {
	if len(m.order) == 0 {
		m.speed, m.ended = speed{}, 0
		return
	}
	sum := m.ended
	m.ended = 0
	copying := sum > 0
	for _, c := range m.order {
		sum += c.progressed()
		copying = copying || c.phase == phaseCopying
	}
	if copying {
		m.speed.add(sum, d)
	}
}

// progressed is how many bytes of c were done since the last call.
func (c *nsCopy) progressed() float64 {
	done := c.done()
	n := max(0, done-c.measured)
	c.measured = done
	return float64(n) * c.size()
}

// left returns for each copy how long it takes until it is copied, with all that
// comes before it; -1 is unknown. mu is held.
func (m *copies) left() map[*nsCopy]time.Duration {
	all := make(map[*nsCopy]time.Duration, len(m.order))
	todo, known := 0.0, true
	for _, c := range m.order {
		total := c.total()
		if c.held || total < 0 {
			all[c] = -1
			known = known && c.held
			continue
		}
		todo += float64(max(0, total-c.done())) * c.size()
		if all[c] = -1; known {
			all[c] = m.speed.left(todo)
		}
	}
	return all
}
