package objstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"sluice/internal/flow"
)

// RetryOptions bound the tries of one call. Zero values are the defaults.
type RetryOptions struct {
	// Attempts is the number of tries in all; 5.
	Attempts int
	// First is the longest pause after the first failure, which doubles up to
	// Max; 500 ms and 30 s. Each pause is a random part, at least half, of it.
	First, Max time.Duration
}

// WithRetry repeats what failed for a passing reason (flow.Transient), and
// nothing else. A Put may have happened in spite of its error: when a later try
// finds an object of the same size and SHA-256, it was ours. A Get goes on from
// where its connection broke, a List from its last key.
func WithRetry(s Store, o RetryOptions) Store {
	if o.Attempts <= 0 {
		o.Attempts = 5
	}
	if o.First <= 0 {
		o.First = 500 * time.Millisecond
	}
	if o.Max <= 0 {
		o.Max = 30 * time.Second
	}
	return &retrying{store: s, o: o}
}

type retrying struct {
	store Store
	o     RetryOptions
}

// Unwrap is for As.
func (r *retrying) Unwrap() Store { return r.store }

// pause waits before try number i (from 1); false when ctx ends.
func (r *retrying) pause(ctx context.Context, i int) bool {
	d := r.o.First
	for range i - 1 {
		d = min(2*d, r.o.Max)
	}
	d = min(d, r.o.Max)
	d = d/2 + rand.N(d/2+1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// passing tells whether another try is worth its pause, and takes the pause.
func (r *retrying) passing(ctx context.Context, err error, tried int) bool {
	return flow.ClassOf(err) == flow.Transient && tried < r.o.Attempts && r.pause(ctx, tried)
}

func (r *retrying) Put(ctx context.Context, key string, b Body, o PutOptions) (Info, error) {
	for tried := 1; ; tried++ {
		info, err := r.store.Put(ctx, key, b, o)
		if errors.Is(err, ErrExists) && tried > 1 {
			return r.mine(ctx, key, b, o, err)
		}
		if err == nil || !r.passing(ctx, err, tried) {
			return info, err
		}
	}
}

// mine tells our own object, stored by a try whose answer was lost, from
// somebody else's.
func (r *retrying) mine(ctx context.Context, key string, b Body, o PutOptions, exists error) (Info, error) {
	info, err := r.Head(ctx, key)
	if err != nil {
		return Info{}, err
	}
	d := digest{sha: o.SHA256}
	if d.sha == [32]byte{} {
		if d, err = readDigest(ctx, b, max(b.Size(), 1)); err != nil {
			return Info{}, err
		}
	}
	if info.Size != b.Size() || info.SHA256 != d.hex() {
		return Info{}, exists
	}
	return info, nil
}

func (r *retrying) Delete(ctx context.Context, key string) error {
	for tried := 1; ; tried++ {
		err := r.store.Delete(ctx, key)
		if err == nil || !r.passing(ctx, err, tried) {
			return err
		}
	}
}

func (r *retrying) Head(ctx context.Context, key string) (Info, error) {
	for tried := 1; ; tried++ {
		info, err := r.store.Head(ctx, key)
		if err == nil || !r.passing(ctx, err, tried) {
			return info, err
		}
	}
}

func (r *retrying) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	g := &resuming{ctx: ctx, r: r, key: key, off: off, n: n}
	if err := g.open(); err != nil {
		return nil, err
	}
	return g, nil
}

// resuming is a reader that opens the rest of the range again after a break.
// The tries are those of the whole reader, and start anew when bytes have come.
type resuming struct {
	ctx    context.Context
	r      *retrying
	key    string
	off, n int64
	tried  int
	body   io.ReadCloser
}

func (g *resuming) open() error {
	for {
		g.tried++
		body, err := g.r.store.Get(g.ctx, g.key, g.off, g.n)
		if err == nil {
			g.body = body
			return nil
		}
		if !g.r.passing(g.ctx, err, g.tried) {
			return err
		}
	}
}

func (g *resuming) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	g.off += int64(n)
	if g.n >= 0 {
		g.n -= int64(n)
	}
	if n > 0 {
		g.tried = 0
	}
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	// The first break costs a pause too: tried counts the failure that was just seen.
	g.tried = max(g.tried, 1)
	if !g.r.passing(g.ctx, err, g.tried) {
		return n, err
	}
	_ = g.body.Close()
	g.body = io.NopCloser(eof{})
	if g.n == 0 { // all of the range had come before the break
		return n, io.EOF
	}
	return n, g.open()
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (g *resuming) Close() error { return g.body.Close() }

func (r *retrying) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		last, tried := "", 0
		for {
			tried++
			var failed error
			for info, err := range r.store.List(ctx, prefix) {
				if err != nil {
					failed = err
					break
				}
				if last != "" && info.Key <= last {
					continue
				}
				if !yield(info, nil) {
					return
				}
				last, tried = info.Key, 1
			}
			if failed == nil {
				return
			}
			if !r.passing(ctx, failed, tried) {
				yield(Info{}, failed)
				return
			}
		}
	}
}
