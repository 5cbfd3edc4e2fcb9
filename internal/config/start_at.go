package config

import (
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// StartAt is where a stream starts; the zero value is now.
type StartAt struct {
	// Earliest: at the first entry of the oplog.
	Earliest bool
	// Time is a cluster time, inclusive.
	Time bson.Timestamp
}

// earliest is the word for the first entry of the oplog.
const earliest = "earliest"

// startAt binds a cluster time: a time, a number, or a map.
func startAt(p *StartAt) binding {
	want := "a time such as 2026-01-31T12:00:00Z, a cluster time such as {t: 1769860800, i: 1}, the same as one number, or earliest"
	return binding{
		typ: "cluster time",
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": []any{"string", "integer"}},
			map[string]any{
				"type": "object", "required": []any{"t"}, "additionalProperties": false,
				"properties": map[string]any{"t": map[string]any{"type": []any{"integer", "string"}}, "i": map[string]any{"type": []any{"integer", "string"}}},
			},
		}},
		decode: func(d *decoder, path string, n *node) {
			if n.kind != nodeMapping {
				d.scalar(path, binding{want: want, kinds: []nodeKind{nodeText, nodeInt}, set: p.parse}, n)
				return
			}
			if n.find("t") == nil {
				d.fail(n.at, path, "wants %s; t is missing", want)
				return
			}
			p.Time.I = 1
			d.section(path, []field{
				{Name: "t", Into: uint32At(&p.Time.T, 1)},
				{Name: "i", Into: uint32At(&p.Time.I, 0)},
			}, n, n.at)
		},
		show: func() string {
			switch {
			case p.Earliest:
				return earliest
			case p.Time.IsZero():
				return ""
			}
			return fmt.Sprintf("{t: %d, i: %d}", p.Time.T, p.Time.I)
		},
	}
}

// parse reads a time as text: RFC 3339, a number, or the word earliest.
func (s *StartAt) parse(text string) error {
	if text == earliest {
		*s = StartAt{Earliest: true}
		return nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		if u := t.Unix(); u < 1 || u > 1<<32-1 {
			return errValue
		}
		*s = StartAt{Time: bson.Timestamp{T: uint32(t.Unix())}}
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return errValue
	}
	if n < 1<<31 {
		n <<= 32
	}
	*s = StartAt{Time: bson.Timestamp{T: uint32(n >> 32), I: uint32(n)}}
	if s.Time.T == 0 {
		return errValue
	}
	return nil
}

// uint32At is a whole number of a cluster time.
func uint32At(p *uint32, lo uint32) binding {
	return binding{
		typ: "number", want: fmt.Sprintf("a whole number from %d to %d", lo, uint32(1<<32-1)), kinds: []nodeKind{nodeInt},
		set: func(s string) error {
			n, err := strconv.ParseUint(s, 10, 32)
			if err != nil || uint32(n) < lo {
				return errValue
			}
			*p = uint32(n)
			return nil
		},
	}
}
