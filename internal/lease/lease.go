package lease

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/flow"
)

// DefaultTTL is for how long an owner may go without a beat.
const DefaultTTL = 30 * time.Second

// Options say which lease is wanted, and by whom.
type Options struct {
	Store Store
	Name  string
	// Owner names the process. Each taking adds a text of its own to it, so two
	// takings by one process are two owners.
	Owner string
	// TTL is DefaultTTL if it is zero.
	TTL    time.Duration
	Logger *slog.Logger
	// Clock is one that goes on while the machine is suspended, from any start;
	// nil is that of the system. It is there for tests.
	Clock func() time.Duration
}

func (o *Options) fill() {
	if o.TTL <= 0 {
		o.TTL = DefaultTTL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = systemClock()
	}
	var b [8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	o.Owner += "/" + hex.EncodeToString(b[:])
}

// Lease is one that we hold, or held. It is safe from several goroutines. One
// goroutine renews it until Release.
type Lease struct {
	o     Options
	ctx   context.Context
	lose  context.CancelCauseFunc
	stop  context.CancelFunc
	ended chan struct{}

	mu    sync.Mutex
	row   Row
	until time.Duration // on o.Clock; from before the request that was granted
}

// margin of the TTL that an owner does not use, for clocks that run at
// different speeds.
const margin = 20

// hold starts to renew row, which was asked for when the clock said sent.
func hold(ctx context.Context, o Options, row Row, sent time.Duration) *Lease {
	l := &Lease{o: o, row: row, until: sent + o.TTL - o.TTL/margin, ended: make(chan struct{})}
	// Neither ends with ctx: what was begun under the lease is ended under it.
	base := context.WithoutCancel(ctx)
	l.ctx, l.lose = context.WithCancelCause(base)
	renewing, stop := context.WithCancel(base)
	l.stop = stop
	go l.renew(renewing)
	return l
}

// Fence returns who holds the lease, and under which number.
func (l *Lease) Fence() (owner string, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.row.Owner, l.row.Fence
}

// Name returns which lease it is.
func (l *Lease) Name() string { return l.o.Name }

// Context ends when the lease is lost or released; context.Cause tells ErrLost.
// It does not end with the context that was given to Acquire.
func (l *Lease) Context() context.Context { return l.ctx }

// Bind returns a child of ctx that also ends when the lease is lost or released.
func (l *Lease) Bind(ctx context.Context) (context.Context, context.CancelFunc) {
	child, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })
	return child, func() { stop(); cancel(nil) }
}

// Check returns nil if the lease is ours for at least need from now on, by a
// clock that goes on while the machine or the process is suspended. Else it is
// an error that wraps ErrLost. It is to be asked before each step that can do
// harm.
func (l *Lease) Check(need time.Duration) error {
	if l.ctx.Err() != nil {
		return l.fault("hold lease", context.Cause(l.ctx))
	}
	left := l.left()
	if left <= 0 {
		l.lose(ErrLost)
	}
	if left < need || left <= 0 {
		return l.fault("hold lease", fmt.Errorf("%w: %v are left, %v are needed", ErrLost, left, need))
	}
	return nil
}

// Release gives the lease back, so that the next owner need not wait. Without
// it, or after an error of it, others wait for the TTL. It may be called again,
// and after a loss.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.ended
	select {
	case <-l.ctx.Done(): // it was lost, or given back before
		return nil
	default:
	}
	l.lose(fmt.Errorf("%w: it was given back", ErrLost))
	for try := 0; ; try++ {
		l.mu.Lock()
		old := l.row
		l.mu.Unlock()
		next := old
		next.Owner, next.Beat = "", old.Beat+1
		err := l.o.Store.Save(ctx, old, next)
		if err == nil {
			return nil
		}
		if try == 10 || !errors.Is(err, ErrConflict) {
			return l.fault("release lease", err)
		}
		if ours, err := l.reload(ctx); err != nil || !ours {
			return err
		}
	}
}

func (l *Lease) left() time.Duration {
	now := l.o.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until - now
}

// reload tells whether the stored row is still ours; what else was beating
// under it (a delete transaction) has moved its beat.
func (l *Lease) reload(ctx context.Context) (ours bool, err error) {
	row, err := l.o.Store.Load(ctx, l.o.Name)
	if err != nil {
		return false, l.fault("load lease", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if row.Owner != l.row.Owner || row.Fence != l.row.Fence {
		return false, nil
	}
	l.row = row
	return true, nil
}

func (l *Lease) fault(op string, err error) error { return fault(op, l.o.Name, err) }

func fault(op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &flow.Error{Op: op, Object: name, Err: err, Class: flow.ClassOf(err)}
	if errors.Is(err, ErrLost) || errors.Is(err, ErrConflict) {
		e.Class = flow.Conflict
		e.Hint = "another process works on it, or this one was suspended; what was begun is finished by whoever holds the lease"
	}
	return e
}
