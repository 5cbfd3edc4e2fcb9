package testkit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Ports come from below the range that the kernel takes for outgoing
// connections (32768 on Linux): a client that knocks at a dead server's port
// can neither take that port nor connect to itself.
const (
	firstPort = 20000
	lastPort  = 31999
)

// port is a loopback TCP port that no other user of testkit on this machine
// gets before release, also while its server is down.
type port struct {
	number  int
	release func()
}

func (p port) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

// reservePort finds a free port and keeps it.
func reservePort(ctx context.Context) (port, error) {
	dir := filepath.Join(os.TempDir(), "sluice-testkit-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return port{}, err
	}
	var last error
	for range 200 {
		if err := ctx.Err(); err != nil {
			return port{}, err
		}
		p, err := tryPort(dir, firstPort+rand.IntN(lastPort-firstPort+1))
		if err == nil {
			return p, nil
		}
		last = err
	}
	return port{}, fmt.Errorf("no free port of 127.0.0.1 between %d and %d: %w", firstPort, lastPort, last)
}

func tryPort(dir string, n int) (port, error) {
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(n)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return port{}, err
	}
	p := port{number: n, release: func() { _ = f.Close() }}
	if err := errors.Join(tryLock(f), canListen(p.addr())); err != nil {
		_ = f.Close()
		return port{}, err
	}
	return p, nil
}

func canListen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}
