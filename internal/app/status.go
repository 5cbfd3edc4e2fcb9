package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sluice/internal/pipeline"
)

// Status is what /status tells, and what `sluice status` prints.
type Status struct {
	Version string       `json:"version"`
	Started time.Time    `json:"started"`
	Flows   []FlowStatus `json:"flows"`
	// Archive has the rules of the archive.
	Archive []ArchiveStatus `json:"archive,omitempty"`
	// Config is which configuration runs; nil where none is watched.
	Config *ConfigStatus `json:"config,omitempty"`
}

// FlowStatus is the part of one flow.
type FlowStatus struct {
	Name string `json:"name"`
	// State is starting, running, done or failed.
	State string `json:"state"`
	// Paused says why the flow was told to pause; "" if it was not.
	Paused      string          `json:"paused,omitempty"`
	Error       string          `json:"error,omitempty"`
	DeadLetters int             `json:"dead_letters"`
	Saved       time.Time       `json:"position_saved"`
	SaveError   string          `json:"save_error,omitempty"`
	Source      SourceStatus    `json:"source"`
	Pump        pipeline.Status `json:"pump"`
}

// Status tells how everything is doing; safe at any time, from any goroutine.
func (a *App) Status() Status {
	st := Status{Version: Version, Started: a.started}
	for _, f := range a.live() {
		st.Flows = append(st.Flows, f.status())
	}
	st.Archive = a.archiveStatus()
	st.Config = a.reloads.status()
	return st
}

func (f *flowRun) status() FlowStatus {
	st := FlowStatus{Name: f.cfg.Name, State: "starting", Source: SourceStatus{LagSeconds: -1, HeadRoomSeconds: -1, LeftSeconds: -1}}
	if s := f.state.Load(); s != nil {
		st.State = *s
	}
	st.Paused, _ = f.gate.paused()
	if err := f.err.Load(); err != nil {
		st.Error = (*err).Error()
	}
	// What open made is visible once it says that it is opened.
	if !f.opened.Load() {
		return st
	}
	st.Source, st.Pump = sourceStatus(f.source.Progress()), f.pump.Status()
	st.DeadLetters, st.Saved = f.letters.Count(), f.keeper.Saved()
	if err := f.keeper.Err(); err != nil {
		st.SaveError = err.Error()
	}
	return st
}

// Copied tells whether every flow's snapshots are done.
func (s Status) Copied() bool {
	for _, f := range s.Flows {
		if f.State == "starting" || f.State == "failed" || !f.Source.copied() {
			return false
		}
	}
	return len(s.Flows) > 0
}

// SnapshotRead is the number of documents that this process read for snapshots.
func (s Status) SnapshotRead() int64 {
	return s.sum(func(f FlowStatus) int64 { return f.Source.Read })
}

// SnapshotSettled is the number of documents of snapshots that this process settled.
func (s Status) SnapshotSettled() int64 {
	return s.sum(func(f FlowStatus) int64 { return f.Source.Settled })
}

// Settled is the number of changes, snapshot and stream, that this process settled.
func (s Status) Settled() int64 {
	return s.sum(func(f FlowStatus) int64 { return f.Pump.Total.Sum() })
}

// Rereads is the number of queries that read updated documents again.
func (s Status) Rereads() int64 {
	return s.sum(func(f FlowStatus) int64 { return f.Source.Rereads })
}

func (s Status) sum(of func(FlowStatus) int64) int64 {
	var n int64
	for _, f := range s.Flows {
		n += of(f)
	}
	return n
}

// JSON returns the status as indented JSON.
func (s Status) JSON() ([]byte, error) { return json.MarshalIndent(s, "", "  ") }

// Text returns the status for people.
func (s Status) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sluice %s, running since %s", s.Version, s.Started.Local().Format(time.DateTime))
	if s.Config != nil {
		b.WriteString("\n" + s.Config.text())
	}
	for _, f := range s.Flows {
		b.WriteString("\n" + f.text())
	}
	for _, r := range s.Archive {
		b.WriteString("\n" + r.text())
	}
	return b.String()
}

func (f FlowStatus) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "flow %s: %s", f.Name, f.State)
	if f.Paused != "" {
		b.WriteString(", paused: " + f.Paused)
	}
	if f.Error != "" {
		b.WriteString("\n  error: " + f.Error)
	}
	if f.State == "starting" {
		return b.String()
	}
	if f.Pump.State == pipeline.BlockedSink || f.Pump.State == pipeline.Retrying {
		fmt.Fprintf(&b, " (%s for %s: %s %s)", f.Pump.State, time.Since(f.Pump.Since).Round(time.Second), f.Pump.Reason, f.Pump.Error)
	}
	if f.Source.LagSeconds >= 0 {
		fmt.Fprintf(&b, ", %.0f s behind", f.Source.LagSeconds)
	}
	if f.Source.Waiting != "" {
		b.WriteString("\n  the snapshot waits: " + f.Source.Waiting)
	}
	for _, n := range f.Source.Namespaces {
		fmt.Fprintf(&b, "\n  %-30s %s", n.NS, n.text())
	}
	for _, r := range f.Source.Related {
		b.WriteString("\n  " + r.text())
	}
	c := f.Pump.Total
	fmt.Fprintf(&b, "\n  changes settled: %d (%d dead letters now open)", c.Sum(), f.DeadLetters)
	if f.SaveError != "" {
		b.WriteString("\n  the position is not saved: " + f.SaveError)
	}
	return b.String()
}

// Summary is the last line of finite work.
func (s Status) Summary() string {
	var b strings.Builder
	for i, f := range s.Flows {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s: %d documents copied, %d changes settled in %s", f.Name, f.Source.Settled,
			f.Pump.Total.Sum(), time.Since(s.Started).Round(100*time.Millisecond))
		if f.DeadLetters > 0 {
			fmt.Fprintf(&b, "; %d document(s) could not be written: see the dead letters", f.DeadLetters)
		}
	}
	return b.String()
}
