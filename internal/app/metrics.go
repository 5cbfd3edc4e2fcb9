package app

import "github.com/prometheus/client_golang/prometheus"

// gauges tells, at each scrape, what Status knows of every flow.
type gauges struct {
	status func() Status

	lag, headRoom, letters, running *prometheus.Desc
	documents, chunks               *prometheus.Desc
	bytes, left, waiting            *prometheus.Desc
}

var _ prometheus.Collector = (*gauges)(nil)

func newGauges(status func() Status) *gauges {
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"flow"}, labels...), nil)
	}
	return &gauges{
		status:    status,
		lag:       of("sluice_lag_seconds", "The server's time less that of the last settled change; absent while unknown."),
		headRoom:  of("sluice_oplog_head_room_seconds", "How much older than the settled position the oplog's first entry is; absent while unknown."),
		letters:   of("sluice_dead_letters_open", "Documents that could not be written and were not settled since."),
		running:   of("sluice_flow_running", "1 while the flow runs, 0 before and after."),
		documents: of("sluice_snapshot_documents", "Documents of a snapshot under way, by namespace: estimated, done (of these, also what a filter leaves out), settled.", "namespace", "kind"),
		bytes:     of("sluice_snapshot_settled_bytes", "BSON bytes of a snapshot under way that were settled, by namespace.", "namespace"),
		left:      of("sluice_snapshot_left_seconds", "About how long a snapshot under way takes from now, by namespace, with those before it; absent while unknown.", "namespace"),
		waiting:   of("sluice_snapshot_waiting", "1 while snapshots wait or are slowed down for the database, the stream or a rate; the reason is in /status."),
		chunks:    of("sluice_snapshot_chunks", "Chunks of a snapshot under way, by namespace: open, done.", "namespace", "kind"),
	}
}

// Describe tells what Collect may send.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.lag, g.headRoom, g.letters, g.running, g.documents, g.chunks, g.bytes, g.left, g.waiting} {
		out <- d
	}
}

// Collect sends what is known now.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	for _, f := range g.status().Flows {
		g.collect(out, f)
	}
}

func (g *gauges) collect(out chan<- prometheus.Metric, f FlowStatus) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{f.Name}, labels...)...)
	}
	running := 0.0
	if f.State == "running" {
		running = 1
	}
	send(g.running, running)
	send(g.letters, float64(f.DeadLetters))
	if f.Source.LagSeconds >= 0 {
		send(g.lag, f.Source.LagSeconds)
	}
	if f.Source.HeadRoomSeconds >= 0 {
		send(g.headRoom, f.Source.HeadRoomSeconds)
	}
	waiting := 0.0
	if f.Source.Waiting != "" {
		waiting = 1
	}
	send(g.waiting, waiting)
	for _, n := range f.Source.Namespaces {
		if n.Phase == "following" {
			continue
		}
		send(g.documents, float64(n.Estimated), n.NS, "estimated")
		send(g.documents, float64(n.Done), n.NS, "done")
		send(g.documents, float64(n.Settled), n.NS, "settled")
		send(g.bytes, float64(n.Bytes), n.NS)
		if n.LeftSeconds >= 0 {
			send(g.left, n.LeftSeconds, n.NS)
		}
		send(g.chunks, float64(n.ChunksOpen), n.NS, "open")
		send(g.chunks, float64(n.ChunksDone), n.NS, "done")
	}
}
