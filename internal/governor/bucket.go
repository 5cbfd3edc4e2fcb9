package governor

import "time"

// bucket is a token bucket that may be in debt: what is taken is paid for by
// who comes next, so that nothing is ever too large for it.
type bucket struct {
	tokens float64
	last   time.Time
}

// fill adds what rate (per second; 0 is no bound) has given since the last
// time. At most half a second's worth is kept.
func (b *bucket) fill(now time.Time, rate float64) {
	if rate <= 0 {
		b.tokens, b.last = 0, now
		return
	}
	if !b.last.IsZero() {
		b.tokens += now.Sub(b.last).Seconds() * rate
	}
	b.tokens = min(b.tokens, rate/2)
	b.last = now
}

// short returns how long it takes until the debt is paid.
func (b *bucket) short(rate float64) time.Duration {
	if rate <= 0 || b.tokens >= 0 {
		return 0
	}
	return max(time.Duration(-b.tokens/rate*float64(time.Second)), time.Millisecond)
}

func (b *bucket) take(n float64) { b.tokens -= n }
