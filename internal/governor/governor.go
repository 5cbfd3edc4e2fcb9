package governor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"sluice/internal/flow"
)

// Options bound what background work may do to the live database (rule A7).
// Zero fields set no bound, but for those that have a default.
type Options struct {
	// Load asks the database how it is; nil is one that nothing is known of, and
	// that nothing is asked of.
	Load func(ctx context.Context) (Load, error)
	// MaxLag (default 10 s) of the slowest member.
	MaxLag time.Duration
	// MinWindow is the shortest oplog window (default 1 h).
	MinWindow time.Duration
	// MaxDirty is the dirty share of the cache, 0 to 1 (default 0.15), MaxQueued
	// the operations that wait (default 100).
	MaxDirty  float64
	MaxQueued int64
	// AllowUnknownLag goes on where the lag can't be read.
	AllowUnknownLag bool
	// PauseFile pauses for as long as it is there.
	PauseFile string
	// The ceilings are never passed, for reads and for deletes each; under
	// pressure the rate sinks, not below the floors (but a pause is a pause).
	DocsPerSecond, FloorDocs   float64
	BytesPerSecond, FloorBytes float64
	// Interval is how often the database is asked (default 1 s).
	Interval time.Duration
	// Who is what the log says waits and goes on (default "the archive").
	Who    string
	Logger *slog.Logger
	// Waited, if not nil, hears how long somebody was made to wait, and why, in a
	// word of a small set; Paced hears the share of the full rate that is allowed,
	// 0 while all pauses. Both may be called from several goroutines.
	Waited func(reason string, d time.Duration)
	Paced  func(share float64)
}

func (o *Options) fill() {
	if o.MaxLag <= 0 {
		o.MaxLag = 10 * time.Second
	}
	if o.MinWindow <= 0 {
		o.MinWindow = time.Hour
	}
	if o.MaxDirty <= 0 {
		o.MaxDirty = 0.15
	}
	if o.MaxQueued <= 0 {
		o.MaxQueued = 100
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Who == "" {
		o.Who = "the archive"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// lagGrain is two heartbeats of a replica set: a member that is not behind at all
// may seem to be by as much, so below it a lag slows nothing down.
const lagGrain = 4 * time.Second

// firstLook is how often others ask whether the first verdict is there.
const firstLook = 10 * time.Millisecond

// Governor lets its users work as fast as the live database bears. It is safe
// from several goroutines, has none of its own, and asks about the load while
// somebody waits, at most once per interval.
type Governor struct {
	o Options

	mu      sync.Mutex
	paused  string // by Pause: why
	verdict verdict
	asked   time.Time
	looked  bool    // there is a verdict
	share   float64 // of the full rate that pressure leaves
	peak    float64 // documents per second, seen without pressure
	passed  float64 // documents since the last question
	reads   bucket
	deletes bucket
	bytes   bucket
	pacing  bool
}

// New returns a Governor that allows the full rate until it knows more.
func New(o Options) *Governor {
	o.fill()
	return &Governor{o: o, share: 1}
}

// Ceilings returns the most documents and bytes per second, 0 for no bound.
func (g *Governor) Ceilings() (docs, bytes float64) { return g.o.DocsPerSecond, g.o.BytesPerSecond }

// Pause stops all until Resume; reason is shown.
func (g *Governor) Pause(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if reason == "" {
		reason = "paused by a user"
	}
	g.paused = reason
}

// Resume ends Pause. Other reasons to wait stay.
func (g *Governor) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = ""
}

// Paused returns the reason that was given to Pause, "" without.
func (g *Governor) Paused() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused
}

// Reason says why work waits, or is slowed down; "" if it is not.
func (g *Governor) Reason() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason()
}

func (g *Governor) reason() string {
	switch {
	case g.paused != "":
		return g.paused
	case g.verdict.reason != "":
		return g.verdict.reason
	case g.pacing:
		return "pacing: at the ceiling of documents or bytes per second"
	}
	return ""
}

// Wait returns when so many documents of so many bytes may be read. More than a
// second's worth is let through at once, and waited for by who comes next.
// The error is that of ctx.
func (g *Governor) Wait(ctx context.Context, docs int, bytes int64) error {
	return g.wait(ctx, func() time.Duration {
		now := time.Now()
		g.reads.fill(now, g.docRate())
		g.bytes.fill(now, g.byteRate())
		if d := max(g.reads.short(g.docRate()), g.bytes.short(g.byteRate())); d > 0 {
			return d
		}
		g.reads.take(float64(docs))
		g.bytes.take(float64(bytes))
		g.passed += float64(docs)
		return 0
	})
}

// WaitDelete is Wait for documents to be deleted.
func (g *Governor) WaitDelete(ctx context.Context, docs int) error {
	return g.wait(ctx, func() time.Duration {
		g.deletes.fill(time.Now(), g.docRate())
		if d := g.deletes.short(g.docRate()); d > 0 {
			return d
		}
		g.deletes.take(float64(docs))
		g.passed += float64(docs)
		return 0
	})
}

// wait asks, sleeps while it is paused, and calls take, under the lock, until
// that says that nothing is left to wait for.
func (g *Governor) wait(ctx context.Context, take func() time.Duration) error {
	for {
		g.ask(ctx)
		g.mu.Lock()
		var d time.Duration
		switch {
		case g.paused != "" || g.verdict.stop:
			d = g.o.Interval
		case !g.looked: // another caller is asking for the first time
			d = min(firstLook, g.o.Interval)
		default:
			d = min(take(), g.o.Interval)
			g.pacing = d > 0
		}
		why := g.reason()
		g.mu.Unlock()
		if d <= 0 {
			return ctx.Err()
		}
		start := time.Now()
		err := pause(ctx, d)
		if g.o.Waited != nil {
			g.o.Waited(word(why), time.Since(start))
		}
		if err != nil {
			return err
		}
	}
}

