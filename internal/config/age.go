package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxAgeYears bounds an age.
const maxAgeYears = 1000

// Age is a length of time into the past: years and months of the calendar, and
// what has a fixed length. A zero Age is none; none is negative.
type Age struct {
	// Months are calendar months, twelve to a year.
	Months int
	// Fixed is the rest; a day is 24 hours.
	Fixed time.Duration
}

// Calendar tells whether the age needs a calendar, and so a time zone.
func (a Age) Calendar() bool { return a.Months > 0 }

// Before returns the time that lies the age before now, in loc. With months or
// years that is the start of a day: the one of the same number that many months
// ago, or the last one of a shorter month (from 31 March one month back is 28
// or 29 February). A later now never gives an earlier time, and the time is
// never after now.
func (a Age) Before(now time.Time, loc *time.Location) time.Time {
	if a.Months == 0 {
		return now.Add(-a.Fixed)
	}
	y, m, d := now.In(loc).Date()
	// Day 0 of the next month is the last of this one.
	last := time.Date(y, m-time.Month(a.Months)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(y, m-time.Month(a.Months), min(d, last), 0, 0, 0, 0, loc).Add(-a.Fixed)
}

// String writes the age so that ParseAge reads it back: 1y6mo, 92d, 36h.
func (a Age) String() string {
	if a == (Age{}) {
		return "0"
	}
	var b strings.Builder
	part := func(n int64, unit string) {
		if n != 0 {
			b.WriteString(strconv.FormatInt(n, 10) + unit)
		}
	}
	part(int64(a.Months/12), "y")
	part(int64(a.Months%12), "mo")
	rest := a.Fixed
	for _, u := range ageUnits() {
		if u.months == 0 && u.shown {
			part(int64(rest/u.fixed), u.name)
			rest %= u.fixed
		}
	}
	return b.String()
}

// ageUnit is a unit of the short form, and its letter in ISO 8601 before and
// after the T.
type ageUnit struct {
	name   string
	date   string
	time   string
	months int
	fixed  time.Duration
	// shown: String uses it.
	shown bool
}

func ageUnits() []ageUnit {
	const day = 24 * time.Hour
	return []ageUnit{
		{name: "y", date: "Y", months: 12},
		{name: "mo", date: "M", months: 1},
		{name: "w", date: "W", fixed: 7 * day},
		{name: "d", date: "D", fixed: day, shown: true},
		{name: "h", time: "H", fixed: time.Hour, shown: true},
		{name: "min", time: "M", fixed: time.Minute, shown: true},
		{name: "s", time: "S", fixed: time.Second, shown: true},
	}
}

// agePart is a number and its unit.
const agePart = `[0-9]{1,9}[A-Za-z]+`

var errAge = errors.New("not an age")

// ParseAge reads an age: numbers with units from large to small (92d, 6mo, 1y,
// 36h, 2w, 1y6mo; mo is a month and min a minute), or a duration of ISO 8601
// (P1Y6M, PT36H). Zero and negative ages are errors, and so are more than 1000 years.
func ParseAge(text string) (Age, error) {
	iso := strings.HasPrefix(text, "P")
	date, clock := text, ""
	if iso {
		var hasTime bool
		date, clock, hasTime = strings.Cut(text[1:], "T")
		if hasTime && clock == "" {
			return Age{}, errAge
		}
	}
	var a Age
	order := -1
	for i, half := range []string{date, clock} {
		name := func(u ageUnit) string {
			if !iso {
				return u.name
			}
			return []string{u.date, u.time}[i]
		}
		if err := a.add(half, name, &order); err != nil {
			return Age{}, err
		}
	}
	if a == (Age{}) || a.Months > maxAgeYears*12 {
		return Age{}, errAge
	}
	return a, nil
}

// add adds the parts of text; order is the unit of the part before.
func (a *Age) add(text string, name func(ageUnit) string, order *int) error {
	if text == "" {
		return nil
	}
	if !regexp.MustCompile("^(" + agePart + ")+$").MatchString(text) {
		return errAge
	}
	for _, part := range regexp.MustCompile(agePart).FindAllString(text, -1) {
		cut := strings.IndexFunc(part, func(r rune) bool { return r > '9' })
		n, err := strconv.ParseInt(part[:cut], 10, 64)
		if err != nil {
			return errAge
		}
		if err := a.addUnit(n, part[cut:], name, order); err != nil {
			return err
		}
	}
	return nil
}

func (a *Age) addUnit(n int64, unit string, name func(ageUnit) string, order *int) error {
	for i, u := range ageUnits() {
		if name(u) != unit {
			continue
		}
		const most = int64(290 * 365 * 24 * time.Hour) // what a time.Duration holds, about
		if i <= *order || u.fixed > 0 && n > (most-int64(a.Fixed))/int64(u.fixed) {
			return errAge
		}
		*order = i
		a.Months += int(n) * u.months
		a.Fixed += time.Duration(n) * u.fixed
		return nil
	}
	return errAge
}
