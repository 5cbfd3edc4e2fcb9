package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

// params is what a measured process is told.
type params struct {
	URI        string
	Namespaces []string
	// State is the folder of the flow's position.
	State string
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
	// Once: end by itself when the snapshot is final.
	Once bool
	// Unjournaled: single writes ask for w:1 instead of the server's default.
	Unjournaled bool
	// Profile is a folder for profiles; empty: none.
	Profile string
}

// result is what a measured process prints, with what the kernel says of it.
type result struct {
	// Docs were settled in Seconds; Bytes is what was read or sent for them,
	// where the piece knows.
	Docs    int64
	Seconds float64
	Bytes   int64
	// Engine is the engine's CPU seconds meanwhile.
	Engine float64
	// Queries is the number of re-read queries, Stream that of settled changes
	// which were not of a snapshot.
	Queries, Stream int64
	// Micros are single latencies through sluice, Bare those of the bare calls.
	Micros, Bare []int64
	// Phases are the parts of a run; they may overlap.
	Phases []phase
	// RSSMiB is the peak of resident memory.
	RSSMiB float64

	CPU float64 `json:"-"`
}

// perDoc is CPU in microseconds per document.
func (r result) perDoc() float64 { return r.CPU * 1e6 / float64(max(1, r.Docs)) }

// enginePerDoc is the engine's CPU in microseconds per document.
func (r result) enginePerDoc() float64 { return r.Engine * 1e6 / float64(max(1, r.Docs)) }

// rate is documents per second.
func (r result) rate() float64 { return float64(r.Docs) / max(r.Seconds, 1e-9) }

// piece is work that is measured in a process of its own.
type piece func(ctx context.Context, p params) (result, error)

func pieces() map[string]piece {
	return map[string]piece{
		"raw-find": rawFind, "raw-stream": rawStream, "loader": loader,
		"sluice-snapshot": sluiceSnapshot, "sluice-stream": sluiceStream, "latency": latency,
		"delete-one": deleteOne, "sluice-delete": sluiceDelete, "insert-many": insertMany, "sluice-restore": sluiceRestore,
		"go-chive": goChive, "sluice-archive": sluiceArchive, "insert-old": insertOld, "sluice-restore-archive": sluiceRestoreArchive,
	}
}

func runChild(ctx context.Context, name, text string) int {
	var p params
	var r result
	err := json.Unmarshal([]byte(text), &p)
	if f := pieces()[name]; err == nil && f != nil {
		var done func() error
		if done, err = profiled(p.Profile, name); err == nil {
			r, err = f(ctx, p)
			err = errors.Join(err, done())
		}
	}
	if err == nil {
		r.RSSMiB = peakMiB()
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}

// profiled starts a CPU profile; the function ends it and writes one of the heap.
func profiled(dir, name string) (func() error, error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	base := filepath.Join(dir, fmt.Sprintf("%s-%d", name, os.Getpid()))
	cpu, err := os.Create(base + ".cpu")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		heap, err := os.Create(base + ".heap")
		if err != nil {
			return err
		}
		runtime.GC()
		return errors.Join(pprof.WriteHeapProfile(heap), heap.Close(), cpu.Close())
	}, nil
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
	return r, nil
}

func since(t time.Time) float64 { return time.Since(t).Seconds() }
