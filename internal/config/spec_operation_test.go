package config

import (
	"testing"
	"time"
)

// TestStatsIndex: a layout means the same to Go and to us, or is refused: no
// letter of a name becomes part of a date unasked.
func TestStatsIndex(t *testing.T) {
	at := time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)
	for layout, want := range map[string]string{
		"monstache.stats.2006-01-02": "monstache.stats.2026-03-04",
		"Stats.2006.01.02.15-04-05":  "stats.2026.03.04.15-06-07",
		"stats":                      "stats",
		"npm.stats":                  "",
		"Monstache.stats.2006":       "monstache.stats.2026",
		"Mon.stats":                  "",
		"app2.stats":                 "",
		"stats.2006-1-2":             "",
		"stats.Jan":                  "",
		"stats.06":                   "",
		"_stats":                     "",
		"stats 2006":                 "",
	} {
		err := checkStatsIndex(layout)
		if (err == nil) != (want != "") {
			t.Errorf("%s: %v", layout, err)
		}
		if got := StatsIndex(layout, at); want != "" && got != want {
			t.Errorf("%s becomes %s, want %s", layout, got, want)
		}
	}
}
