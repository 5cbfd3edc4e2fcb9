package archive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/lease"
)

// Runner runs rules. It is safe from several goroutines; two runs of one rule
// on one collection wait for each other.
type Runner struct {
	deps  Deps
	opts  Options
	spool *spool
	board board
}

// NewRunner returns a Runner. Nothing is opened before the first Run.
func NewRunner(d Deps, o Options) *Runner {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Governor == nil {
		d.Governor = governor.New(governor.Options{})
	}
	if o.DeleteBatch <= 0 {
		o.DeleteBatch = DeleteBatch
	}
	return &Runner{deps: d, opts: o, spool: newSpool(d.SpoolDir, d.SpoolBytes)}
}

// SetSpool changes Deps.SpoolBytes; safe at any time, from any goroutine. What
// is in the spool beyond a smaller bound stays until it is uploaded.
func (r *Runner) SetSpool(bytes int64) { r.spool.room.Resize(max(1, bytes)) }

// job is one Run while it goes on.
type job struct {
	*Runner
	rule  Rule
	lease *lease.Lease
	fence int64
	need  time.Duration
	now   time.Time // the server's, once the lease was ours
	asked time.Time // the same moment by our clock
	dir   string
	log   *slog.Logger
	prog  *tally

	mu      sync.Mutex // guards run, report and touched
	run     *cold.Run
	report  Report
	touched map[string]bool // runs of other calls whose packs we moved

	survey cold.Survey
	held   atomic.Int64
	skip   atomic.Int64
}

// Run works on the rule until everything that is old is archived, and what is
// due is deleted. It waits for the lease first; then it finishes what earlier
// owners left, plans, and goes on. A refused plan is an error that wraps
// ErrRefused; a lost lease one that wraps lease.ErrLost. After any error the next
// Run, of any process, goes on.
func (r *Runner) Run(ctx context.Context, rule Rule) (Report, error) {
	rule.fill()
	j := &job{Runner: r, rule: rule, touched: map[string]bool{}}
	j.log = r.deps.Logger.With("rule", rule.Name, flow.LogNS, rule.NS.String())
	j.report = Report{Rule: rule.Name, NS: rule.NS.String()}
	j.prog = r.board.start(rule)
	defer j.prog.stop()
	j.prog.state("waiting for the lease")
	l, err := lease.Acquire(ctx, lease.Options{
		Store: r.deps.Leases, Name: rule.LeaseName(), Owner: r.deps.Owner, TTL: r.opts.LeaseTTL,
		Logger: r.deps.Logger, Clock: r.opts.LeaseClock,
	})
	if err != nil {
		return j.report, err
	}
	j.lease = l
	_, j.fence = l.Fence()
	j.need = lease.DefaultTTL / 6
	if r.opts.LeaseTTL > 0 {
		j.need = r.opts.LeaseTTL / 6
	}
	bound, stop := l.Bind(ctx)
	defer stop()
	err = j.work(bound)
	if err != nil && errors.Is(err, context.Canceled) && errors.Is(context.Cause(bound), lease.ErrLost) {
		err = l.Check(0)
	}
	j.end(ctx, err)
	return j.report, err
}

// end writes how the run ended, and gives the lease back.
func (j *job) end(ctx context.Context, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	j.report.Held, j.report.Skipped = j.held.Load(), j.skip.Load()
	if j.run != nil && err != nil {
		j.run.State, j.run.Error, j.run.Ended = cold.RunFailed, firstLine(err), time.Now()
		if errors.Is(err, context.Canceled) {
			j.run.Error = "stopped before its end; the next run goes on"
		}
		if j.lease.Check(0) == nil {
			if perr := j.deps.DB.PutRun(ctx, *j.run); perr != nil {
				j.log.Warn("the run failed, and that could not be written down", flow.LogErr, perr)
			}
		}
	}
	j.report.Run = j.run
	j.prog.ended(err)
	j.deps.Metrics.run(j.rule, err)
	if rerr := j.lease.Release(ctx); rerr != nil {
		j.log.Warn("the lease could not be given back; others wait for its end", flow.LogErr, rerr)
	}
}

// firstLine leaves the hints out, which are for the eyes of a user.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

func (j *job) work(ctx context.Context) error {
	var err error
	if j.dir, err = j.spool.claim(j.rule.LeaseName()); err != nil {
		return err
	}
	if j.now, _, err = j.deps.DB.ServerTime(ctx); err != nil {
		return err
	}
	j.asked = time.Now()
	j.prog.state("finishing earlier runs")
	if err := j.recover(ctx); err != nil {
		return err
	}
	j.prog.state("planning")
	sel, err := j.plan(ctx)
	if err != nil {
		return err
	}
	left, err := j.leftovers(ctx)
	if err != nil {
		return err
	}
	if j.survey.Count == 0 && len(left) == 0 {
		return j.settleRuns(ctx)
	}
	if err := j.open(ctx, sel); err != nil {
		return err
	}
	j.prog.state("archiving")
	if err := j.readAll(ctx, sel, left); err != nil {
		return err
	}
	return j.close(ctx, sel)
}

