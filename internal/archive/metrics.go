package archive

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/cold"
)

// Metrics are the Prometheus metrics of the archive. A nil *Metrics counts
// nothing.
type Metrics struct {
	docs, bytes, packs, runs *prometheus.CounterVec
	waits                    *prometheus.CounterVec
	rate                     prometheus.Gauge
}

// NewMetrics registers the metrics with reg; a nil reg registers nothing.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		docs: counter("sluice_archive_docs_total",
			"Documents that were read, deleted, found changed, or gone.", "rule", "namespace", "outcome"),
		bytes: counter("sluice_archive_bytes_total",
			"BSON bytes that were read, and object bytes that were uploaded.", "rule", "namespace", "kind"),
		packs: counter("sluice_archive_packs_total", "Packs that reached a state.", "rule", "namespace", "state"),
		runs:  counter("sluice_archive_runs_total", "Runs by how they ended.", "rule", "namespace", "result"),
		waits: counter("sluice_archive_wait_seconds_total", "Seconds that the governor made the archive wait.", "reason"),
		rate: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_archive_pace", Help: "Share of the full rate that the governor allows, 0 while it pauses.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.docs, m.bytes, m.packs, m.runs, m.waits, m.rate)
	}
	return m
}

// Waited counts what the governor made the archive wait; for governor.Options.
func (m *Metrics) Waited(reason string, d time.Duration) {
	if m != nil {
		m.waits.WithLabelValues(reason).Add(d.Seconds())
	}
}

// Paced tells the share of the full rate that the governor allows; for
// governor.Options.
func (m *Metrics) Paced(share float64) {
	if m != nil {
		m.rate.Set(share)
	}
}

func (m *Metrics) read(r Rule, docs int, bytes int64) {
	if m != nil {
		m.docs.WithLabelValues(r.Name, r.NS.String(), "read").Add(float64(docs))
		m.bytes.WithLabelValues(r.Name, r.NS.String(), "read").Add(float64(bytes))
	}
}

func (m *Metrics) uploaded(r Rule, bytes int64) {
	if m != nil {
		m.bytes.WithLabelValues(r.Name, r.NS.String(), "uploaded").Add(float64(bytes))
	}
}

func (m *Metrics) removed(r Rule, deleted, changed, gone int) {
	if m != nil {
		c := m.docs.MustCurryWith(prometheus.Labels{"rule": r.Name, "namespace": r.NS.String()})
		c.WithLabelValues(string(cold.Deleted)).Add(float64(deleted))
		c.WithLabelValues(string(cold.Changed)).Add(float64(changed))
		c.WithLabelValues(string(cold.Gone)).Add(float64(gone))
	}
}

func (m *Metrics) pack(r Rule, s cold.PackState) {
	if m != nil {
		m.packs.WithLabelValues(r.Name, r.NS.String(), string(s)).Inc()
	}
}

func (m *Metrics) run(r Rule, err error) {
	if m == nil {
		return
	}
	result := "done"
	switch {
	case errors.Is(err, ErrRefused):
		result = "refused"
	case err != nil:
		result = "failed"
	}
	m.runs.WithLabelValues(r.Name, r.NS.String(), result).Inc()
}
