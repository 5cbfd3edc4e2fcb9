package checkpoint

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"sluice/internal/flow"
)

// KeeperOptions say what a Keeper keeps, and where.
type KeeperOptions struct {
	// Store is where the state lies. Required.
	Store Store
	// Flow is the name that the state must carry. Required.
	Flow string
	// Owner tells people who took a state over; "" means host and process id.
	Owner string
	// Timeout ends one load or save; 0 means 15 s.
	Timeout time.Duration
	// Grace is how long the last save of Run is tried; 0 means 10 s.
	Grace time.Duration
	// Logger is nil for none.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Keeper saves the state of one flow and makes sure that it is the only one to
// do so: each Acquire raises the fence, and who holds a lower one gets
// ErrConflict at the next save. Safe from several goroutines after Acquire.
type Keeper struct {
	o     KeeperOptions
	log   *slog.Logger
	owner string

	mu    sync.Mutex
	rev   string
	fence int64
	data  []byte
	// soon asks for a save before its time, and saved hears of each; both nil
	// without Hasten.
	soon  <-chan struct{}
	saved func()
	// unsure: a save ended without an answer, so what is stored must be looked at.
	unsure bool

	health sync.Mutex
	err    error
	last   time.Time
	report time.Time
}

// reportEvery is the pause between two log lines of a failure that goes on.
const reportEvery = time.Minute

// NewKeeper returns a Keeper that has not acquired anything yet.
func NewKeeper(o KeeperOptions) *Keeper {
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	o.Grace = cmp.Or(o.Grace, 10*time.Second)
	if o.Owner == "" {
		host, _ := os.Hostname()
		o.Owner = fmt.Sprintf("%s, process %d", cmp.Or(host, "unknown host"), os.Getpid())
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	// The random part tells two lives of one process id apart.
	return &Keeper{o: o, owner: o.Owner + ", " + rand.Text()[:8], log: o.Logger.With(flow.LogFlow, o.Flow)}
}

// Hasten lets Run also save when soon brings a value, and call saved, from its
// goroutine, when what collect returned last is stored. Called before Run.
func (k *Keeper) Hasten(soon <-chan struct{}, saved func()) { k.soon, k.saved = soon, saved }

// Acquire loads the state and takes it over from whoever had it, by raising the
// fence; called once, before Run and Save. Without a stored state it returns
// one that holds only the flow's name. A state of another flow is refused with
// class Config, one of a newer sluice with class Fatal.
func (k *Keeper) Acquire(ctx context.Context) (State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for try := 0; ; try++ {
		s, err := k.acquire(ctx)
		// Another one acquires at the same time: who comes last has it.
		if !errors.Is(err, ErrConflict) || try == 5 {
			return s, err
		}
	}
}

func (k *Keeper) acquire(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, k.o.Timeout)
	defer cancel()
	rec, err := k.o.Store.Load(ctx)
	if err != nil {
		return State{}, err
	}
	s, err := DecodeState(rec.Data)
	if err != nil {
		return State{}, err
	}
	if s.Flow != "" && s.Flow != k.o.Flow {
		return State{}, &flow.Error{
			Op: "read the saved state", Object: k.o.Flow, Class: flow.Config,
			Err:  fmt.Errorf("it belongs to the flow %q", s.Flow),
			Hint: "give each flow a state path of its own, or name this flow " + s.Flow + " again",
		}
	}
	s.Flow = k.o.Flow
	k.fence = rec.Fence + 1
	data, err := k.encode(&s)
	if err != nil {
		return State{}, err
	}
	return s, k.put(ctx, rec.Rev, data)
}

// Save saves s now, unless it is what is stored already. Format, Flow and Owner
// are set by the Keeper. ErrConflict (class Conflict) is final: stop working.
// After any other error the older state holds, and saving again is right.
func (k *Keeper) Save(ctx context.Context, s State) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	data, err := k.encode(&s)
	if err != nil || !k.unsure && bytes.Equal(data, k.data) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, k.o.Timeout)
	defer cancel()
	if k.unsure {
		if err := k.reconcile(ctx); err != nil {
			return err
		}
	}
	err = k.put(ctx, k.rev, data)
	if errors.Is(err, ErrConflict) {
		// It may be our own write: sent again below us after a lost answer.
		if err := k.reconcile(ctx); err != nil {
			return err
		}
		return k.put(ctx, k.rev, data)
	}
	return err
}

