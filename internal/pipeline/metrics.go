package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/flow"
)

// Metrics are the Prometheus metrics of one pump. A nil *Metrics counts nothing.
type Metrics struct {
	docs    *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	queue   *prometheus.GaugeVec
	retries *prometheus.CounterVec
	letters *prometheus.CounterVec
	settle  *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg. Several pumps of one process each
// need their own: wrap reg with a label that names the flow. A nil reg
// registers nothing, and the metrics are counted all the same.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		docs: counter("sluice_changes_total",
			"Changes that have their final verdict.", "namespace", "op", "verdict"),
		bytes: counter("sluice_change_bytes_total",
			"BSON bytes of the changes that have their final verdict.", "namespace", "op", "verdict"),
		queue: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_queue_bytes", Help: "Bytes that were read and are not settled yet.",
		}, []string{"source"}),
		retries: counter("sluice_retries_total",
			"Changes or calls that were tried again, by reason.", "reason"),
		letters: counter("sluice_dead_letters_total",
			"Changes that went to the dead letters.", "namespace", "reason"),
		settle: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_settle_seconds", Help: "Time from the read of a batch to its ack.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"source"}),
	}
	if reg != nil {
		reg.MustRegister(m.docs, m.bytes, m.queue, m.retries, m.letters, m.settle)
	}
	return m
}

func (m *Metrics) retry(reason string, n int) {
	if m != nil {
		m.retries.WithLabelValues(reason).Add(float64(n))
	}
}

func (m *Metrics) letter(ns flow.Namespace, reason string) {
	if m != nil {
		m.letters.WithLabelValues(ns.String(), reason).Inc()
	}
}

func (m *Metrics) queued(o origin, bytes int64) {
	if m != nil {
		m.queue.WithLabelValues(o.String()).Add(float64(bytes))
	}
}

func (m *Metrics) settled(o origin, took time.Duration) {
	if m != nil {
		m.settle.WithLabelValues(o.String()).Observe(took.Seconds())
	}
}
