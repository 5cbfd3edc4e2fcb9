package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// plain writes records as Monstache does: one line each, level and time before
// the text, attributes behind it.
type plain struct {
	mu  *sync.Mutex // guards w
	w   io.Writer
	loc *time.Location
	// attrs is what was added already; prefix that of groups.
	attrs, prefix string
}

var _ slog.Handler = plain{}

func newPlain(w io.Writer, loc *time.Location) plain {
	return plain{mu: new(sync.Mutex), w: w, loc: loc}
}

// Enabled is true: what is written is decided before.
func (p plain) Enabled(context.Context, slog.Level) bool { return true }

// Handle writes a record.
func (p plain) Handle(_ context.Context, r slog.Record) error {
	b := append([]byte(levelName(r.Level)), ' ')
	b = r.Time.In(p.loc).AppendFormat(b, "2006/01/02 15:04:05 ")
	b = append(append(b, oneLine(r.Message)...), p.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, p.prefix, a)
		return true
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.w.Write(append(b, '\n'))
	return err
}

// WithAttrs returns a handler that adds attributes.
func (p plain) WithAttrs(all []slog.Attr) slog.Handler {
	b := []byte(p.attrs)
	for _, a := range all {
		b = appendAttr(b, p.prefix, a)
	}
	p.attrs = string(b)
	return p
}

// WithGroup returns a handler that puts the name before those of attributes.
func (p plain) WithGroup(name string) slog.Handler {
	if name != "" {
		p.prefix += name + "."
	}
	return p
}

// appendAttr appends an attribute as " name=value".
func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, one := range v.Group() {
			b = appendAttr(b, prefix, one)
		}
		return b
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	b = append(append(append(b, ' '), oneLine(prefix+a.Key)...), '=')
	text := valueText(v)
	if text == "" || strings.ContainsFunc(text, odd) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339)
	case slog.KindAny:
		if raw, ok := v.Any().([]byte); ok {
			return string(raw)
		}
		return fmt.Sprint(v.Any())
	}
	return v.String()
}

// odd tells whether a letter would make a value look like something else.
func odd(r rune) bool {
	return r == ' ' || r == '"' || r == '=' || r == unicode.ReplacementChar || !unicode.IsPrint(r)
}

// oneLine writes what is no letter as an escape, so that one record is one line
// whatever its text holds.
func oneLine(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
