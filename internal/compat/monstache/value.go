package monstache

import (
	"fmt"
	"strconv"
	"strings"
)

// Origin is where a value was given.
type Origin struct {
	// Flag is "-gzip"; Env the name of a variable, Path the file that it named.
	Flag, Env, Path string
	// File, Line and Col are a place in the TOML file.
	File      string
	Line, Col int
}

// String is the place as messages show it.
func (o Origin) String() string {
	switch {
	case o.Flag != "":
		return o.Flag
	case o.Path != "":
		return o.Env + " (" + o.Path + ")"
	case o.Env != "":
		return o.Env
	case o.Line > 0:
		return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Col)
	}
	return o.File
}

// Value is one value that was given.
type Value struct {
	Kind Kind
	Text string
	Int  int64
	On   bool
	List []string
	From Origin
}

// zero tells whether Monstache takes the value for none.
func (v Value) zero() bool { return v.Text == "" && v.Int == 0 && !v.On && len(v.List) == 0 }

// parse reads the text of a flag or of a variable.
func parse(kind Kind, s string) (Value, error) {
	v := Value{Kind: kind}
	var err error
	switch kind {
	case Boolean:
		if v.On, err = strconv.ParseBool(s); err != nil {
			return v, fmt.Errorf("wants true or false")
		}
	case Number:
		if v.Int, err = strconv.ParseInt(s, 0, 64); err != nil {
			return v, fmt.Errorf("wants a whole number")
		}
	case List:
		v.List = []string{s}
	default:
		v.Text = s
	}
	return v, nil
}

// values are what a layer, or a table, holds, by the key's name.
type values map[string]Value

// defaultOf is the value that Monstache takes when none is given.
func defaultOf(k Key) Value {
	if k.Default == "" {
		return Value{Kind: k.Kind}
	}
	v, err := parse(k.Kind, k.Default)
	if err != nil {
		panic("default of " + k.Name + ": " + err.Error()) // a fault of the table, that the tests find
	}
	return v
}

// Error is one message for the user, and the exit code that Monstache would have.
type Error struct {
	// Code is 1 for a configuration that can't be used, 2 for a wrong command line
	// and for what Monstache panics at.
	Code    int
	Message string
}

// Error is the message; it holds no secret.
func (e *Error) Error() string { return e.Message }

func fault(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// nearest returns the name that was probably meant, "" when none is close.
func nearest(got string, names []string) string {
	got = strings.ToLower(got)
	best, at := "", 1+max(1, len(got)/4)
	for _, name := range names {
		if d := distance(got, name); d < at {
			best, at = name, d
		}
	}
	return best
}

// distance is the number of letters to add, remove, change or swap.
func distance(a, b string) int {
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
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// didYouMean is the tail of a message about a name that does not exist.
func didYouMean(got string, names []string) string {
	if n := nearest(got, names); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}
