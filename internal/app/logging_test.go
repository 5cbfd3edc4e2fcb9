package app

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/config"
	"sluice/internal/flow"
)

// TestLogStyleAndFlags: a format that is given as a flag goes before the style of
// the configuration, and files stay.
func TestLogStyleAndFlags(t *testing.T) {
	f := func(c config.Logs, o LogOptions, out, errOut string) {
		t.Helper()
		var got, gotErr bytes.Buffer
		o.Level = "info"
		l, done, err := OpenLogs(c, o, &got, &gotErr)
		if err != nil {
			t.Fatal(err)
		}
		l.Debug("left out")
		l.Info("hello")
		if err := done(); err != nil {
			t.Error(err)
		}
		has := func(got, want string) bool { return (got == "") == (want == "") && strings.Contains(got, want) }
		if !has(got.String(), out) || !has(gotErr.String(), errOut) || strings.Contains(got.String()+gotErr.String(), "left out") {
			t.Errorf("%+v %+v: %q and %q, want %q and %q", c, o, &got, &gotErr, out, errOut)
		}
	}
	monstache := config.Logs{Style: config.LogMonstache}
	f(config.Logs{}, LogOptions{Format: "auto"}, "", `"msg":"hello"`)
	f(config.Logs{}, LogOptions{Format: "auto", Terminal: true}, "", "msg=hello")
	f(config.Logs{}, LogOptions{Format: "json", Terminal: true}, "", `"msg":"hello"`)
	f(monstache, LogOptions{Format: "auto"}, " hello\n", "")
	f(monstache, LogOptions{Format: "auto", Terminal: true}, "INFO 2", "")
	f(monstache, LogOptions{Format: "json"}, "", `"msg":"hello"`)
	f(monstache, LogOptions{Format: "text"}, "", "msg=hello")
	filed := monstache
	filed.Info = filepath.Join(t.TempDir(), "info.log")
	f(filed, LogOptions{Format: "auto"}, "", "")
	f(filed, LogOptions{Format: "text"}, "", "")
}

func TestLogFlagsThatAreNone(t *testing.T) {
	for _, o := range []LogOptions{{Format: "auto", Level: "loud"}, {Format: "xml", Level: "info"}} {
		if _, _, err := OpenLogs(config.Logs{}, o, nil, nil); err == nil || !strings.Contains(err.Error(), "use ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	taken := config.Logs{Error: t.TempDir()}
	if _, _, err := OpenLogs(taken, LogOptions{Format: "auto", Level: "info"}, nil, nil); flow.ClassOf(err) != flow.Config {
		t.Errorf("%v", err)
	}
}
