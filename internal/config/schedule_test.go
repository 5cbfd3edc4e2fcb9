package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustTime(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestInWindow(t *testing.T) {
	const never = ""
	f := func(s Schedule, now string, open bool, until string) {
		t.Helper()
		gotOpen, gotUntil := s.InWindow(mustTime(t, now))
		got := ""
		if !gotUntil.IsZero() {
			got = gotUntil.UTC().Format(time.RFC3339)
		}
		if gotOpen != open || got != until {
			t.Errorf("%v at %s: %v until %s; want %v until %s", s.Windows, now, gotOpen, got, open, until)
		}
	}
	f(Schedule{}, "2026-11-24T08:00:00Z", true, never)
	night := Schedule{Windows: []string{"22:00-06:00"}}
	f(night, "2026-11-24T08:00:00Z", false, "2026-11-24T22:00:00Z")
	f(night, "2026-11-24T22:00:00Z", true, "2026-11-25T06:00:00Z")
	f(night, "2026-11-25T05:59:59Z", true, "2026-11-25T06:00:00Z")
	f(night, "2026-11-25T06:00:00Z", false, "2026-11-25T22:00:00Z")
	// 2026-11-27 is a Friday. The night runs into the weekend.
	both := Schedule{Windows: []string{"22:00-06:00", "Sat,Sun 00:00-24:00"}}
	f(both, "2026-11-27T23:00:00Z", true, "2026-11-30T06:00:00Z")
	f(both, "2026-11-29T23:59:00Z", true, "2026-11-30T06:00:00Z")
	f(both, "2026-11-30T12:00:00Z", false, "2026-11-30T22:00:00Z")
	// A window belongs to the day on which it starts.
	f(Schedule{Windows: []string{"Fri 22:00-06:00"}}, "2026-11-28T05:00:00Z", true, "2026-11-28T06:00:00Z")
	f(Schedule{Windows: []string{"Fri 22:00-06:00"}}, "2026-11-27T05:00:00Z", false, "2026-11-27T22:00:00Z")
	f(Schedule{Windows: []string{"Fri 22:00-06:00"}}, "2026-11-28T06:00:00Z", false, "2026-12-04T22:00:00Z")
	f(Schedule{Windows: []string{"fri-mon 20:00-21:00"}}, "2026-11-30T20:30:00Z", true, "2026-11-30T21:00:00Z")
	f(Schedule{Windows: []string{"fri-mon 20:00-21:00"}}, "2026-12-01T20:30:00Z", false, "2026-12-04T20:00:00Z")
	f(Schedule{Windows: []string{"00:00-24:00"}}, "2026-11-24T08:00:00Z", true, never)
	f(Schedule{Windows: []string{"00:00-12:00", "12:00-24:00"}}, "2026-11-24T08:00:00Z", true, never)
	// Clocks are set back on 25 October 2026: that night is an hour longer.
	berlin := Schedule{Windows: []string{"22:00-06:00"}, Timezone: "Europe/Berlin"}
	f(berlin, "2026-10-24T20:00:00Z", true, "2026-10-25T05:00:00Z")
	f(berlin, "2026-10-24T19:59:59Z", false, "2026-10-24T20:00:00Z")
}

func TestScheduleNext(t *testing.T) {
	f := func(s Schedule, now, want string) {
		t.Helper()
		if got := s.Next(mustTime(t, now)).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%+v after %s: %s; want %s", s, now, got, want)
		}
	}
	f(Schedule{Every: time.Hour}, "2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z")
	f(Schedule{Every: time.Hour, Windows: []string{"22:00-06:00"}}, "2026-11-24T05:30:00Z", "2026-11-24T22:00:00Z")
	f(Schedule{Every: time.Hour, Cron: "30 2 * * *"}, "2026-11-24T08:00:00Z", "2026-11-25T02:30:00Z")
	f(Schedule{Cron: "30 2 * * *", Timezone: "America/New_York"}, "2026-11-24T08:00:00Z", "2026-11-25T07:30:00Z")
	f(Schedule{Cron: "@monthly"}, "2026-11-24T08:00:00Z", "2026-12-01T00:00:00Z")
	f(Schedule{Cron: "0 12 * * *", Windows: []string{"Sat 10:00-14:00"}}, "2026-11-24T08:00:00Z", "2026-11-28T10:00:00Z")
}

// TestWindowsAgree: what InWindow says holds until it says, and not longer; and
// Next is later, and in a window.
func TestWindowsAgree(t *testing.T) {
	clock := func(t *rapid.T, name string) string {
		m := rapid.IntRange(0, 24*4-1).Draw(t, name) * 15
		return time.Date(2026, 1, 1, 0, m, 0, 0, time.UTC).Format("15:04")
	}
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Every: time.Minute, Timezone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"}).Draw(t, "zone")}
		for range rapid.IntRange(1, 3).Draw(t, "n") {
			w := rapid.SampledFrom([]string{"", "Sat,Sun ", "Mon-Fri ", "Wed "}).Draw(t, "days") + clock(t, "from") + "-" + clock(t, "to")
			if checkWindow(w) == nil {
				s.Windows = append(s.Windows, w)
			}
		}
		now := time.Unix(rapid.Int64Range(1.7e9, 2.2e9).Draw(t, "now"), 0)
		open, until := s.InWindow(now)
		if !until.IsZero() {
			if !until.After(now) {
				t.Fatalf("%v at %s until %s", s, now, until)
			}
			if at, _ := s.InWindow(until); at == open {
				t.Errorf("%v at %s: %v until %s, but then still", s, now, open, until)
			}
			between := now.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(now))-1).Draw(t, "between")))
			if at, _ := s.InWindow(between); at != open {
				t.Errorf("%v at %s: %v until %s, but not at %s", s, now, open, until, between)
			}
		}
		next := s.Next(now)
		if at, _ := s.InWindow(next); !at || !next.After(now) {
			t.Errorf("%v after %s: %s, which isn't in a window", s, now, next)
		}
	})
}

// FuzzWindow: whatever the text, a window is refused or opens within a week.
func FuzzWindow(f *testing.F) {
	for _, s := range []string{"22:00-06:00", "Sat,Sun 00:00-24:00", "Mon-Fri 20:00-23:30", "sun 00:00-00:01", "24:00-24:00", "Sat-Sat,Sun 01:00-01:00"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if checkWindow(text) != nil {
			return
		}
		open, until := Schedule{Windows: []string{text}}.InWindow(now)
		if !open && (until.IsZero() || until.Sub(now) > 7*24*time.Hour) {
			t.Errorf("%q opens at %s", text, until)
		}
	})
}

// FuzzCron: whatever the text, it is refused, or there is a next time.
func FuzzCron(f *testing.F) {
	for _, s := range []string{"30 2 * * *", "@daily", "0 0 31 2 *", "*/5 0-6 1,15 jan-mar mon", "TZ=UTC * * * * *", "@every 1s", "* * * * * *", "0/0 * * * *"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 100 || checkCron(text) != nil {
			return
		}
		if next := (Schedule{Cron: text}).Next(now); !next.After(now) {
			t.Errorf("%q comes at %s", text, next)
		}
	})
}
