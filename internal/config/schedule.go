package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that a time zone is known on every machine

	"github.com/robfig/cron/v3"
)

// Schedule says when a rule runs.
type Schedule struct {
	// Every is the time from the end of a run to the next; not with Cron.
	Every time.Duration
	// Cron is a cron expression of five fields, "" for none.
	Cron string
	// Windows are the times of the week in which a rule works, as
	// "22:00-06:00" or "Sat,Sun 00:00-24:00"; none: always.
	Windows []string
	// Timezone is the IANA name of the zone of Cron and Windows; "" is UTC.
	Timezone string
}

// horizon is how far ahead windows are looked at: a week, and a day more for
// one that is cut by a change of the clock.
const horizon = 8

// Next returns when to start, for a rule that ended a run (or was started) at
// now: the next time of Cron, or Every later; and if no window is open then,
// when one opens.
func (s Schedule) Next(now time.Time) time.Time {
	at := now.Add(s.Every)
	if s.Cron != "" {
		if c, err := parseCron(s.Cron); err == nil {
			at = c.Next(now.In(location(s.Timezone)))
		}
	}
	if open, until := s.InWindow(at); !open && !until.IsZero() {
		return until
	}
	return at
}

// InWindow tells whether a rule may work at now, and until when that holds. A
// zero until is for ever.
func (s Schedule) InWindow(now time.Time) (open bool, until time.Time) {
	if len(s.Windows) == 0 {
		return true, time.Time{}
	}
	spans := s.spans(now)
	for i := 0; i < len(spans); i++ {
		if now.Before(spans[i].from) {
			return false, spans[i].from
		}
		if !now.Before(spans[i].to) {
			continue
		}
		end := spans[i].to
		for _, next := range spans[i+1:] {
			if !next.from.After(end) && next.to.After(end) {
				end = next.to
			}
		}
		if end.Sub(now) > 7*24*time.Hour {
			return true, time.Time{} // the windows cover the week
		}
		return true, end
	}
	return false, time.Time{}
}

// span is a window on a day of the calendar.
type span struct{ from, to time.Time }

// spans returns the windows of the days around now, in order of their start.
func (s Schedule) spans(now time.Time) []span {
	loc := location(s.Timezone)
	y, m, d := now.In(loc).Date()
	var out []span
	for _, text := range s.Windows {
		w, err := parseWindow(text)
		if err != nil {
			continue // refused when it was loaded
		}
		for day := -1; day <= horizon; day++ {
			if !w.days[time.Date(y, m, d+day, 12, 0, 0, 0, time.UTC).Weekday()] {
				continue
			}
			one := span{from: time.Date(y, m, d+day, 0, w.from, 0, 0, loc), to: time.Date(y, m, d+day, 0, w.to, 0, 0, loc)}
			if one.to.After(one.from) {
				out = append(out, one)
			}
		}
	}
	slices.SortFunc(out, func(a, b span) int { return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to)) })
	return out
}

// window is a time of the week: days on which it starts, and minutes since
// midnight; to is greater than from, and may be on the next day.
type window struct {
	days     [7]bool
	from, to int
}

// wantWindow says what a window looks like.
const wantWindow = "wants a window such as 22:00-06:00, Sat,Sun 00:00-24:00 or Mon-Fri 20:00-23:30"

func parseWindow(text string) (window, error) {
	var w window
	days, hours, hasDays := strings.Cut(text, " ")
	if !hasDays {
		days, hours = "Mon-Sun", text
	}
	for part := range strings.SplitSeq(days, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, ok1 := weekday(first)
		to, ok2 := weekday(last)
		if !ok1 || !ok2 {
			return w, errors.New(wantWindow)
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == to {
				break
			}
		}
	}
	from, to, _ := strings.Cut(hours, "-")
	var ok1, ok2 bool
	w.from, ok1 = minutes(from)
	w.to, ok2 = minutes(to)
	switch {
	case !ok1 || !ok2 || w.from == 24*60:
		return w, errors.New(wantWindow)
	case w.from == w.to:
		return w, errors.New("starts when it ends; 00:00-24:00 is the whole day")
	case w.to < w.from:
		w.to += 24 * 60
	}
	return w, nil
}

func weekday(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

// minutes reads 22:30 as minutes since midnight, to 24:00.
func minutes(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' || strings.ContainsAny(s, "+-") {
		return 0, false
	}
	h, err1 := strconv.Atoi(s[:2])
	m, err2 := strconv.Atoi(s[3:])
	n := 60*h + m
	return n, err1 == nil && err2 == nil && m < 60 && n <= 24*60
}

func parseCron(s string) (cron.Schedule, error) {
	if cronHint(s) != "" {
		return nil, errValue
	}
	fields := cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor
	return cron.NewParser(fields).Parse(s)
}

// cronHint tells what to write in place of what other programs take.
func cronHint(s string) string {
	switch {
	case strings.Contains(s, "TZ="):
		return "; the time zone is the field timezone beside it"
	case strings.HasPrefix(s, "@every"):
		return "; for an interval give every in its place"
	}
	return ""
}

func checkCron(s string) error {
	c, err := parseCron(s)
	if err != nil {
		return fmt.Errorf("wants a cron expression of five fields such as \"30 2 * * *\", or @daily%s", cronHint(s))
	}
	if c.Next(time.Unix(0, 0).UTC()).IsZero() {
		return errors.New("never comes: there is no such day")
	}
	return nil
}

// checkTimezone looks at the name of a zone; the machine's own is refused, for
// it would be another on the next machine.
func checkTimezone(s string) error {
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		return errors.New("wants the name of a time zone such as Europe/Berlin or UTC")
	}
	return nil
}

// location returns the zone of a name that passed checkTimezone, UTC for "".
func location(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return time.UTC
	}
	return loc
}
