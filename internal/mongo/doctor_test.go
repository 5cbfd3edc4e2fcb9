package mongo

import (
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
)

func TestDoctorSnapshotTime(t *testing.T) {
	f := func(window time.Duration, rate, docs float64, want flow.Severity) {
		t.Helper()
		var found flow.Findings
		d := &Doctor{oplog: oplogReach{known: true, window: window}}
		d.window(&found, "a", SnapshotOptions{Rate: rate}, docs, 0)
		if len(found) != 1 || found[0].Severity != want {
			t.Errorf("%+v", found)
		}
	}
	f(time.Hour, 0, 1e6, flow.FindingOK)
	f(time.Hour, 0, 30e6, flow.FindingWarning)
	f(time.Hour, 0, 100e6, flow.FindingError)
	f(time.Hour, 100, 1e6, flow.FindingError)
}

func TestDoctorVersion(t *testing.T) {
	f := func(v serverVersion, want flow.Severity) {
		t.Helper()
		var found flow.Findings
		(&Doctor{version: v}).judgeVersion(&found)
		if len(found) != 1 || found[0].Severity != want {
			t.Errorf("%s: %+v", v, found)
		}
	}
	f(serverVersion{4, 2, 9}, flow.FindingError)
	f(serverVersion{4, 4, 0}, flow.FindingInfo)
	f(serverVersion{6, 0, 5}, flow.FindingOK)
	f(serverVersion{8, 0, 0}, flow.FindingInfo)
}

func TestDoctorSkew(t *testing.T) {
	f := func(ours time.Duration, want flow.Severity, word string) {
		t.Helper()
		var found flow.Findings
		judgeSkew(&found, "x", ours)
		if len(found) != 1 || found[0].Severity != want || !strings.Contains(found[0].What, word) {
			t.Errorf("%s: %+v", ours, found)
		}
	}
	f(0, flow.FindingOK, "agree")
	f(59*time.Second, flow.FindingOK, "agree")
	f(61*time.Second, flow.FindingError, "1m1s ahead")
	f(-time.Hour, flow.FindingError, "1h0m0s behind")
}

func TestFew(t *testing.T) {
	if got := few([]string{"a", "b"}); got != "a, b" {
		t.Error(got)
	}
	if got := few(strings.Split("abcdefg", "")); got != "a, b, c, d, e and 2 more" {
		t.Error(got)
	}
}
