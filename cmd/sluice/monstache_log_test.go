package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

// TestErrorsAreCounted: whatever a logger is made into, its errors count, and they
// alone.
func TestErrorsAreCounted(t *testing.T) {
	var out bytes.Buffer
	var n atomic.Int64
	h := hooks{
		wrap:  func(h slog.Handler) slog.Handler { return errorCount{h, &n} },
		begin: func(l *slog.Logger) { l.Warn("first") },
	}
	l := h.apply(slog.New(slog.NewTextHandler(&out, nil)))
	l.Error("a")
	l.With("k", 1).WithGroup("g").Error("b", "x", 2)
	l.Warn("c")
	if got := out.String(); n.Load() != 2 || strings.Count(got, "\n") != 4 || !strings.Contains(got, "msg=first") || !strings.Contains(got, "k=1 g.x=2") {
		t.Errorf("%d errors in\n%s", n.Load(), got)
	}
	if code := exitCode(errTold); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}
