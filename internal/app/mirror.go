package app

import (
	"context"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/mongo"
)

// How often the state of the program whose place was taken is kept up to date:
// mirrorFirst until there is anything to write.
const (
	mirrorFirst = time.Second
	mirrorEvery = 10 * time.Second
	// mirrorTell is the pause between two lines about one failure that goes on.
	mirrorTell = time.Minute
)

// formerState is where the positions of the other program lie.
type formerState interface {
	Save(ctx context.Context, t bson.Timestamp, covers func(string) bool, streams []string) (moved bool, err error)
	AddCopied(ctx context.Context, names []string) error
}

// mirror keeps the state of the program whose place was taken up to date, never
// ahead of what is settled. One goroutine uses it.
type mirror struct {
	db      formerState
	settled func() (bson.Timestamp, bool)
	copied  func() []string
	covers  func(string) bool
	streams []string
	log     *slog.Logger

	at    bson.Timestamp
	noted map[string]bool
	told  time.Time
	moved bool
}

func newMirror(f *flowRun, db formerState) *mirror {
	return &mirror{
		db: db, settled: f.source.Settled, covers: f.covers, streams: f.streams(), log: f.log, noted: map[string]bool{},
		copied: func() []string { return copiedOf(f.source.Progress(), f.source.Copies) },
	}
}

// copiedOf are the namespaces whose copy is done.
func copiedOf(p mongo.Progress, copies func(flow.Namespace) bool) []string {
	var names []string
	for _, n := range p.Namespaces {
		if n.Phase == "following" && copies(n.NS) {
			names = append(names, n.NS.String())
		}
	}
	return names
}

// run writes until ctx is done, and then once more. A failure is told and tried
// again: the work does not wait for it.
func (m *mirror) run(ctx context.Context) {
	pause := time.NewTimer(mirrorFirst)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			last, done := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
			defer done()
			m.tell(m.write(last))
			return
		case <-pause.C:
		}
		m.tell(m.write(ctx))
		next := mirrorEvery
		if m.at.IsZero() {
			next = mirrorFirst
		}
		pause.Reset(next)
	}
}

// write brings both up to date, as far as something has changed.
func (m *mirror) write(ctx context.Context) error {
	// Asked first: what is settled by now was copied by then, or comes by the stream.
	var names []string
	for _, n := range m.copied() {
		if !m.noted[n] {
			names = append(names, n)
		}
	}
	if at, ok := m.settled(); ok && at != m.at {
		moved, err := m.db.Save(ctx, at, m.covers, m.streams)
		if err != nil {
			return err
		}
		m.at = at
		if moved && !m.moved {
			m.log.Warn("somebody else moves the position of Monstache: it must not run while sluice does")
		}
		m.moved = m.moved || moved
	}
	if len(names) == 0 || m.at.IsZero() {
		return nil
	}
	if err := m.db.AddCopied(ctx, names); err != nil {
		return err
	}
	for _, n := range names {
		m.noted[n] = true
	}
	return nil
}

// tell says that the state of the other program stays behind.
func (m *mirror) tell(err error) {
	if err == nil || time.Since(m.told) < mirrorTell {
		return
	}
	m.told = time.Now()
	m.log.Warn("Monstache's position is not kept up to date; work goes on, and it is tried again", slog.Any(flow.LogErr, err))
}
