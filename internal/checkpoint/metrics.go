package checkpoint

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts the saves of all flows of a process. A nil one counts nothing.
type Metrics struct {
	saves *prometheus.CounterVec
	last  *prometheus.GaugeVec
}

// NewMetrics registers the metrics of this package at reg, once per registry.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		saves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_checkpoint_saves_total",
			Help: "Saves of a flow's state, by result: saved or failed.",
		}, []string{"flow", "result"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_checkpoint_saved_timestamp_seconds",
			Help: "When the state of a flow was last known to be saved, in Unix seconds.",
		}, []string{"flow"}),
	}
	reg.MustRegister(m.saves, m.last)
	return m
}

func (m *Metrics) saved(flow string, at time.Time) {
	if m == nil {
		return
	}
	m.saves.WithLabelValues(flow, "saved").Inc()
	m.last.WithLabelValues(flow).Set(float64(at.UnixMilli()) / 1000)
}

func (m *Metrics) failed(flow string) {
	if m == nil {
		return
	}
	m.saves.WithLabelValues(flow, "failed").Inc()
}
