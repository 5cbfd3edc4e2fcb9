package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// params is what a measured process is told.
type params struct {
	URI        string
	Namespaces []string
	State      string
	// Search is the engine's URL; empty: bodies are thrown away.
	Search string
	// N is how many changes end the work.
	N int64
	// After is the cluster time (T<<32|I) at which a raw stream starts.
	After uint64
	// Lookup asks a raw stream for updateLookup.
	Lookup bool
	// PID is the process of the engine, whose CPU is read beside ours.
	PID int
	// Once: end when the snapshot is settled.
	Once bool
}

// result is what a measured process prints, with what the kernel says of it.
type result struct {
	Docs    int64
	Seconds float64
	Bytes   int64
	// Engine is the engine's CPU seconds meanwhile.
	Engine float64
	// Queries is the number of re-read queries.
	Queries int64
	// Micros are single latencies.
	Micros []int64

	CPU    float64 `json:"-"`
	RSSMiB float64 `json:"-"`
}

// perDoc is CPU in microseconds per document.
func (r result) perDoc() float64 { return r.CPU * 1e6 / float64(max(1, r.Docs)) }

// rate is documents per second.
func (r result) rate() float64 { return float64(r.Docs) / r.Seconds }

type piece func(ctx context.Context, p params) (result, error)

func runChild(ctx context.Context, name, text string) int {
	pieces := map[string]piece{
		"raw-find": rawFind, "raw-stream": rawStream, "sluice-snapshot": sluiceSnapshot,
		"sluice-stream": sluiceStream, "loader": loader, "latency": latency, "bare-latency": bareLatency,
	}
	var p params
	err := json.Unmarshal([]byte(text), &p)
	var r result
	if err == nil {
		r, err = pieces[name](ctx, p)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}

// measure runs a piece in a process of its own.
func measure(ctx context.Context, name string, p params) (result, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return result{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", name, "-params", string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return result{}, fmt.Errorf("%s: %w", name, err)
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return result{}, fmt.Errorf("%s: %w", name, err)
	}
	r.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.RSSMiB = float64(u.Maxrss) / 1024
	}
	return r, nil
}

// best runs a piece a few times and keeps the run with the least CPU per
// document: what disturbs a run only ever adds.
func best(ctx context.Context, n int, name string, p params) (result, error) {
	var least result
	for i := range n {
		r, err := measure(ctx, name, p)
		if err != nil {
			return result{}, err
		}
		if i == 0 || r.perDoc() < least.perDoc() {
			least = r
		}
	}
	return least, nil
}

func since(t time.Time) float64 { return time.Since(t).Seconds() }
