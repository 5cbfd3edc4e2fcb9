package testkit

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// server is what Main knows of a running one.
type server interface {
	fmt.Stringer
	Stop() error
	logDir() string
}

// registry knows the servers of this process: those that run, and what ran.
// One per process is right here: it stands for the process's children.
type registry struct {
	mu    sync.Mutex
	live  map[server]bool
	ran   []string
	dirs  []string
	mongo shared[*Mongo]
	find  shared[*Search]
	s3    shared[*S3]
}

// running is the one place of state of the package (see registry).
var running = &registry{live: map[server]bool{}}

func (r *registry) add(s server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[s] = true
	r.ran = append(r.ran, s.String())
	if dir := s.logDir(); dir != "" {
		r.dirs = append(r.dirs, dir)
	}
}

func (r *registry) remove(s server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, s)
}

// rest returns the servers that nobody has stopped.
func (r *registry) rest() []server {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []server
	for s := range r.live {
		all = append(all, s)
	}
	return all
}

// shared is a server that all tests of a process use, started by the first.
type shared[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (s *shared[T]) get(start func() (T, error)) (T, error) {
	s.once.Do(func() { s.value, s.err = start() })
	return s.value, s.err
}

func canDial(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
