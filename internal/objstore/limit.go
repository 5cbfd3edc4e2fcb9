package objstore

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// LimitOptions bound what a store moves.
type LimitOptions struct {
	// BytesPerSecond is the most in each direction, over all calls together; 0 is
	// no limit.
	BytesPerSecond int64
}

// WithLimit keeps the bytes that go over the wire, or to the disk, below a rate.
// The hashing before an upload does not count, an upload that is repeated counts
// again. It slows the stores of this package only, in whatever wrappers.
func WithLimit(s Store, o LimitOptions) Store {
	if o.BytesPerSecond <= 0 {
		return s
	}
	return &limited{Store: s, limits: limits{up: newLimiter(o.BytesPerSecond), down: newLimiter(o.BytesPerSecond)}}
}

// limits travel with a call's context, because only the innermost store knows
// when bytes go over the wire.
type limits struct{ up, down *rate.Limiter }

type limitsKey struct{}

// newLimiter bursts for a twentieth of a second, and at least for a buffer.
func newLimiter(perSecond int64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond/20, 4<<10)))
}

type limited struct {
	Store
	limits limits
}

// Unwrap is for As.
func (l *limited) Unwrap() Store { return l.Store }

func (l *limited) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	return l.Store.Get(context.WithValue(ctx, limitsKey{}, l.limits), key, off, n)
}

func (l *limited) Put(ctx context.Context, key string, b Body, o PutOptions) (Info, error) {
	return l.Store.Put(context.WithValue(ctx, limitsKey{}, l.limits), key, b, o)
}

func limitUp(ctx context.Context, r io.Reader) io.Reader {
	l, _ := ctx.Value(limitsKey{}).(limits)
	return limitReader(ctx, r, l.up)
}

func limitDown(ctx context.Context, r io.Reader) io.Reader {
	l, _ := ctx.Value(limitsKey{}).(limits)
	return limitReader(ctx, r, l.down)
}

func limitReader(ctx context.Context, r io.Reader, l *rate.Limiter) io.Reader {
	if l == nil {
		return r
	}
	return &slowReader{ctx: ctx, r: r, limiter: l}
}

// slowReader pays for what it reads after it has read it.
type slowReader struct {
	ctx     context.Context
	r       io.Reader
	limiter *rate.Limiter
}

func (s *slowReader) Read(p []byte) (int, error) {
	if len(p) > s.limiter.Burst() {
		p = p[:s.limiter.Burst()]
	}
	n, err := s.r.Read(p)
	if n > 0 {
		if werr := s.limiter.WaitN(s.ctx, n); werr != nil && err == nil {
			err = werr
		}
	}
	return n, err
}
