package config

import (
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ageSchema is that of ages and of durations that may be days.
func ageSchema() map[string]any {
	return map[string]any{"type": []any{"string", "integer"}, "pattern": `^([0-9]+(y|mo|w|d|h|min|s))+$|^P[0-9YMWDTHS]+$|^0$|\$\{`, "maximum": 0}
}

// age is an Age that is not zero.
func age(p *Age) binding {
	return binding{
		typ: "age", want: "an age with its unit, such as 92d, 6mo, 1y, 36h, 2w or P1Y6M (mo is a month, min a minute)",
		kinds: []nodeKind{nodeText, nodeInt}, schema: ageSchema(),
		set: func(s string) error {
			a, err := ParseAge(s)
			if err != nil {
				return errValue
			}
			*p = a
			return nil
		},
		show: func() string {
			if *p == (Age{}) {
				return ""
			}
			return p.String()
		},
	}
}

// days is a length of time to hi, in units up to weeks; 0 needs no unit.
func days(p *time.Duration, hi time.Duration) binding {
	return binding{
		typ: "days", want: fmt.Sprintf("a length of time from 0 to %s with its unit, such as 7d, 36h or 2w (not months or years, which differ in length)", Age{Fixed: hi}),
		kinds: []nodeKind{nodeText, nodeInt}, schema: ageSchema(),
		set: func(s string) error {
			if s == "0" {
				*p = 0
				return nil
			}
			a, err := ParseAge(s)
			if err != nil || a.Calendar() || a.Fixed > hi {
				return errValue
			}
			*p = a.Fixed
			return nil
		},
		show: func() string { return Age{Fixed: *p}.String() },
	}
}

// count is a number to hi that is absent when it is 0.
func count(p *int, hi int) binding {
	b := number(p, 1, hi)
	show := b.show
	b.show = func() string {
		if *p == 0 {
			return ""
		}
		return show()
	}
	return b
}

// share is a number from 0 to 1.
func share(p *float64) binding {
	b := rate(p)
	b.want = "a number from 0 to 1"
	b.schema = expandable(map[string]any{"type": "number", "minimum": 0, "maximum": 1})
	set := b.set
	b.set = func(s string) error {
		if f, err := strconv.ParseFloat(s, 64); err != nil || f > 1 {
			return errValue
		}
		return set(s)
	}
	return b
}

// floorWord stands for no floor at all.
const floorWord = "none"

// floor is a date, or none.
func floor(p *Floor) binding {
	return binding{
		typ: "date or `none`", want: "a date such as 1990-01-01 or 1990-01-01T00:00:00Z, or none",
		kinds:  []nodeKind{nodeText},
		schema: map[string]any{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$|^none$|\$\{`},
		set: func(s string) error {
			if s == floorWord {
				*p = Floor{None: true}
				return nil
			}
			for _, layout := range []string{time.DateOnly, time.RFC3339} {
				if t, err := time.Parse(layout, s); err == nil {
					*p = Floor{At: t.UTC()}
					return nil
				}
			}
			return errValue
		},
		show: func() string {
			switch {
			case p.None:
				return floorWord
			case p.At.IsZero():
				return ""
			}
			return quoted(p.At.Format(time.RFC3339Nano))
		},
	}
}

// query binds one query of MongoDB, as YAML or as text.
func query(p *Query) binding {
	return binding{
		typ:    "query",
		schema: map[string]any{"type": []any{"object", "string"}},
		decode: func(d *decoder, path string, n *node) {
			if raw, text, ok := d.query(path, n); ok {
				*p = Query{BSON: raw, text: text}
			}
		},
		show: func() string {
			if p.BSON == nil {
				return ""
			}
			return quoted(p.text)
		},
	}
}

// query reads a query of MongoDB and returns it as BSON and as Extended JSON.
func (d *decoder) query(path string, n *node) (raw bson.Raw, text string, ok bool) {
	json, ok := d.object(path, n)
	if !ok {
		return nil, "", false
	}
	var doc bson.D
	if err := bson.UnmarshalExtJSON(json, false, &doc); err != nil {
		d.fail(n.at, path, "isn't Extended JSON of MongoDB, such as {\"status\": \"open\", \"at\": {\"$gte\": {\"$date\": \"2024-01-01T00:00:00Z\"}}}")
		return nil, "", false
	}
	raw, err := bson.Marshal(doc)
	if err != nil {
		d.fail(n.at, path, "can't be written as BSON: %v", err)
		return nil, "", false
	}
	return raw, string(json), true
}
