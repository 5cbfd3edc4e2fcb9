package testkit

import (
	"context"
	"testing"
	"time"
)

// Eventually calls check until it returns nil, first often, then every 200 ms,
// and fails the test with its last error when that does not happen within
// timeout. check is called at least once, from this goroutine.
func Eventually(t testing.TB, timeout time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	wait := 5 * time.Millisecond
	for {
		err := check()
		if err == nil {
			return
		}
		if pause(ctx, wait) != nil {
			t.Fatalf("not within %s: %v", timeout, err)
		}
		wait = min(2*wait, 200*time.Millisecond)
	}
}
