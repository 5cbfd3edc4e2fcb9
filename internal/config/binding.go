package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// errValue says only that a text can't be the value; the message around it
// says what is wanted.
var errValue = errors.New("not a value of this type")

// expandable widens a schema: any scalar may be written as ${NAME}.
func expandable(s map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{s, map[string]any{"type": "string", "pattern": `\$\{`}}}
}

func text[T ~string](p *T) binding {
	return binding{
		typ: "text", want: "text", kinds: []nodeKind{nodeText, nodeInt, nodeFloat},
		schema: map[string]any{"type": []any{"string", "number"}},
		set:    func(s string) error { *p = T(s); return nil },
		show:   func() string { return plain(string(*p)) },
	}
}

// secret is text that is never shown.
func secret(p *Secret) binding {
	b := text(p)
	b.typ, b.secret = "secret", true
	b.show = func() string { return plain(p.String()) }
	return b
}

// connection is a secret of which the harmless parts are shown.
func connection(p *Secret) binding {
	b := secret(p)
	b.typ = "connection string"
	b.show = func() string { return quoted(redactURI(p.Reveal())) }
	return b
}

// choice is one of some words.
func choice[T ~string](p *T, allowed ...T) binding {
	b := text(p)
	b.typ = "choice"
	values := make([]any, 0, len(allowed)+1)
	for _, a := range allowed {
		b.allowed = append(b.allowed, string(a))
		values = append(values, string(a))
		if a == "null" {
			values = append(values, nil) // the word without quotes
		}
	}
	b.want = oneOf(b.allowed)
	b.schema = expandable(map[string]any{"enum": values})
	b.set = func(s string) error {
		for _, a := range allowed {
			if string(a) == s {
				*p = a
				return nil
			}
		}
		return errValue
	}
	return b
}

func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// number is a whole number from lo to hi.
func number(p *int, lo, hi int) binding {
	return binding{
		typ: "number", want: fmt.Sprintf("a whole number from %d to %d", lo, hi), kinds: []nodeKind{nodeInt},
		schema: expandable(map[string]any{"type": "integer", "minimum": lo, "maximum": hi}),
		set: func(s string) error {
			n, err := strconv.Atoi(s)
			if err != nil || n < lo || n > hi {
				return errValue
			}
			*p = n
			return nil
		},
		show: func() string { return strconv.Itoa(*p) },
	}
}

// rate is a number, whole or not, that isn't negative.
func rate(p *float64) binding {
	return binding{
		typ: "number", want: "a number from 0", kinds: []nodeKind{nodeInt, nodeFloat},
		schema: expandable(map[string]any{"type": "number", "minimum": 0}),
		set: func(s string) error {
			f, err := strconv.ParseFloat(s, 64)
			if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) {
				return errValue
			}
			*p = f
			return nil
		},
		show: func() string { return strconv.FormatFloat(*p, 'f', -1, 64) },
	}
}

func toggle(p *bool) binding {
	return binding{
		typ: "true or false", want: "true or false", kinds: []nodeKind{nodeBool},
		schema: expandable(map[string]any{"type": "boolean"}),
		set: func(s string) error {
			if s != "true" && s != "false" {
				return errValue
			}
			*p = s == "true"
			return nil
		},
		show: func() string { return strconv.FormatBool(*p) },
	}
}

// size is a number of bytes from lo to hi.
func size(p *Size, lo, hi Size) binding {
	return binding{
		typ: "size", want: fmt.Sprintf("a size from %s to %s, such as 2MB or 64MiB", lo, hi),
		kinds:  []nodeKind{nodeText, nodeInt},
		schema: map[string]any{"type": []any{"string", "integer"}, "pattern": `^[0-9.]+ ?([kKmMgG]?[iI]?[bB])?$|\$\{`},
		set: func(s string) error {
			v, err := ParseSize(s)
			if err != nil || v < lo || v > hi {
				return errValue
			}
			*p = v
			return nil
		},
		show: func() string { return p.String() },
	}
}

// duration is a length of time from lo to hi; 0 needs no unit.
func duration(p *time.Duration, lo, hi time.Duration) binding {
	return binding{
		typ: "duration", want: fmt.Sprintf("a duration from %s to %s with its unit, such as 30s, 5m or 1h30m", short(lo), short(hi)),
		kinds:  []nodeKind{nodeText, nodeInt},
		schema: map[string]any{"type": []any{"string", "integer"}, "pattern": `^([0-9.]+(ms|s|m|h))+$|^0$|\$\{`, "maximum": 0},
		set: func(s string) error {
			v, err := time.ParseDuration(s)
			if err != nil || v < lo || v > hi {
				return errValue
			}
			*p = v
			return nil
		},
		show: func() string { return short(*p) },
	}
}

// short writes a duration without the zeros at its end: 1h, not 1h0m0s.
func short(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
