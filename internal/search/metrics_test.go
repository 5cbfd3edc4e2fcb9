package search

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestMetrics(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, func(c call) (int, string) {
		return 200, bulkAnswer(c, func(i int, _ string) string {
			if i == 1 {
				return itemError("index", 429, "es_rejected_execution_exception", "rejected")
			}
			return ""
		})
	})
	reg := prometheus.NewRegistry()
	o := s.options(Route{})
	o.Metrics = NewMetrics(reg)
	sink := openTest(t, o).Sink()
	if _, err := sink.Write(t.Context(), batch(write(t, "a", 1), write(t, "b", 1, bson.E{Key: "s", Value: "\xff"}))); err != nil {
		t.Fatal(err)
	}
	s.say(bulkOrders, 503, ``)
	if _, err := sink.Write(t.Context(), batch(write(t, "a", 1))); err == nil {
		t.Fatal("no error")
	}
	want := map[string]float64{
		"sluice_search_bulk_requests_total failed": 1, "sluice_search_bulk_requests_total partial": 1,
		"sluice_search_in_flight": 0, "sluice_search_in_flight_limit": 2,
		"sluice_search_repairs_total invalid_utf8": 1, "sluice_search_retries_total rejected": 1,
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if h := m.GetHistogram(); h != nil && h.GetSampleCount() != 2 {
				t.Errorf("%s has %d samples", name, h.GetSampleCount())
			}
		}
	}
	for name, n := range want {
		if v, ok := got[name]; !ok || v != n {
			t.Errorf("%s is %v, want %v", name, v, n)
		}
	}
	if got["sluice_search_bulk_bytes_total"] == 0 || got["sluice_search_bulk_sent_bytes_total"] == 0 {
		t.Error(got)
	}
}