// plan surveys the collection, and freezes the cutoff.
func (j *job) plan(ctx context.Context) (cold.Selection, error) {
	var mark time.Time
	if j.rule.marked() {
		var err error
		if mark, err = j.deps.DB.Mark(ctx, j.rule.markName(), j.rule.NS.String()); err != nil {
			return cold.Selection{}, err
		}
	}
	sel := bounded(j.rule, j.now, mark)
	s, err := j.deps.DB.Survey(ctx, sel)
	if err != nil {
		return sel, err
	}
	j.survey = s
	j.report.Plan = assess(j.rule, sel, s, j.deps)
	j.prog.expect(s.Count)
	if len(j.report.Plan.Refusals) > 0 {
		return sel, refused(j.rule, j.report.Plan)
	}
	return sel, nil
}

// open writes the row of the run.
func (j *job) open(ctx context.Context, sel cold.Selection) error {
	run := cold.Run{
		ID: newID(j.now), Rule: j.rule.Name, NS: j.rule.NS.String(), UUID: j.survey.UUID, State: cold.RunPlanned,
		Fence: j.fence, Field: sel.Field, Kind: sel.Kind, Filter: j.rule.FilterText, From: sel.From, Floor: sel.Floor,
		Before: sel.Before, Delete: j.rule.Delete, Shadow: j.rule.Shadow, Started: j.now,
	}
	put := func(s cold.RunState) func() error {
		return func() error {
			run.State = s
			return j.deps.DB.PutRun(ctx, run)
		}
	}
	if err := j.step(ctx, StepRun, put(cold.RunPlanned), put(cold.RunOpen)); err != nil {
		return err
	}
	j.mu.Lock()
	j.run = &run
	j.mu.Unlock()
	j.prog.runIs(run.ID)
	j.log.Info("archiving", "run", run.ID, "before", sel.Before, flow.LogCount, j.survey.Count)
	return nil
}

// close moves the mark and closes the run, or lets it soak.
func (j *job) close(ctx context.Context, sel cold.Selection) error {
	if err := j.mark(ctx, sel.Before); err != nil {
		return err
	}
	j.run.Complete = true
	state, err := j.sum(ctx, j.run)
	if err != nil {
		return err
	}
	err = j.step(ctx, StepEnd, nil, func() error {
		j.run.State, j.run.Ended = state, time.Now()
		return j.deps.DB.PutRun(ctx, *j.run)
	})
	if err != nil {
		return err
	}
	j.log.Info("archived", "run", j.run.ID, "state", string(state), "packs", j.run.Packs, flow.LogCount, j.run.Docs,
		flow.LogBytes, j.run.Bytes, "deleted", j.run.Deleted, "changed", j.run.Changed, "gone", j.run.Gone)
	return j.settleRuns(ctx)
}

// mark moves the high-water mark of a rule that has one: what is older was
// committed, all of it.
func (j *job) mark(ctx context.Context, t time.Time) error {
	if !j.rule.marked() || t.IsZero() {
		return nil
	}
	return j.step(ctx, StepMark, nil, func() error {
		return j.deps.DB.SetMark(ctx, j.rule.markName(), j.rule.NS.String(), t, j.fence)
	})
}

// runRow returns a copy of the row of our run.
func (j *job) runRow() *cold.Run {
	j.mu.Lock()
	defer j.mu.Unlock()
	run := *j.run
	return &run
}

// newID returns an id that is unique and sorts by time.
func newID(t time.Time) string {
	var b [5]byte
	_, _ = rand.Read(b[:])
	return strings.Replace(t.UTC().Format("20060102T150405.000"), ".", "", 1) + "-" + hex.EncodeToString(b[:])
}

// selectionOf rebuilds the frozen selection of a run, but for the mark: what had
// changed is older than that.
func selectionOf(r cold.Run) (cold.Selection, error) {
	ns, ok := flow.ParseNamespace(r.NS)
	sel := cold.Selection{NS: ns, Field: r.Field, Kind: r.Kind, Floor: r.Floor, Before: r.Before}
	if !ok {
		return sel, &flow.Error{Op: "read run", Object: r.ID, Class: flow.Fatal, Err: errors.New("its namespace is " + r.NS)}
	}
	if r.Filter == "" {
		return sel, nil
	}
	if err := bson.UnmarshalExtJSON([]byte(r.Filter), false, &sel.Filter); err != nil {
		return sel, &flow.Error{Op: "read filter of run", Object: r.ID, Class: flow.Fatal, Err: err}
	}
	return sel, nil
}