// ask looks at the database and the pause file, at most once per interval.
func (g *Governor) ask(ctx context.Context) {
	g.mu.Lock()
	now := time.Now()
	took := now.Sub(g.asked)
	if !g.asked.IsZero() && took < g.o.Interval {
		g.mu.Unlock()
		return
	}
	first := g.asked.IsZero()
	g.asked = now
	g.mu.Unlock()
	v := g.judge(ctx)
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.stop != g.verdict.stop { // the reason has numbers in it that move all the time
		g.tell(v)
	}
	g.verdict, g.looked = v, true
	if !first {
		g.adapt(v, g.passed/took.Seconds())
	}
	g.passed = 0
	pace := g.share
	if v.stop || g.paused != "" {
		pace = 0
	}
	if g.o.Paced != nil {
		g.o.Paced(pace)
	}
}

func (g *Governor) tell(v verdict) {
	if v.stop {
		g.o.Logger.Warn(g.o.Who+" waits", flow.LogReason, v.reason)
		return
	}
	g.o.Logger.Info(g.o.Who+" goes on", flow.LogReason, v.reason)
}

// adapt lowers the rate by a third under pressure, and raises it slowly without.
func (g *Governor) adapt(v verdict, rate float64) {
	if v.reason == "" && g.share >= 1 {
		g.peak = max(rate, g.peak*0.9)
	}
	switch {
	case v.pressed:
		g.share = max(g.share*0.67, 0.01)
	case !v.stop:
		g.share = min(g.share*1.2, 1)
	}
}

// docRate is in documents per second, 0 without a bound.
func (g *Governor) docRate() float64 {
	full := g.o.DocsPerSecond
	if g.share >= 1 {
		return full
	}
	if full <= 0 {
		full = max(g.peak, 100)
	}
	return max(full*g.share, g.o.FloorDocs, 1)
}

func (g *Governor) byteRate() float64 {
	full := g.o.BytesPerSecond
	if full <= 0 || g.share >= 1 {
		return full
	}
	return max(full*g.share, g.o.FloorBytes, 1)
}

// verdict is what the last look has shown.
type verdict struct {
	stop    bool
	pressed bool // near a limit: slower
	reason  string
}

// judge looks at everything that may stop the work; the first one counts.
func (g *Governor) judge(ctx context.Context) verdict {
	if g.o.PauseFile != "" {
		if _, err := os.Stat(g.o.PauseFile); err == nil {
			return verdict{stop: true, reason: "paused by the file " + g.o.PauseFile}
		}
	}
	if g.o.Load == nil {
		return verdict{}
	}
	// A server that does not answer is one that is not well.
	ask, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l, err := g.o.Load(ask)
	if err != nil {
		return verdict{stop: true, reason: "the load of the database can't be read: " + firstLine(err)}
	}
	return g.weigh(l)
}

// weigh compares the load with the limits.
func (g *Governor) weigh(l Load) verdict {
	stop := func(format string, args ...any) verdict {
		return verdict{stop: true, reason: fmt.Sprintf(format, args...)}
	}
	press := func(format string, args ...any) verdict {
		return verdict{pressed: true, reason: fmt.Sprintf("slower: "+format, args...)}
	}
	short := func(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
	switch {
	case !l.LagKnown && !g.o.AllowUnknownLag:
		why := "replication lag is unknown"
		if len(l.Missing) > 0 {
			why += ": the user lacks " + strings.Join(l.Missing, ", ")
		}
		return stop("%s", why)
	case l.LagKnown && l.Lag > g.o.MaxLag:
		return stop("replication lag is %v, more than %v", short(l.Lag), g.o.MaxLag)
	case l.FlowControlled:
		return stop("the primary slows its writers down (flow control)")
	case l.WindowKnown && l.Window < g.o.MinWindow:
		return stop("the oplog reaches back %v, less than %v", l.Window.Round(time.Second), g.o.MinWindow)
	case l.LoadKnown && l.Dirty > g.o.MaxDirty:
		return stop("%.1f %% of the cache are dirty, more than %.1f %%", l.Dirty*100, g.o.MaxDirty*100)
	case l.LoadKnown && l.Queued > g.o.MaxQueued:
		return stop("%d operations are queued, more than %d", l.Queued, g.o.MaxQueued)
	case l.LagKnown && l.Lag > max(g.o.MaxLag/2, lagGrain):
		return press("replication lag is %v of %v", short(l.Lag), g.o.MaxLag)
	case l.LoadKnown && l.Dirty > g.o.MaxDirty*0.75:
		return press("%.1f %% of the cache are dirty, of %.1f %%", l.Dirty*100, g.o.MaxDirty*100)
	case l.LoadKnown && l.Queued > g.o.MaxQueued/2:
		return press("%d operations are queued, of %d", l.Queued, g.o.MaxQueued)
	}
	return verdict{}
}

// word sums a reason up: the numbers in it would make a series of a metric each.
func word(reason string) string {
	for _, w := range []string{"replication lag", "flow control", "oplog", "cache", "queued", "paused", "load of the database", "pacing", "slower"} {
		if strings.Contains(reason, w) {
			return w
		}
	}
	head, _, _ := strings.Cut(reason, ":")
	return head
}

// pause sleeps for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
