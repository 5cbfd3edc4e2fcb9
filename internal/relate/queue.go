package relate

import (
	"bytes"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// KeyCost is what a key takes of the budget beside its own bytes.
const KeyCost = 64

// Key is a key whose dependants have to be written again.
type Key struct {
	// Name is the same for equal keys (1 and 1.0 are one), and only for those.
	Name string
	// Value is the key itself. The queue owns its bytes.
	Value bson.RawValue
}

func (k Key) cost() int { return len(k.Value.Value) + KeyCost }

// Lap is one walk over the dependants of some keys, in the order of their _id.
type Lap struct {
	Keys []Key
	// Last is the _id up to which it has come, nil at its start.
	Last *bson.RawValue
	// begun: somebody took it.
	begun bool
}

// Queue holds the laps of one relation that are not over, in order. It is not
// safe for concurrent use. Make one with New.
type Queue struct {
	budget, used, peak int
	line               []*Lap
	// fresh are the keys of laps in line that have not begun: a change of such a
	// key is covered by what is to come.
	fresh map[string]struct{}
	// begun are the keys of laps that were taken and are not over. The next lap of
	// a key does not begin before, or one that always changes would have many.
	begun map[string]struct{}
	// taken are the laps that somebody walks right now.
	taken map[*Lap]struct{}
}

// New makes a queue whose keys take at most budget bytes.
func New(budget int) *Queue {
	return &Queue{budget: budget, fresh: map[string]struct{}{}, begun: map[string]struct{}{}, taken: map[*Lap]struct{}{}}
}

// Add notes that the dependants of a key have to be written again, by a lap that
// begins after this call. false: there is no room now. name and v are copied.
func (q *Queue) Add(name []byte, v bson.RawValue) bool {
	if _, there := q.fresh[string(name)]; there {
		return true
	}
	cost := len(v.Value) + KeyCost
	if q.used > 0 && q.used+cost > q.budget {
		return false
	}
	k := Key{Name: string(name), Value: bson.RawValue{Type: v.Type, Value: bytes.Clone(v.Value)}}
	q.take(cost)
	q.fresh[k.Name] = struct{}{}
	q.line = append(q.line, &Lap{Keys: []Key{k}})
	return true
}

// Restore puts a lap of an earlier life back, whatever room there is: it had some.
func (q *Queue) Restore(keys []Key, last *bson.RawValue) {
	if last == nil {
		for _, k := range keys {
			if _, there := q.fresh[k.Name]; there {
				continue
			}
			q.take(k.cost())
			q.fresh[k.Name] = struct{}{}
			q.line = append(q.line, &Lap{Keys: []Key{k}})
		}
		return
	}
	for _, k := range keys {
		q.take(k.cost())
		q.begun[k.Name] = struct{}{}
	}
	q.line = append(q.line, &Lap{Keys: keys, Last: last, begun: true})
}

// Take returns the next lap to walk on, nil if there is none: one that has begun,
// or a new one of up to most keys. The caller gives it back by Park or Done.
func (q *Queue) Take(most int) *Lap {
	var lap *Lap
	rest := q.line[:0]
	for _, l := range q.line {
		switch {
		case lap == nil && (l.begun || q.mayBegin(l)):
			lap = l
		case lap != nil && !lap.begun && !l.begun && len(lap.Keys) < most && q.mayBegin(l):
			lap.Keys = append(lap.Keys, l.Keys...)
		default:
			rest = append(rest, l)
		}
	}
	clear(q.line[len(rest):])
	q.line = rest
	if lap == nil {
		return nil
	}
	if !lap.begun {
		lap.begun = true
		for _, k := range lap.Keys {
			delete(q.fresh, k.Name)
			q.begun[k.Name] = struct{}{}
		}
	}
	q.taken[lap] = struct{}{}
	return lap
}

// mayBegin tells whether no lap of the one key of l is under way.
func (q *Queue) mayBegin(l *Lap) bool {
	_, begun := q.begun[l.Keys[0].Name]
	return !begun
}

// Park puts a lap that was taken back: it has come to last (nil: no further than
// before), and the others have their turn first.
func (q *Queue) Park(l *Lap, last *bson.RawValue) {
	if last != nil {
		l.Last = last
	}
	delete(q.taken, l)
	q.line = append(q.line, l)
}

// Done takes a lap that is over out.
func (q *Queue) Done(l *Lap) {
	delete(q.taken, l)
	for _, k := range l.Keys {
		q.used -= k.cost()
		delete(q.begun, k.Name)
	}
}

// Clear forgets all laps that nobody walks right now: something greater makes
// good for them.
func (q *Queue) Clear() {
	for _, l := range q.line {
		for _, k := range l.Keys {
			q.used -= k.cost()
			if l.begun {
				delete(q.begun, k.Name)
			} else {
				delete(q.fresh, k.Name)
			}
		}
	}
	clear(q.line)
	q.line = nil
}

// Laps returns what a later life has to Restore: the laps that are not over, those
// that have not begun as one. The caller does not change them.
func (q *Queue) Laps() []Lap {
	var out []Lap
	var fresh []Key
	note := func(l *Lap) {
		if l.Last == nil {
			fresh = append(fresh, l.Keys...)
			return
		}
		out = append(out, Lap{Keys: l.Keys, Last: l.Last})
	}
	for l := range q.taken {
		note(l)
	}
	for _, l := range q.line {
		note(l)
	}
	if len(fresh) > 0 {
		out = append(out, Lap{Keys: fresh})
	}
	return out
}

// Keys returns how many keys wait or are worked on; a key counts twice when it
// changed after its lap had begun.
func (q *Queue) Keys() int {
	return len(q.fresh) + len(q.begun)
}

// Used, Peak and Budget return bytes: what the keys take now, the most that they
// ever took, and what they may take.
func (q *Queue) Used() int { return q.used }

// Peak is told with Used.
func (q *Queue) Peak() int { return q.peak }

// Budget is told with Used.
func (q *Queue) Budget() int { return q.budget }

func (q *Queue) take(cost int) {
	q.used += cost
	q.peak = max(q.peak, q.used)
}
