// Package systemd tells the manager of services how this one is doing, by
// datagrams to the socket that the manager names (sd_notify(3)).
package systemd

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// The states that can be told.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Watchdog = "WATCHDOG=1"
)

// Manager is who started us; the zero value is nobody, who is told nothing.
type Manager struct {
	// Socket is the path of its socket, with @ in front if it is abstract.
	Socket string
	// Watchdog is how long it waits for the next sign of life; 0: for ever.
	Watchdog time.Duration
}

// FromEnv returns the manager that the environment names: it has no other way to
// tell, and no user sets these variables.
func FromEnv() Manager { return fromEnv(os.LookupEnv, os.Getpid()) }

func fromEnv(lookup func(string) (string, bool), pid int) Manager {
	getenv := func(name string) string { v, _ := lookup(name); return v }
	m := Manager{Socket: getenv("NOTIFY_SOCKET")}
	if m.Socket == "" || m.Socket[0] != '/' && m.Socket[0] != '@' {
		return Manager{}
	}
	if of := getenv("WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return m
	}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 && usec < int64(time.Hour/time.Microsecond)*1000 {
		m.Watchdog = time.Duration(usec) * time.Microsecond
	}
	return m
}

// There tells whether there is a manager.
func (m Manager) There() bool { return m.Socket != "" }

// Tell sends a state.
func (m Manager) Tell(state string) error {
	if !m.There() {
		return nil
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unixgram", m.Socket)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the datagram is sent, or is not
	_, err = c.Write([]byte(state))
	return err
}