// put saves with our fence and takes note of what came of it.
func (k *Keeper) put(ctx context.Context, rev string, data []byte) error {
	rec, err := k.o.Store.Save(ctx, Record{Rev: rev, Fence: k.fence, Data: data})
	if err != nil {
		k.unsure = !errors.Is(err, ErrConflict)
		return err
	}
	k.rev, k.data, k.unsure = rec.Rev, data, false
	return nil
}

// reconcile learns what is stored after a save whose outcome is unknown.
func (k *Keeper) reconcile(ctx context.Context) error {
	rec, err := k.o.Store.Load(ctx)
	if err != nil {
		k.unsure = true
		return err
	}
	var who struct {
		Owner string `json:"owner"`
	}
	// What can't be read was not written by us: no owner.
	_ = json.Unmarshal(rec.Data, &who)
	if rec.Fence == k.fence && who.Owner == k.owner {
		k.rev, k.data, k.unsure = rec.Rev, rec.Data, false
		return nil
	}
	cause := fmt.Errorf("another sluice took over (%s): %w", cmp.Or(who.Owner, "unknown"), ErrConflict)
	if rec.Rev == "" {
		cause = fmt.Errorf("the saved state was removed while this sluice was running: %w", ErrConflict)
	}
	return &flow.Error{
		Op: "save the state of flow", Object: k.o.Flow, Class: flow.Conflict, Err: cause,
		Hint: "let one sluice work on a flow: end the other one, or give this one another flow name and state path",
	}
}

func (k *Keeper) encode(s *State) ([]byte, error) {
	s.Format, s.Flow, s.Owner = StateFormat, k.o.Flow, k.owner
	return s.Encode()
}

// Run saves what collect returns every so often, when it has changed, until ctx
// is done; then it saves once more, and the failure of that is its result. A
// save that fails is reported and tried again for ever, for nothing is lost by
// it; only ErrConflict and errors of class Fatal or Config end Run early.
// collect is called from Run's goroutine only.
func (k *Keeper) Run(ctx context.Context, every time.Duration, collect func() State) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return k.final(context.WithoutCancel(ctx), collect())
		case <-tick.C:
		case <-k.soon:
		}
		err := k.Save(ctx, collect())
		if err == nil && k.saved != nil {
			k.saved()
		}
		if ctx.Err() != nil {
			continue
		}
		if hopeless(err) {
			_ = k.settleHealth(err)
			return err
		}
		k.observe(err)
	}
}

// final saves for the last time, with a few tries within the grace.
func (k *Keeper) final(ctx context.Context, s State) error {
	ctx, cancel := context.WithTimeout(ctx, k.o.Grace)
	defer cancel()
	for pause := 250 * time.Millisecond; ; pause *= 2 {
		err := k.Save(ctx, s)
		_ = k.settleHealth(err)
		if err == nil || hopeless(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// hopeless tells whether trying the same save again can't help.
func hopeless(err error) bool {
	switch flow.ClassOf(err) {
	case flow.Conflict, flow.Fatal, flow.Config:
		return true
	}
	return errors.Is(err, ErrConflict)
}

// observe takes note of a save, and tells of a failure once a minute and of its end.
func (k *Keeper) observe(err error) {
	before := k.settleHealth(err)
	switch {
	case err == nil && before != nil:
		k.log.Info("state is saved again")
	case err != nil && time.Since(k.report) >= reportEvery:
		k.report = time.Now()
		k.log.Warn("state not saved; work goes on, nothing is lost, it is tried again", flow.LogErr, err)
	}
	if err == nil {
		k.report = time.Time{}
	}
}

func (k *Keeper) settleHealth(err error) (before error) {
	k.health.Lock()
	defer k.health.Unlock()
	before, k.err = k.err, err
	if err != nil {
		k.o.Metrics.failed(k.o.Flow)
		return before
	}
	k.last = time.Now()
	k.o.Metrics.saved(k.o.Flow, k.last)
	return before
}

// Err returns the failure of Run's latest save, nil after one that succeeded:
// while there is one, the flow is not ready. Safe from any goroutine.
func (k *Keeper) Err() error {
	k.health.Lock()
	defer k.health.Unlock()
	return k.err
}

// Saved returns when Run last knew the state to be saved and current, zero
// before. Safe from any goroutine.
func (k *Keeper) Saved() time.Time {
	k.health.Lock()
	defer k.health.Unlock()
	return k.last
}
