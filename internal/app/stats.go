package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/search"
)

// statsWarnEvery is how often the log tells that statistics can't be indexed.
const statsWarnEvery = time.Minute

// WriteStats are counts since the start of the process, in Monstache's form; what
// each means here is in docs/stats.md.
type WriteStats struct {
	Flushed, Committed, Indexed, Created, Updated, Deleted, Succeeded, Failed int64
	// Workers has an entry for each flow.
	Workers []WorkerStats
}

// WorkerStats is what one flow has in hand.
type WorkerStats struct {
	Queued int64
	// LastDuration is that of the last bulk request.
	LastDuration time.Duration
}

// statsDocument is what is indexed.
type statsDocument struct {
	Host, Pid, Timestamp any
	Stats                WriteStats
}

// WriteStats returns the counts now; safe at any time, from any goroutine.
func (a *App) WriteStats() WriteStats {
	st := countsOf(a.reg)
	st.Workers = []WorkerStats{}
	for _, f := range a.live() {
		var w WorkerStats
		if f.opened.Load() {
			p := f.pump.Status()
			w = WorkerStats{Queued: max(0, p.Read-p.Total.Sum()), LastDuration: f.sink.LastBulk()}
		}
		st.Workers = append(st.Workers, w)
	}
	return st
}

// countsOf sums the metrics up that count what was written.
func countsOf(reg prometheus.Gatherer) WriteStats {
	var st WriteStats
	families, _ := reg.Gather() // what there is of it
	for _, family := range families {
		name := family.GetName()
		for _, m := range family.GetMetric() {
			n := int64(m.GetCounter().GetValue())
			is := map[string]string{}
			for _, l := range m.GetLabel() {
				is[l.GetName()] = l.GetValue()
			}
			switch {
			case name == "sluice_search_bulk_requests_total":
				st.Flushed += n
				if is["result"] != "failed" {
					st.Committed += n
				}
			case name == "sluice_search_retries_total":
				st.Failed += n
			case name != "sluice_changes_total":
			case is["verdict"] == flow.DeadLetter.String():
				st.Failed += n
			case is["verdict"] == flow.Done.String() && is["op"] == flow.OpWrite.String():
				st.Indexed += n
			case is["verdict"] == flow.Done.String() && is["op"] == flow.OpDelete.String():
				st.Deleted += n
			}
		}
	}
	st.Succeeded = st.Indexed + st.Deleted
	return st
}

// statsTeller tells the counts every while. One goroutine has it.
type statsTeller struct {
	cfg     config.Stats
	read    func() WriteStats
	index   func(ctx context.Context, name string, body []byte) error
	failed  func()
	log     *slog.Logger
	host    string
	pid     int
	warned  time.Time
	omitted int
}

// tellStats tells the counts as the configuration says, until ctx is done.
func (a *App) tellStats(ctx context.Context) {
	cfg := a.config().Stats
	if !cfg.On() {
		return
	}
	failures := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sluice_stats_failures_total", Help: "Documents of statistics that could not be indexed.",
	})
	if cfg.Index != "" {
		a.reg.MustRegister(failures)
	}
	t := statsTeller{cfg: cfg, read: a.WriteStats, index: a.indexStats, failed: failures.Inc, log: a.o.Logger, host: hostname(), pid: os.Getpid()}
	t.run(ctx)
}

func (t *statsTeller) run(ctx context.Context) {
	tick := time.NewTicker(t.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.tell(ctx, now.UTC())
		}
	}
}

// tell tells the counts once.
func (t *statsTeller) tell(ctx context.Context, now time.Time) {
	st := t.read()
	if t.cfg.Log {
		line, _ := json.Marshal(st) // numbers always encode
		t.log.Log(ctx, flow.LevelStats, string(line))
	}
	if t.cfg.Index == "" {
		return
	}
	name := config.StatsIndex(t.cfg.Index, now)
	body, _ := json.Marshal(statsDocument{Host: t.host, Pid: t.pid, Timestamp: now.Format("2006-01-02T15:04:05"), Stats: st})
	ctx, cancel := context.WithTimeout(ctx, max(askTimeout, t.cfg.Interval))
	defer cancel()
	if err := t.index(ctx, name, body); err != nil && ctx.Err() != context.Canceled {
		t.failed()
		t.warn(ctx, name, err, now)
	}
}

// warn logs a failure, at most once a minute.
func (t *statsTeller) warn(ctx context.Context, name string, err error, now time.Time) {
	t.omitted++
	if !t.warned.IsZero() && now.Sub(t.warned) < statsWarnEvery {
		return
	}
	t.log.LogAttrs(ctx, slog.LevelWarn, "statistics were not indexed; the flows go on",
		slog.String(flow.LogIndex, name), slog.Any(flow.LogErr, err), slog.Int(flow.LogCount, t.omitted))
	t.warned, t.omitted = now, 0
}

// indexStats writes a document by the connection of a flow that is open; as long
// as there is none, nothing has been counted either.
func (a *App) indexStats(ctx context.Context, name string, body []byte) error {
	var c *search.Client
	for _, f := range a.live() {
		if f.opened.Load() {
			c = f.client
			break
		}
	}
	if c == nil {
		return nil
	}
	return c.AddDocument(ctx, name, body)
}

// hostname is that of this machine, "" if it has none.
func hostname() string {
	name, _ := os.Hostname() // "" has to do
	return name
}
