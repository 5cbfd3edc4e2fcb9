package catalogue

import (
	"context"
	"iter"
	"sync"
)

// ordered calls f for each of all, at most n at once, and yields the results in
// order. Every goroutine has ended when it returns, also if yield ends it.
func ordered[T, R any](ctx context.Context, n int, all []T, f func(context.Context, T) (R, error)) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		type result struct {
			r   R
			err error
		}
		ctx, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		slots := make([]chan result, 0, n)
		start := func(t T) {
			c := make(chan result, 1)
			slots = append(slots, c)
			group.Go(func() {
				r, err := f(ctx, t)
				c <- result{r, err}
			})
		}
		for i := 0; i < len(all) || len(slots) > 0; {
			for ; i < len(all) && len(slots) < n; i++ {
				start(all[i])
			}
			got := <-slots[0]
			slots = slots[1:]
			if !yield(got.r, got.err) {
				return
			}
		}
	}
}
