package scriptmongo

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Options shape a server; the zero value is the primary of a replica set of
// one, with 6.0.5.
type Options struct {
	// Version is what buildInfo says.
	Version string
	// Mongos: a router instead of a replica set.
	Mongos bool
	// Clock is the cluster time at the start; zero is 2026-01-01, increment 1.
	Clock bson.Timestamp
	// ReplicaSetID identifies the set; zero is a fixed one.
	ReplicaSetID bson.ObjectID
	// SnapshotAt is the atClusterTime that snapshot reads without a time of
	// their own get; zero is the clock.
	SnapshotAt bson.Timestamp
}

const setName = "scripted"

// Server is a running scripted MongoDB. All methods may be called at any time
// from any goroutine.
type Server struct {
	opts Options
	l    net.Listener
	quit chan struct{}
	once sync.Once
	wg   sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	clock    bson.Timestamp
	colls    []*collection
	hooks    map[string]func(Command) (bson.D, error)
	failures map[string][]error
	commands []Command
	cursors  map[int64]*cursor
	nextID   int64
	script   []Reply
	generate func() (Reply, bool)
	wake     chan struct{}
	opens    []Open
	seq      uint64
}

// Command is a command as it came.
type Command struct {
	Name, DB string
	Doc      bson.Raw
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server on a free loopback port; the caller closes it.
func Start(o Options) (*Server, error) {
	o.Version = cmp.Or(o.Version, "6.0.5")
	if o.Clock.IsZero() {
		o.Clock = bson.Timestamp{T: 1767225600, I: 1}
	}
	if o.ReplicaSetID.IsZero() {
		o.ReplicaSetID = bson.ObjectID{11: 1}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("scripted MongoDB: %w", err)
	}
	s := &Server{
		opts: o, l: l, quit: make(chan struct{}), conns: map[net.Conn]bool{}, clock: o.Clock,
		hooks: map[string]func(Command) (bson.D, error){}, failures: map[string][]error{},
		cursors: map[int64]*cursor{}, nextID: 1000, wake: make(chan struct{}),
	}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// URI reaches the server directly.
func (s *Server) URI() string { return "mongodb://" + s.addr() + "/?directConnection=true" }

// ReplicaURI reaches it as a replica set (as a sharded cluster, with Mongos).
func (s *Server) ReplicaURI() string {
	if s.opts.Mongos {
		return "mongodb://" + s.addr() + "/"
	}
	return "mongodb://" + s.addr() + "/?replicaSet=" + setName
}

func (s *Server) addr() string { return s.l.Addr().String() }

// Close ends the server and waits for its goroutines. More calls do nothing.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.quit)
		_ = s.l.Close()
		s.DropConnections()
		s.wg.Wait()
	})
}

// DropConnections closes every open connection; new ones are taken.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Handle answers a command by fn; nil, nil from it leaves the command to the
// server. An *Error is sent as the server's, any other error closes the
// connection. The fields ok, operationTime and $clusterTime are added.
func (s *Server) Handle(command string, fn func(Command) (bson.D, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[strings.ToLower(command)] = fn
}

// Fail answers the next commands of that name with these errors, one each, like
// the failpoint failCommand; CloseConnection closes the connection. A change
// stream's own errors belong into its replies.
func (s *Server) Fail(command string, errs ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.ToLower(command)
	s.failures[name] = append(s.failures[name], errs...)
}

// Commands returns the commands of these names that came so far, all without a
// name, in their order.
func (s *Server) Commands(names ...string) []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Command
	for _, c := range s.commands {
		if len(names) == 0 || slices.Contains(names, c.Name) {
			all = append(all, c)
		}
	}
	return all
}

// Clock is the server's present cluster time.
func (s *Server) Clock() bson.Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

// Advance moves the clock to t; an earlier t does nothing. Events move it by themselves.
func (s *Server) Advance(t bson.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(t)
}

func (s *Server) advance(t bson.Timestamp) {
	if t.After(s.clock) {
		s.clock = t
	}
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		select {
		case <-s.quit: // came in while we closed the others
			_ = c.Close()
		default:
		}
		s.wg.Add(1)
		go s.serve(c)
	}
}

func (s *Server) serve(c net.Conn) {
	defer s.wg.Done()
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		m, err := readMessage(r)
		if err != nil {
			return
		}
		reply, err := s.answer(m)
		if err != nil {
			return
		}
		if m.silent {
			continue
		}
		if _, err := c.Write(appendReply(nil, m, reply)); err != nil {
			return
		}
	}
}

// CloseConnection, as an error of a script, closes the connection.
var CloseConnection = errors.New("close the connection")

// wireVersion is the highest that a server of the version speaks.
func (s *Server) wireVersion() int32 {
	major, _, _ := strings.Cut(s.opts.Version, ".")
	n, _ := strconv.Atoi(major)
	switch {
	case n >= 8:
		return 25
	case n == 7:
		return 21
	case n == 6:
		return 17
	case n == 5:
		return 13
	}
	return 9
}
