package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	f := func(in string, want Size) {
		t.Helper()
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	f("0", 0)
	f("123", 123)
	f("2MB", 2e6)
	f("64MiB", 64<<20)
	f(" 1 kb ", 1000)
	f("1.5GB", 1500e6)
	f("0.5KiB", 512)
	f("7B", 7)
	f("9223372036854775807", math.MaxInt64)
}

func TestParseSizeRefuses(t *testing.T) {
	for _, in := range []string{
		"", "MB", "-1", "-1MB", "1e3", "0x10", "1_000", "2 megs", "1TB", "9223372036854775808",
		"9223372036854775807KB", "NaN", "inf", "1.2.3MB", "1..5",
	} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d", in, got)
		}
	}
}

func TestSizeAndDurationReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Size(rapid.Int64Min(0).Draw(t, "size"))
		if got, err := ParseSize(s.String()); err != nil || got != s {
			t.Errorf("%d is written %s and read %d, %v", s, s, got, err)
		}
		d := time.Duration(rapid.Int64Min(0).Draw(t, "duration"))
		if got, err := time.ParseDuration(short(d)); err != nil || got != d {
			t.Errorf("%d is written %s and read %d, %v", d, short(d), got, err)
		}
	})
}

func TestSecretNeverShows(t *testing.T) {
	s := struct{ S Secret }{planted}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", slog.Any("s", s.S), slog.Any("whole", s))
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.S, s.S), logged.String(), string(encoded)} {
		if strings.Contains(out, planted) || !strings.Contains(out, Hidden) {
			t.Errorf("shown: %s", out)
		}
	}
	if s.S.Reveal() != planted || Secret("").String() != "" {
		t.Error("the secret itself is lost, or nothing looks like a secret")
	}
}

func TestNearest(t *testing.T) {
	names := []string{"mongodb", "search", "state", "dead_letters", "http"}
	f := func(got, want string) {
		t.Helper()
		if n := nearest(got, names); n != want {
			t.Errorf("nearest(%q) = %q; want %q", got, n, want)
		}
	}
	f("mongdb", "mongodb")
	f("monogdb", "mongodb")
	f("Search", "search")
	f("deadletters", "dead_letters")
	f("dead-letters", "dead_letters")
	f("htpt", "http")
	f("kafka", "")
	f("", "")
	f(strings.Repeat("x", 100000), "")
}
