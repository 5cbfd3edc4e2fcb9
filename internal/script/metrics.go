package script

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the Prometheus metrics of the scripts of one flow. A nil *Metrics
// counts nothing.
type Metrics struct {
	calls *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg; nil registers nothing.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_script_calls_total",
			Help: "Calls of scripts, by what came of them: kept, changed, left (the document leaves the index), skipped, error, cut.",
		}, []string{"script", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_script_batch_seconds",
			Help:    "Time that a script took for the documents of one batch.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 10, 60},
		}, []string{"script"}),
	}
	if reg != nil {
		reg.MustRegister(m.calls, m.took)
	}
	return m
}

// tally counts the calls of one script on one batch, so that counters are moved once.
type tally [resultCount]int

// result is what came of one call.
type result uint8

const (
	resultKept result = iota
	resultChanged
	resultLeft
	resultSkipped
	resultError
	resultCut
	resultCount
)

func (r result) String() string {
	return [...]string{"kept", "changed", "left", "skipped", "error", "cut"}[r]
}

func (m *Metrics) count(script string, t *tally, took time.Duration) {
	if m == nil {
		return
	}
	for i, n := range t {
		if n > 0 {
			m.calls.WithLabelValues(script, result(i).String()).Add(float64(n))
		}
	}
	m.took.WithLabelValues(script).Observe(took.Seconds())
}
