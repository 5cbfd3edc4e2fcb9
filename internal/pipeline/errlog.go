package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/flow"
)

const (
	logEvery  = time.Second
	maxCauses = 256
)

// errlog logs what repeats at most once a second per cause, with the number of
// lines that were left out since the last one.
type errlog struct {
	log  *slog.Logger
	mu   sync.Mutex
	seen map[string]*logCause
}

type logCause struct {
	last    time.Time
	omitted int
}

func newErrlog(log *slog.Logger) *errlog {
	return &errlog{log: log, seen: make(map[string]*logCause)}
}

// warn logs msg with attrs unless a line of the same cause was logged within
// the last second. cause is a stable word, not the text of an error.
func (l *errlog) warn(cause, msg string, attrs ...slog.Attr) {
	omitted, ok := l.admit(cause, time.Now())
	if !ok {
		return
	}
	if omitted > 0 {
		attrs = append(attrs, slog.Int(flow.LogCount, omitted+1))
	}
	l.log.LogAttrs(context.Background(), slog.LevelWarn, msg, attrs...)
}

func (l *errlog) admit(cause string, now time.Time) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.seen[cause]
	if c == nil {
		if len(l.seen) >= maxCauses { // causes come from the engine: keep the table small
			clear(l.seen)
		}
		l.seen[cause] = &logCause{last: now}
		return 0, true
	}
	if now.Sub(c.last) < logEvery {
		c.omitted++
		return 0, false
	}
	omitted = c.omitted
	*c = logCause{last: now}
	return omitted, true
}
