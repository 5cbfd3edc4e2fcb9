package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/flow"
)

// TestStatusStates: the watchdog tells idle, running, retrying and a blocked or
// silent sink apart.
func TestStatusStates(t *testing.T) {
	f := func(answer string, wait time.Duration, want State, wantFor time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cut := context.WithCancel(t.Context())
			sink := sinkFunc(func(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
				if answer == "" {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				if answer == "down" {
					return nil, transient("refused")
				}
				return verdicts(answer), nil
			})
			src := &fakeSource{open: true}
			if answer != "idle" {
				src.batches = []flow.Batch{batchOf(write("a", 1))}
			}
			p := New(Options{Stream: src, Sink: sink})
			done := make(chan error)
			go func() { done <- p.Run(ctx, nil) }()
			<-time.After(wait)
			s := p.Status()
			if s.State != want || time.Since(s.Since) != wantFor {
				t.Errorf("%q: %s for %s, want %s for %s", answer, s.State, time.Since(s.Since), want, wantFor)
			}
			if (s.QueueBytes > 0) != (want != Idle) {
				t.Errorf("%q: %d bytes", answer, s.QueueBytes)
			}
			cut()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	f("idle", time.Minute, Idle, time.Minute)
	f("", time.Second, Running, time.Second)
	f("", time.Minute, BlockedSink, time.Minute)
	f("down", time.Minute, BlockedSink, time.Minute)
	f("r", time.Minute, Retrying, time.Minute)
	f("d", time.Minute, Idle, time.Minute)
}

// TestErrlogLimits: a cause that repeats is one line a second, others are not held up.
func TestErrlogLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newErrlog(slog.New(slog.NewTextHandler(&out, nil)))
		for range 30 { // three seconds
			l.warn("a", "first")
			l.warn("b", "second", slog.String(flow.LogNS, "x"))
			<-time.After(100 * time.Millisecond)
		}
		for _, msg := range []string{"first", "second"} {
			if n := strings.Count(out.String(), msg); n != 3 {
				t.Errorf("%q: %d lines, want 3", msg, n)
			}
		}
		if n := strings.Count(out.String(), "count=10"); n != 4 {
			t.Errorf("%d lines tell of ten, want 4: %s", n, &out)
		}
		for i := range 3 * maxCauses {
			l.warn(string(rune('A'+i)), "many")
		}
		if len(l.seen) > maxCauses {
			t.Errorf("%d causes are kept", len(l.seen))
		}
	})
}

func TestBackoffGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backoff
		want := firstPause
		for range 15 {
			start := time.Now()
			if err := b.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < want/2 || took > want {
				t.Errorf("pause of %s, want %s to %s", took, want/2, want)
			}
			want = min(2*want, maxPause)
		}
		b.reset()
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		cancel(cause)
		if err := b.wait(ctx); !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	})
}

// TestS7MetricsSum: the metrics count each change once, by its verdict.
func TestS7MetricsSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		skip := write("e", 1)
		skip.Op = flow.OpSkip
		src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 1), write("a", 2), remove("b", 2), write("c", 3), write("d", 3), skip)}}
		p := New(Options{Stream: src, Sink: script("dsxr", "d"), DeadLetters: &letterBox{}, Metrics: NewMetrics(reg), Lanes: 1})
		if err := p.Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := strings.TrimPrefix(f.GetName(), "sluice_")
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		for name, want := range map[string]float64{
			"changes_total shop.orders write done": 2, "changes_total shop.orders write folded": 1,
			"changes_total shop.orders delete superseded": 1, "changes_total shop.orders write dead_letter": 1,
			"changes_total shop.orders skip done": 1, "retries_total rejected": 1,
			"dead_letters_total shop.orders mapping": 1, "settle_seconds stream": 1, "queue_bytes stream": 0,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
		total := 0.0
		for name, v := range got {
			if strings.HasPrefix(name, "changes_total") {
				total += v
			}
		}
		s := p.Status()
		if c := s.Namespaces["shop.orders"]; total != 6 || c != s.Total || c.Sum() != 6 || c.Bytes == 0 {
			t.Errorf("%v changes in the metrics, %+v in the status, want 6", total, s)
		}
	})
	NewMetrics(nil).retry("x", 1)
}
