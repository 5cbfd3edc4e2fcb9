//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/testkit"
)

// binary builds cmd/sluice once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", bin, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

// process is one run of the binary.
type process struct {
	cmd  *exec.Cmd
	addr string
	done chan struct{}
	err  error

	mu  sync.Mutex
	log bytes.Buffer
}

// Write collects standard error and output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs sluice with args and a free port to listen on.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{addr: freeAddr(t), done: make(chan struct{})}
	p.cmd = exec.Command(bin, append(args, "--listen", p.addr)...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("sluice %v\n%s", args, tail(p.output(), 6000))
		}
	})
	return p
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// kill ends the process at once, as a power cut would, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks it to drain and returns the exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.wait(t, 60*time.Second)
}

// wait returns the exit code when the process ends by itself.
func (p *process) wait(t *testing.T, timeout time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(timeout):
		t.Fatalf("sluice did not end within %s\n%s", timeout, tail(p.output(), 6000))
	}
	return p.cmd.ProcessState.ExitCode()
}

// status asks the process how it is doing.
func (p *process) status(ctx context.Context) (app.Status, error) {
	var raw json.RawMessage
	var st app.Status
	if err := call(ctx, "GET", "http://"+p.addr+"/status", "", &raw); err != nil {
		return st, err
	}
	return st, json.Unmarshal(raw, &st)
}

// eventually polls cond, and fails at once when the process is gone.
func (p *process) eventually(t *testing.T, timeout time.Duration, cond func() error) {
	t.Helper()
	testkit.Eventually(t, timeout, func() error {
		select {
		case <-p.done:
			t.Fatalf("sluice ended: %v\n%s", p.err, tail(p.output(), 6000))
		default:
		}
		return cond()
	})
}
