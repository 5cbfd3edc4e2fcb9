package systemd

import (
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func env(of map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, there := of[k]; return v, there }
}

func TestFromEnv(t *testing.T) {
	f := func(of map[string]string, want Manager) {
		t.Helper()
		if got := fromEnv(env(of), 7); got != want {
			t.Errorf("%v: %+v, want %+v", of, got, want)
		}
	}
	f(nil, Manager{})
	f(map[string]string{"WATCHDOG_USEC": "1000000"}, Manager{})
	f(map[string]string{"NOTIFY_SOCKET": "vsock:2:1"}, Manager{})
	f(map[string]string{"NOTIFY_SOCKET": "/run/x"}, Manager{Socket: "/run/x"})
	f(map[string]string{"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000"}, Manager{Socket: "@x", Watchdog: 30 * time.Second})
	f(map[string]string{"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, Manager{Socket: "@x", Watchdog: 30 * time.Second})
	f(map[string]string{"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, Manager{Socket: "@x"})
	f(map[string]string{"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "soon"}, Manager{Socket: "@x"})
	f(map[string]string{"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "-1"}, Manager{Socket: "@x"})
}

func TestTell(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := (Manager{Socket: path}).Tell(Ready); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if err := (Manager{Socket: path + "gone"}).Tell(Ready); err == nil {
		t.Error("nobody heard it, and there is no error")
	}
	if err := (Manager{}).Tell(Ready); err != nil {
		t.Error(err)
	}
}

func TestReloading(t *testing.T) {
	first, _, _ := strings.Cut(Reloading(), "\n")
	if first != "RELOADING=1" {
		t.Errorf("%q", first)
	}
	if runtime.GOOS != "linux" {
		return
	}
	a, err := strconv.ParseInt(strings.TrimPrefix(Reloading(), "RELOADING=1\nMONOTONIC_USEC="), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := monotonic(); a <= 0 || b < a {
		t.Errorf("%d, then %d", a, b)
	}
}
