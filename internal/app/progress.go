package app

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// progressEvery is how often the progress line is drawn.
const progressEvery = 500 * time.Millisecond

// showProgress draws one line about the work on a terminal until ctx is done;
// the channel is closed when it has ended.
func (a *App) showProgress(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if a.o.Progress == nil {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		var last int64
		at := time.Now()
		for {
			select {
			case <-ctx.Done():
				a.o.Progress.Show("")
				return
			case <-tick.C:
			}
			st := a.Status()
			n := st.Settled()
			rate := float64(n-last) / time.Since(at).Seconds()
			last, at = n, time.Now()
			a.o.Progress.Show(a.line(st, rate))
		}
	}()
	return ended
}

// line is the progress of flows and rules.
func (a *App) line(st Status, rate float64) string {
	var parts []string
	if len(st.Flows) > 0 {
		parts = append(parts, st.line(rate))
	}
	if r := a.archiver.Load(); r != nil {
		if text := archiveLine(r.progress()); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " | ")
}

// line is the progress in one line of at most 100 letters or so.
func (s Status) line(rate float64) string {
	var estimate, copied int64
	var open, done int
	lag, left, waiting := -1.0, 0.0, ""
	for _, f := range s.Flows {
		for _, n := range f.Source.Namespaces {
			estimate, copied, open, done = estimate+n.Estimated, copied+n.Done, open+n.ChunksOpen, done+n.ChunksDone
		}
		if f.Source.LeftSeconds < 0 || left >= 0 && f.Source.LeftSeconds > left {
			left = f.Source.LeftSeconds
		}
		if f.Source.Waiting != "" {
			waiting = ", waits: " + f.Source.Waiting
		}
		lag = max(lag, f.Source.LagSeconds)
	}
	text := fmt.Sprintf("%d changes settled, %.0f/s", s.Settled(), rate)
	if !s.Copied() && estimate > 0 {
		share := min(1, float64(copied)/float64(estimate))
		text = fmt.Sprintf("copying: %d of about %d documents (%.0f %%), chunks %d open %d done, %.0f/s", copied, estimate, 100*share, open, done, rate)
		text += leftText(left) + waiting
	}
	if lag >= 0 {
		text += fmt.Sprintf(", %.1f s behind", lag)
	}
	return text
}
