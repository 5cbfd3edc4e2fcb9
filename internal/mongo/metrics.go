package mongo

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the Prometheus metrics of the sources of one process. A nil
// *Metrics counts nothing.
type Metrics struct {
	events  *prometheus.CounterVec
	reopens *prometheus.CounterVec
	held    prometheus.Counter
	copied  prometheus.Counter
	bytes   prometheus.Counter
	rereads *prometheus.CounterVec
	retries *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg; a nil reg registers nothing, and
// they are counted all the same.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		events:  vec("sluice_mongodb_events_total", "Change events that were read, by what became of them.", "op"),
		reopens: vec("sluice_mongodb_stream_reopens_total", "How often the change stream was opened again, by reason.", "reason"),
		held:    one("sluice_mongodb_held_transactions_total", "Transactions that were held until their end was seen."),
		copied:  one("sluice_mongodb_snapshot_documents_total", "Documents that the snapshot has read."),
		bytes:   one("sluice_mongodb_snapshot_bytes_total", "BSON bytes that the snapshot has read."),
		rereads: vec("sluice_mongodb_reread_documents_total", "Documents that were read again, by whether they were there.", "found"),
		retries: vec("sluice_mongodb_snapshot_retries_total", "Reads of the snapshot that were tried again, by reason.", "reason"),
	}
	if reg != nil {
		reg.MustRegister(m.events, m.reopens, m.held, m.copied, m.bytes, m.rereads, m.retries)
	}
	return m
}

func (m *Metrics) event(op string, n int) {
	if m != nil && n > 0 {
		m.events.WithLabelValues(op).Add(float64(n))
	}
}

func (m *Metrics) reopened(reason string) {
	if m != nil {
		m.reopens.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) heldOne() {
	if m != nil {
		m.held.Inc()
	}
}

func (m *Metrics) copiedPage(docs, bytes int) {
	if m != nil {
		m.copied.Add(float64(docs))
		m.bytes.Add(float64(bytes))
	}
}

func (m *Metrics) reread(found, missing int) {
	if m != nil {
		m.rereads.WithLabelValues("yes").Add(float64(found))
		m.rereads.WithLabelValues("no").Add(float64(missing))
	}
}

func (m *Metrics) retried(reason string) {
	if m != nil {
		m.retries.WithLabelValues(reason).Inc()
	}
}
