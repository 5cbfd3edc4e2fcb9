package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// phase is how far the copy of a namespace is.
type phase uint8

const (
	phaseWaiting   phase = iota // SnapshotBegin was not handed out yet
	phaseBeginning              // SnapshotBegin is not acked yet
	phaseCopying
	phaseEnding // SnapshotDone is not acked yet
)

// String names the phase as Progress shows it.
func (p phase) String() string {
	return [...]string{"waiting", "beginning", "copying", "ending"}[p]
}

// phaseName is the phase of c as Progress shows it.
func (c *nsCopy) phaseName() string {
	if c.held {
		return "paused"
	}
	return c.phase.String()
}

// nsCopy is the copy of one namespace. Source.mu guards it.
type nsCopy struct {
	ns     flow.Namespace
	filter bson.Raw
	ghosts bool
	// rank is its place among the copies: lower ones go first.
	rank  int
	phase phase
	// ctx ends when the copy is abandoned; dead says so under mu.
	ctx    context.Context
	cancel context.CancelFunc
	dead   bool

	// view: no index to cut along; one chunk, read by a cursor.
	view bool
	// majority: reads at a cluster time don't work here (capped collections).
	majority bool
	refusals int // snapshot reads refused in a row
	// held: it does not begin before its namespace is resumed.
	held bool

	begun     bool           // end is known
	cut       bool           // all chunks are cut
	next, end *bson.RawValue // where the next chunk starts; the last _id at the start
	chunks    []*chunk       // cut and not final, in order
	cuts      int

	avg       float64 // bytes of a document, 0 before any is known
	asked     bool    // for the estimate
	estimated int64   // documents, -1 if unknown
	read      int64   // documents, in this run
	settled   int64   // documents, with what earlier runs have settled
	bytes     int64   // of these
	// cutDocs are the documents of all chunks cut, doneDocs of those that are
	// settled as a whole, measured what the pace has counted.
	cutDocs, doneDocs, measured int64
	chunksDone                  int
	pass                        bson.Timestamp
}

// stage is how far a chunk is.
type stage uint8

const (
	stageReady stage = iota
	stageReading
	stageRead    // batches of it are in flight
	stageSettled // the stream has to pass its time
)

// chunk is a range of _id, from min (inclusive; nil is the start) to max
// (exclusive), and with tail also the document at max.
type chunk struct {
	min, max *bson.RawValue
	tail     bool
	stage    stage
	// from is the last _id that an earlier run had settled, at the last one that
	// was read.
	from, at *bson.RawValue
	// last holds the last _id of each batch in flight; it is added to by the
	// chunk's reader only.
	last checkpoint.Tracker[*bson.RawValue]
	// docs is how many documents it held when it was cut, settled how many were
	// settled.
	docs, settled int64

	open   int  // batches in flight
	failed bool // one was given up
	// pass is the time of the last reply: the stream has to pass it, without a
	// drop of the collection, before the chunk is final (rule S4).
	pass bson.Timestamp
}

// reached returns the last settled _id.
func (ch *chunk) reached() *bson.RawValue {
	if last, ok := ch.last.Low(); ok {
		return last
	}
	return ch.from
}

// retry makes a chunk that was not read to its end ready for another reader.
func (ch *chunk) retry() {
	if ch.stage == stageReading {
		ch.stage = stageReady
	}
}

// settleIfDone moves ch on when all that was read of it is settled.
func (c *nsCopy) settleIfDone(ch *chunk) {
	if ch.stage == stageRead && ch.open == 0 && !ch.failed {
		ch.stage = stageSettled
		c.doneDocs += ch.docs
		c.merge()
	}
}

// merge joins neighbours that only wait for the stream, so that a long wait
// does not make a long position.
func (c *nsCopy) merge() {
	out := c.chunks[:0]
	for _, ch := range c.chunks {
		if n := len(out); n > 0 && ch.stage == stageSettled && out[n-1].stage == stageSettled {
			prev := out[n-1]
			prev.max, prev.tail, prev.pass = ch.max, ch.tail, later(prev.pass, ch.pass)
			c.chunksDone++
			continue
		}
		out = append(out, ch)
	}
	clear(c.chunks[len(out):])
	c.chunks = out
}

// sweep drops the chunks whose time the stream has passed.
func (c *nsCopy) sweep(passed bson.Timestamp) {
	out := c.chunks[:0]
	for _, ch := range c.chunks {
		if ch.stage == stageSettled && !ch.pass.After(passed) {
			c.chunksDone++
			continue
		}
		out = append(out, ch)
	}
	clear(c.chunks[len(out):])
	c.chunks = out
}

// complete tells whether everything is copied, settled and passed.
func (c *nsCopy) complete() bool {
	return c.phase == phaseCopying && c.cut && len(c.chunks) == 0
}

// ready returns how many chunks wait for a reader, and the first of them.
func (c *nsCopy) ready() (n int, first *chunk) {
	for _, ch := range c.chunks {
		if ch.stage == stageReady {
			if first == nil {
				first = ch
			}
			n++
		}
	}
	return n, first
}

// state is what a position keeps of the copy.
func (c *nsCopy) state() *copyState {
	st := &copyState{
		Ghosts: c.ghosts, Next: valueOf(c.next), End: valueOf(c.end), Begun: c.begun, Cut: c.cut,
		Estimated: max(0, c.estimated), CutDocs: c.cutDocs, DoneDocs: c.doneDocs, Settled: c.settled, Bytes: c.bytes,
	}
	if c.view && c.cut && len(c.chunks) > 0 {
		return &copyState{Ghosts: c.ghosts} // a view is read again from its start
	}
	for _, ch := range c.chunks {
		s := chunkState{Min: valueOf(ch.min), Max: valueOf(ch.max), Tail: ch.tail, Docs: ch.docs}
		if ch.stage == stageSettled {
			t := timestamp(ch.pass)
			s.Pass = &t
		} else {
			s.Last, s.Settled = valueOf(ch.reached()), ch.settled
		}
		st.Chunks = append(st.Chunks, s)
	}
	return st
}

// takeOver is the inverse of state.
func (c *nsCopy) takeOver(st *copyState) error {
	var err error
	c.ghosts, c.begun, c.cut = st.Ghosts, st.Begun, st.Cut
	c.cutDocs, c.doneDocs, c.settled, c.bytes = st.CutDocs, st.DoneDocs, st.Settled, st.Bytes
	if st.Estimated > 0 {
		c.estimated, c.asked = st.Estimated, true
	}
	if c.settled > 0 {
		c.avg = float64(c.bytes) / float64(c.settled)
	}
	if c.next, err = st.Next.raw(); err != nil {
		return err
	}
	if c.end, err = st.End.raw(); err != nil {
		return err
	}
	for _, s := range st.Chunks {
		ch := &chunk{tail: s.Tail, docs: s.Docs, settled: s.Settled}
		if ch.min, err = s.Min.raw(); err != nil {
			return err
		}
		if ch.max, err = s.Max.raw(); err != nil {
			return err
		}
		if ch.from, err = s.Last.raw(); err != nil {
			return err
		}
		if s.Pass != nil {
			ch.stage, ch.pass = stageSettled, bson.Timestamp(*s.Pass)
			c.pass = later(c.pass, ch.pass)
		}
		if ch.stage == stageReady && ch.max == nil {
			return errors.New("a chunk has no end")
		}
		ch.at = ch.from
		c.chunks = append(c.chunks, ch)
	}
	c.measured = c.done()
	if c.begun && !c.cut && c.end == nil {
		return errors.New("a copy has no end")
	}
	return nil
}
