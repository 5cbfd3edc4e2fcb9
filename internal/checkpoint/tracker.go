package checkpoint

import "sync"

// Tracker finds the low watermark of positions that are settled in any order:
// the last one with nothing open at or below it (rule S3). The zero value is
// ready. Each operation takes O(1); memory grows with what is open only.
type Tracker[T any] struct {
	mu      sync.Mutex
	tail    *mark[T]
	open    int
	low     T
	settled bool
}

// mark is an open position. A settled one hands its position to the open one
// before it, so that the list holds open ones only.
type mark[T any] struct {
	pos        T
	prev, next *mark[T]
	done       bool
}

// Add appends pos, which comes after all added before, and returns what
// settles it. Add is called from one goroutine, so that the order is certain;
// settle from any, and a second call of it does nothing.
func (t *Tracker[T]) Add(pos T) (settle func()) {
	m := &mark[T]{pos: pos}
	t.mu.Lock()
	defer t.mu.Unlock()
	m.prev = t.tail
	if m.prev != nil {
		m.prev.next = m
	}
	t.tail = m
	t.open++
	return func() { t.settle(m) }
}

func (t *Tracker[T]) settle(m *mark[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.done {
		return
	}
	m.done = true
	t.open--
	if m.prev == nil {
		t.low, t.settled = m.pos, true
	} else {
		m.prev.pos, m.prev.next = m.pos, m.next
	}
	if m.next == nil {
		t.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	// The caller may keep settle for long; it must not keep the others alive.
	var none T
	m.pos, m.prev, m.next = none, nil, nil
}

// Low returns the last position of the contiguous settled prefix; false while
// the first one added is open still. Safe from any goroutine.
func (t *Tracker[T]) Low() (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.low, t.settled
}

// Pending returns how many positions are open. Safe from any goroutine.
func (t *Tracker[T]) Pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}
