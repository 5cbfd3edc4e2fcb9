package script

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"

	"sluice/internal/flow"
)

// The clock of a machine looks after a call for the first time when it has lasted
// firstLook, and then again after each nextLook: most calls are over before.
const (
	firstLook = 5 * time.Millisecond
	nextLook  = 2 * time.Millisecond
)

// loadTimeout is how long a script may at least take when it is read.
const loadTimeout = 2 * time.Second

// machine is one runtime with one script in it. One goroutine uses it at a time.
type machine struct {
	*program
	rt   *goja.Runtime
	mode Mode
	fn   goja.Callable
	// encode runs inside the engine, where getters may throw.
	encode goja.Callable

	newDate, newRangeError goja.Constructor
	boxes                  map[boxKind]*goja.Object

	clock *time.Timer
	late  atomic.Bool
	mu    sync.Mutex
	// What follows is of the call that runs, guarded by mu.
	running  bool
	deadline time.Time
	// most is what the heap may be.
	most uint64

	// What follows is of the call that runs, and of its goroutine alone.
	ctx           context.Context
	ns            flow.Namespace
	nsText        goja.Value
	built         int64
	added, nested int
	capped        bool
	// down is set when MongoDB could not be asked: no fault of the document.
	down   error
	out    writer
	outErr error
}

// newMachine makes a runtime and reads the script into it.
func (p *program) newMachine() (*machine, error) {
	m := &machine{program: p, rt: goja.New(), mode: p.entry.Mode}
	m.rt.SetMaxCallStackSize(maxDepth)
	if err := m.furnish(); err != nil {
		return nil, err
	}
	m.clock = time.AfterFunc(time.Hour, m.look)
	m.clock.Stop()
	m.begin(max(m.timeout, loadTimeout))
	defer m.end()
	var exports goja.Value
	err := m.try(func() error {
		v, err := m.rt.RunProgram(p.compiled)
		if err != nil {
			return err
		}
		wrap, ok := goja.AssertFunction(v)
		if !ok {
			return errors.New("the script closes a bracket that it has not opened")
		}
		module := m.rt.NewObject()
		_ = module.Set("exports", m.rt.NewObject())
		if _, err = wrap(module.Get("exports"), module, module.Get("exports"), m.rt.Get("require")); err != nil {
			return err
		}
		exports = module.Get("exports")
		return nil
	})
	if err != nil {
		return nil, m.describe(err)
	}
	fn, ok := goja.AssertFunction(exports)
	if !ok {
		return nil, errors.New("module.exports is no function: write module.exports = function (doc, ns) { … }")
	}
	m.fn = fn
	encode, _ := goja.AssertFunction(m.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		o, _ := call.Argument(0).(*goja.Object)
		m.outErr = m.out.document(o)
		return goja.Undefined()
	}))
	m.encode = encode
	return m, nil
}

// furnish sets up what a script finds in its runtime.
func (m *machine) furnish() error {
	m.newDate, _ = goja.AssertConstructor(m.rt.Get("Date"))
	m.newRangeError, _ = goja.AssertConstructor(m.rt.Get("RangeError"))
	m.setConsole()
	m.setRequire()
	m.setTypes()
	if m.mode == Monstache {
		m.setTimes()
	}
	m.setFinders()
	return m.capNatives()
}

// begin starts the clock of a call that may take so long.
func (m *machine) begin(timeout time.Duration) {
	m.built, m.added, m.nested, m.capped = 0, 0, 0, false
	m.late.Store(false)
	now := time.Now()
	m.mu.Lock()
	m.running, m.deadline, m.most = true, now.Add(timeout), m.opts.heap.most(now)
	m.mu.Unlock()
	m.clock.Reset(min(firstLook, timeout))
}

// end stops it.
func (m *machine) end() {
	m.clock.Stop()
	m.mu.Lock()
	m.running = false
	m.mu.Unlock()
	m.rt.ClearInterrupt()
}

// look runs when a call lasts: it cuts one that is late, or that makes the memory grow.
func (m *machine) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running {
		return
	}
	left := time.Until(m.deadline)
	if left <= 0 {
		m.late.Store(true)
		m.rt.Interrupt(errLate)
		return
	}
	if _, all := heap(); all > m.most {
		m.late.Store(true)
		m.rt.Interrupt(errHeap)
		return
	}
	m.clock.Reset(min(nextLook, left))
}

// try calls f; a panic of the engine is an error, too.
func (m *machine) try(f func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("the engine failed: %v", x)
			m.capped = true // who knows what is left of it
		}
	}()
	return f()
}
