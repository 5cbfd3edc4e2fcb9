package search

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/transcode"
)

// Metrics are the Prometheus metrics of the clients of a process. A nil
// *Metrics counts nothing.
type Metrics struct {
	bulks    *prometheus.CounterVec
	seconds  prometheus.Histogram
	bytes    prometheus.Counter
	wire     prometheus.Counter
	retries  *prometheus.CounterVec
	inFlight prometheus.Gauge
	allowed  prometheus.Gauge
	repairs  *prometheus.CounterVec
	passed   *prometheus.CounterVec
}

// NewMetrics registers the metrics of this package with reg, once per
// registry; a nil reg registers nothing.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		bulks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_search_bulk_requests_total",
			Help: "Bulk requests, by result: ok, partial, rejected, too_large, failed.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sluice_search_bulk_seconds",
			Help:    "Time from the send of a bulk request to its whole answer.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_search_bulk_bytes_total",
			Help: "Bytes of bulk bodies before compression.",
		}),
		wire: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_search_bulk_sent_bytes_total",
			Help: "Bytes of bulk bodies as sent.",
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_search_retries_total",
			Help: "Changes that the engine did not take and that have to be sent again, by reason.",
		}, []string{"reason"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_search_in_flight",
			Help: "Bulk requests on their way.",
		}),
		allowed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_search_in_flight_limit",
			Help: "Bulk requests that may be on their way at one time; falls while the engine rejects.",
		}),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_search_repairs_total",
			Help: "Values and names that an index can't hold as they are and that were written otherwise, by kind.",
		}, []string{"kind"}),
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_search_append_only_passed_over_total",
			Help: "Changes that a data stream does not take, as it is only added to: op is update or delete.",
		}, []string{"op"}),
	}
	if reg != nil {
		reg.MustRegister(m.bulks, m.seconds, m.bytes, m.wire, m.retries, m.inFlight, m.allowed, m.repairs, m.passed)
	}
	return m
}

func (m *Metrics) bulk(result string, took time.Duration) {
	if m != nil {
		m.bulks.WithLabelValues(result).Inc()
		m.seconds.Observe(took.Seconds())
	}
}

func (m *Metrics) sent(body, wire int) {
	if m != nil {
		m.bytes.Add(float64(body))
		m.wire.Add(float64(wire))
	}
}

func (m *Metrics) retry(reason string, n int) {
	if m != nil && n > 0 {
		m.retries.WithLabelValues(reason).Add(float64(n))
	}
}

func (m *Metrics) flying(n float64) {
	if m != nil {
		m.inFlight.Add(n)
	}
}

func (m *Metrics) limit(n int) {
	if m != nil {
		m.allowed.Set(float64(n))
	}
}

func (m *Metrics) passedOver(op string, n int) {
	if m != nil && n > 0 {
		m.passed.WithLabelValues(op).Add(float64(n))
	}
}

func (m *Metrics) repaired(st transcode.Stats) {
	if m == nil || st == (transcode.Stats{}) {
		return
	}
	for kind, n := range map[string]uint64{
		"invalid_utf8": st.InvalidUTF8, "duplicate_key": st.DuplicateKeys,
		"name": st.RepairedNames, "non_finite": st.NonFinite,
		"cast": st.CastErrors,
	} {
		if n > 0 {
			m.repairs.WithLabelValues(kind).Add(float64(n))
		}
	}
}
