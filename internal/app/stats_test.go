package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/config"
	"sluice/internal/logs"
)

// counted returns a registry with some of what is counted.
func counted() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	vec := func(name string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: name}, labels)
		reg.MustRegister(v)
		return v
	}
	bulks := vec("sluice_search_bulk_requests_total", "result")
	for i, result := range []string{"ok", "partial", "rejected", "too_large", "failed"} {
		bulks.WithLabelValues(result).Add(float64(i + 1)) // 15, of which 5 failed
	}
	changes := vec("sluice_changes_total", "namespace", "op", "verdict")
	changes.WithLabelValues("a.b", "write", "done").Add(100)
	changes.WithLabelValues("a.c", "write", "done").Add(20)
	changes.WithLabelValues("a.b", "delete", "done").Add(7)
	changes.WithLabelValues("a.b", "skip", "done").Add(1000)
	changes.WithLabelValues("a.b", "write", "superseded").Add(2000)
	changes.WithLabelValues("a.b", "write", "folded").Add(3000)
	changes.WithLabelValues("a.b", "write", "dead_letter").Add(3)
	vec("sluice_search_retries_total", "reason").WithLabelValues("rejected").Add(4)
	return reg
}

const countedText = `{"Flushed":15,"Committed":10,"Indexed":120,"Created":0,"Updated":0,"Deleted":7,"Succeeded":127,"Failed":7,"Workers":[{"Queued":5,"LastDuration":1500000}]}`

func countedStats() WriteStats {
	st := countsOf(counted())
	st.Workers = []WorkerStats{{Queued: 5, LastDuration: 1500 * time.Microsecond}}
	return st
}

func TestStatsCount(t *testing.T) {
	got, err := json.Marshal(countedStats())
	if err != nil || string(got) != countedText {
		t.Errorf("%s, %v", got, err)
	}
}

// TestStatsAreTold: a line and a document each interval; that the engine takes none
// is counted each time, and logged at most once a minute.
func TestStatsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errOut bytes.Buffer
		log, _, err := logs.Open(logs.Options{Format: logs.Plain, Level: slog.LevelError, Console: &out, Errors: &errOut, Location: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		var names, bodies []string
		var failure error
		failed := 0
		s := statsTeller{
			cfg: config.Stats{Interval: 20 * time.Second, Log: true, Index: "Monitor.2006-01-02"}, read: countedStats, log: log, host: "h", pid: 42,
			index: func(_ context.Context, name string, body []byte) error {
				names, bodies = append(names, name), append(bodies, string(body))
				return failure
			},
			failed: func() { failed++ },
		}
		ctx, cancel := context.WithTimeout(t.Context(), 41*time.Second)
		defer cancel()
		s.run(ctx) // the clock of a bubble begins on 2000-01-01
		if want := "STATS 2000/01/01 00:00:20 " + countedText + "\nSTATS 2000/01/01 00:00:40 " + countedText + "\n"; out.String() != want {
			t.Errorf("the log has\n%swant\n%s", &out, want)
		}
		if want := `{"Host":"h","Pid":42,"Timestamp":"2000-01-01T00:00:20","Stats":` + countedText + "}"; len(bodies) != 2 || bodies[0] != want || names[0] != "monitor.2000-01-01" {
			t.Errorf("indexed into %q:\n%q\nwant\n%s", names, bodies, want)
		}
		if failed != 0 {
			t.Errorf("%d failures", failed)
		}
	})
}

func TestStatsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		failed := 0
		s := statsTeller{
			cfg: config.Stats{Interval: 20 * time.Second, Index: "x"}, read: countedStats, log: slog.New(slog.NewTextHandler(&out, nil)),
			index:  func(context.Context, string, []byte) error { return errors.New("index_create_block") },
			failed: func() { failed++ },
		}
		ctx, cancel := context.WithTimeout(t.Context(), 85*time.Second)
		defer cancel()
		s.run(ctx)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if failed != 4 || len(lines) != 2 {
			t.Fatalf("%d failures in %d lines:\n%s", failed, len(lines), &out)
		}
		if !strings.Contains(lines[0], "index_create_block count=1") || !strings.Contains(lines[1], "count=3") {
			t.Errorf("the log has\n%s", &out)
		}
	})
}
