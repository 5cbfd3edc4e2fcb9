package config

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one fault of a configuration.
type Error struct {
	// File, Line and Col are its place, from 1; Line 0: the file as a whole.
	File string
	Line int
	Col  int
	// Flag is set instead for what came from the command line: "--mongodb".
	Flag string
	// Message tells field, fault and cure. It holds no secret.
	Message string
}

// Error formats it as file:line:col: message.
func (e Error) Error() string {
	at := place{file: e.File, line: e.Line, col: e.Col, flag: e.Flag}.String()
	if at == "" {
		return e.Message
	}
	return at + ": " + e.Message
}

// Errors is everything that is wrong, in the order of the file. It is the
// type of every error that Load and FromFlags return.
type Errors []Error

// Error lists them, one per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by place and removes what was told twice.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return slices.Compact(e)
}

// place is where a value was written.
type place struct {
	file string
	line int
	col  int
	flag string
	// from is what it was expanded from: "env NAME", "file /path".
	from string
}

// String is the place alone: "file:line:col", or the flag.
func (p place) String() string {
	switch {
	case p.flag != "":
		return p.flag
	case p.line == 0:
		return p.file
	}
	return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.col)
}

// source is what Print says of a value from here.
func (p place) source() string {
	switch {
	case p.flag != "":
		return "flag " + p.flag
	case p.from != "":
		return p.from
	case p.line == 0:
		return "default"
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

func (p place) fault(format string, args ...any) Error {
	return Error{File: p.file, Line: p.line, Col: p.col, Flag: p.flag, Message: fmt.Sprintf(format, args...)}
}

// nearest returns the name that was probably meant, "" when none is close.
func nearest(got string, names []string) string {
	best, bestDist := "", 1+max(1, len(got)/3)
	for _, name := range names {
		if d := distance(strings.ToLower(got), name, bestDist); d < bestDist {
			best, bestDist = name, d
		}
	}
	return best
}

// distance is the number of letters to add, remove, change or swap; it gives
// up at limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

// didYouMean is the tail of a message about a name that doesn't exist.
func didYouMean(got string, names []string) string {
	if n := nearest(got, names); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return "; known here: " + strings.Join(names, ", ")
}
