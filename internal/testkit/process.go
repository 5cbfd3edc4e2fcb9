package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// StartTimeout is how long a server may take to come up: generous, as several
// test binaries may start theirs at once on two cores.
const StartTimeout = 180 * time.Second

// stopTimeout is how long a server may take to end before it is killed.
const stopTimeout = 40 * time.Second

// command says how to run a server.
type command struct {
	path string
	args []string
	env  []string // added to ours
	dir  string
	log  string // file that gets stdout and stderr, appended
	// asNobody: run under the user and group 65534 (only when we are root).
	asNobody bool
	// kill ends what the process itself does not end when it is killed (a container).
	kill func()
}

// process is a running server. It has one goroutine, which ends with it.
type process struct {
	cmd  *exec.Cmd
	kill func()
	done chan struct{}
	err  error // of Wait; valid after done
}

// run starts c. The child dies with us: the kernel binds that to the thread
// that started it, so one goroutine keeps its thread for the child's life.
func run(c command) (*process, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = sysProcAttr(c.asNobody)
	p := &process{cmd: cmd, kill: c.kill, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = log.Close()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		signalGroup(cmd.Process, syscall.SIGKILL) // what it started itself
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	return p, nil
}

// exited tells whether the process has ended.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill ends the process group at once, and waits for it.
func (p *process) Kill() {
	if p.kill != nil {
		p.kill()
	}
	if !p.exited() {
		signalGroup(p.cmd.Process, syscall.SIGKILL)
	}
	<-p.done
}

// Stop asks the process to end, kills it if it does not, and waits for it.
func (p *process) Stop() error {
	if p.exited() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-p.done:
		return nil
	case <-t.C:
		p.Kill()
		return fmt.Errorf("%s did not end within %s: killed", p.cmd.Path, stopTimeout)
	}
}

// errExited says that a server ended before it was ready.
var errExited = errors.New("the server ended by itself")

// await polls ready until it returns nil, the process ends, or ctx is done;
// the error then tells the last failure.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if p.exited() {
			return errors.Join(errExited, p.err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not ready (%w): %w", context.Cause(ctx), err)
		}
		_ = pause(ctx, 50*time.Millisecond)
	}
}

// tail returns the last n bytes of a log file.
func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		b = b[len(b)-n:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return string(b)
}

// bindFailed tells from a log that the port was taken by somebody else.
func bindFailed(log string) bool {
	return strings.Contains(log, "Address already in use") || strings.Contains(log, "BindException") ||
		strings.Contains(log, "BindHttpException")
}

// PID is the process id.
func (p *process) PID() int { return p.cmd.Process.Pid }
