package app

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/config"
)

// ConfigStatus is which configuration runs, and what became of newer ones.
type ConfigStatus struct {
	File string `json:"file"`
	// Watched: changes of the file are noticed; else SIGHUP alone reloads.
	Watched bool `json:"watched"`
	// Generation counts configurations that were in force, from 1; Since is when
	// this one came into force, and Changes what it changed.
	Generation int       `json:"generation"`
	Since      time.Time `json:"since"`
	Changes    string    `json:"changes,omitempty"`
	// Error is why the newest one was refused, at Refused; "" if it is in force.
	Error   string     `json:"error,omitempty"`
	Refused *time.Time `json:"refused,omitempty"`
	// Places are where in the file that is: "file:line:column".
	Places []string `json:"places,omitempty"`
}

// reloads keeps the status and the metrics of reloads. A nil one keeps nothing.
type reloads struct {
	mu sync.Mutex
	st ConfigStatus

	total *prometheus.CounterVec
	good  prometheus.Gauge
	last  prometheus.Gauge
}

func newReloads(reg prometheus.Registerer, file string, watched bool, now time.Time) *reloads {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	r := &reloads{
		st: ConfigStatus{File: file, Watched: watched, Generation: 1, Since: now},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_config_reloads_total", Help: "Configurations that were read again, by whether they are in force or were refused.",
		}, []string{"result"}),
		good: gauge("sluice_config_last_reload_successful", "1 if the newest configuration is in force, 0 if it was refused."),
		last: gauge("sluice_config_last_reload_success_timestamp_seconds", "When a configuration was last read and found to be, or put, in force."),
	}
	reg.MustRegister(r.total, r.good, r.last)
	r.total.WithLabelValues("success")
	r.total.WithLabelValues("failure")
	r.good.Set(1)
	r.last.Set(float64(now.Unix()))
	return r
}

// note takes down how a reload went.
func (r *reloads) note(changes string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.st.Error, r.st.Refused, r.st.Places = "", nil, nil
	if err != nil {
		r.total.WithLabelValues("failure").Inc()
		r.good.Set(0)
		r.st.Error, r.st.Refused = err.Error(), &now
		var errs config.Errors
		if errors.As(err, &errs) {
			for _, e := range errs {
				if e.Line == 0 {
					continue
				}
				r.st.Places = append(r.st.Places, fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col))
			}
		}
		return
	}
	r.total.WithLabelValues("success").Inc()
	r.good.Set(1)
	r.last.Set(float64(now.Unix()))
	if changes != "" {
		r.st.Generation, r.st.Since, r.st.Changes = r.st.Generation+1, now, changes
	}
}

func (r *reloads) status() *ConfigStatus {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.st
	return &st
}

// text is the status for people.
func (c *ConfigStatus) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "configuration %s: generation %d since %s", c.File, c.Generation, c.Since.Local().Format(time.DateTime))
	if c.Changes != "" {
		b.WriteString(": " + c.Changes)
	}
	if c.Error != "" {
		fmt.Fprintf(&b, "\n  a newer one was refused at %s, and this one goes on:", c.Refused.Local().Format(time.DateTime))
		for line := range strings.Lines(c.Error) {
			b.WriteString("\n    " + strings.TrimRight(line, "\n"))
		}
	}
	return b.String()
}
