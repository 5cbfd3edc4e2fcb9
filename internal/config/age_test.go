package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseAge(t *testing.T) {
	f := func(in string, want Age) {
		t.Helper()
		if got, err := ParseAge(in); err != nil || got != want {
			t.Errorf("ParseAge(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	f("92d", Age{Fixed: 92 * day})
	f("2w", Age{Fixed: 14 * day})
	f("36h", Age{Fixed: 36 * time.Hour})
	f("90min", Age{Fixed: 90 * time.Minute})
	f("1s", Age{Fixed: time.Second})
	f("6mo", Age{Months: 6})
	f("1y", Age{Months: 12})
	f("1y6mo2d12h", Age{Months: 18, Fixed: 60 * time.Hour})
	f("P1Y6M", Age{Months: 18})
	f("P1M", Age{Months: 1})
	f("PT1M", Age{Fixed: time.Minute})
	f("PT36H", Age{Fixed: 36 * time.Hour})
	f("P2W", Age{Fixed: 14 * day})
	f("P1DT2H3M4S", Age{Fixed: day + 2*time.Hour + 3*time.Minute + 4*time.Second})
	f("1000y", Age{Months: 12000})
}

func TestParseAgeRefuses(t *testing.T) {
	for _, in := range []string{
		"", "0", "0d", "P0D", "-1d", "+1d", "1", "d", "1.5d", "1 d", "1m", "6M", "1D", "1d1y", "1d1d", "1h1d", "P", "PT", "P1", "P1DT", "PT1D",
		"P1H", "1y P", "p1y", "P-1Y", "P1y", "1001y", "12001mo", "999999999y", "999999999w", "9999999999d", "106752d106752d", "1d ", "１d", "1\u00b5s",
	} {
		if got, err := ParseAge(in); err == nil {
			t.Errorf("ParseAge(%q) = %+v", in, got)
		}
	}
}

func TestAgeBefore(t *testing.T) {
	berlin := location("Europe/Berlin")
	f := func(age, now, want string, loc *time.Location) {
		t.Helper()
		a, err := ParseAge(age)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Before(at, loc).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s before %s is %s; want %s", age, now, got, want)
		}
	}
	f("1mo", "2026-03-31T12:00:00Z", "2026-02-28T00:00:00Z", time.UTC)
	f("1mo", "2028-03-31T12:00:00Z", "2028-02-29T00:00:00Z", time.UTC)
	f("1mo", "2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z", time.UTC)
	f("1y", "2028-02-29T23:59:59Z", "2027-02-28T00:00:00Z", time.UTC)
	f("13mo", "2026-01-31T00:00:00Z", "2024-12-31T00:00:00Z", time.UTC)
	f("1mo12h", "2026-03-31T12:00:00Z", "2026-02-27T12:00:00Z", time.UTC)
	// It is already 1 April in Berlin, and March began in winter time.
	f("1mo", "2026-03-31T22:30:00Z", "2026-02-28T23:00:00Z", berlin)
	f("6mo", "2026-10-30T12:00:00Z", "2026-04-29T22:00:00Z", berlin)
	// Days are 24 hours, whatever the clocks do, and keep the time of day.
	f("1d", "2026-03-29T12:00:00Z", "2026-03-28T12:00:00Z", berlin)
	f("36h", "2026-03-31T12:34:56Z", "2026-03-30T00:34:56Z", berlin)
}

func drawAge(t *rapid.T) Age {
	a := Age{Months: rapid.IntRange(0, 40).Draw(t, "months")}
	if a.Months == 0 || rapid.Bool().Draw(t, "both") {
		a.Fixed = time.Duration(rapid.Int64Range(1, 400*24*3600).Draw(t, "seconds")) * time.Second
	}
	return a
}

// TestAgeBeforeIsMonotonic: a later now gives no earlier cutoff, and no cutoff
// is in the future.
func TestAgeBeforeIsMonotonic(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo"}
	rapid.Check(t, func(t *rapid.T) {
		a := drawAge(t)
		loc := location(rapid.SampledFrom(zones).Draw(t, "zone"))
		now := time.Unix(rapid.Int64Range(1.2e9, 4e9).Draw(t, "now"), 0)
		later := now.Add(time.Duration(rapid.Int64Range(0, 40*24*3600).Draw(t, "later")) * time.Second)
		first, second := a.Before(now, loc), a.Before(later, loc)
		if second.Before(first) {
			t.Errorf("%s before %s is %s, before %s it is %s", a, now.In(loc), first, later.In(loc), second)
		}
		if !first.Before(now) {
			t.Errorf("%s before %s is %s", a, now, first)
		}
		// It is never less than the age, but for the length of a month.
		if least := now.AddDate(0, -a.Months, 0).Add(-a.Fixed); first.Sub(least) > 26*time.Hour {
			t.Errorf("%s before %s is %s, later than %s", a, now, first, least)
		}
	})
}

func TestAgeReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAge(t)
		if got, err := ParseAge(a.String()); err != nil || got != a {
			t.Errorf("%+v is written %s and read %+v, %v", a, a, got, err)
		}
	})
}

// FuzzAge: whatever the text, an age is positive, and reads back as itself.
func FuzzAge(f *testing.F) {
	for _, s := range []string{"92d", "1y6mo", "P1Y6M2DT12H", "PT36H", "2w", "0", "-1d", "999999999y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAge(s)
		if err != nil {
			return
		}
		if a.Months < 0 || a.Fixed < 0 || a == (Age{}) {
			t.Errorf("%q is %+v", s, a)
		}
		now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
		if !a.Before(now, time.UTC).Before(now) {
			t.Errorf("%q before %s is %s", s, now, a.Before(now, time.UTC))
		}
		if again, err := ParseAge(a.String()); err != nil || again != a {
			t.Errorf("%q is written %s and read %+v, %v", s, a, again, err)
		}
	})
}
