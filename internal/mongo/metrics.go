package mongo

import (
	"time"

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
	related prometheus.Counter
	owed    prometheus.Gauge
	waits   *prometheus.CounterVec
	files   *prometheus.CounterVec
	content prometheus.Counter
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
		waits:   vec("sluice_mongodb_snapshot_wait_seconds_total", "Seconds that a reader of the snapshot was made to wait, by reason.", "reason"),
	}
	m.related = one("sluice_mongodb_related_documents_total", "Documents that were written again because one that they show has changed.")
	m.owed = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_mongodb_related_queue_bytes", Help: "Bytes of the keys whose related documents have still to be written again.",
	})
	m.files = vec("sluice_mongodb_files_total", "Files of GridFS that were to be attached to their documents, by what became of them.", "result")
	m.content = one("sluice_mongodb_file_bytes_total", "Bytes of the files that were attached.")
	if reg != nil {
		reg.MustRegister(m.related, m.owed, m.files, m.content)
		reg.MustRegister(m.events, m.reopens, m.held, m.copied, m.bytes, m.rereads, m.retries, m.waits)
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

// Waited counts what a reader of the snapshot was made to wait; reason is one of
// a small set.
func (m *Metrics) Waited(reason string, d time.Duration) {
	if m != nil && d > 0 {
		m.waits.WithLabelValues(reason).Add(d.Seconds())
	}
}

func (m *Metrics) retried(reason string) {
	if m != nil {
		m.retries.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) relatedWritten(n int) {
	if m != nil && n > 0 {
		m.related.Add(float64(n))
	}
}

func (m *Metrics) relatedQueue(bytes int) {
	if m != nil && bytes != 0 {
		m.owed.Add(float64(bytes))
	}
}

func (m *Metrics) file(result string, bytes int64) {
	if m != nil {
		m.files.WithLabelValues(result).Inc()
		m.content.Add(float64(bytes))
	}
}
