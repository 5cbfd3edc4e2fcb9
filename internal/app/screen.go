package app

import (
	"io"
	"sync"
)

// Screen is a terminal that shows log lines, and below them one line of
// progress that is drawn anew. Safe from several goroutines.
type Screen struct {
	mu   sync.Mutex
	w    io.Writer
	line string
}

// NewScreen returns a Screen on the terminal w.
func NewScreen(w io.Writer) *Screen { return &Screen{w: w} }

// clearLine goes to the start of the line and empties it (ECMA-48: CR, EL).
const clearLine = "\r\033[K"

// Write shows log lines above the progress.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" {
		return s.w.Write(p)
	}
	if _, err := io.WriteString(s.w, clearLine); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	if err == nil {
		_, err = io.WriteString(s.w, s.line)
	}
	return n, err
}

// Show replaces the line of progress; "" takes it away.
func (s *Screen) Show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line = line
	// A terminal that is gone is no reason to fail.
	_, _ = io.WriteString(s.w, clearLine+line)
}
