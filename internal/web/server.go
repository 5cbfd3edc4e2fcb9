package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/flow"
)

// Bounds on what a client may take.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
)

// Options say what is served and to whom.
type Options struct {
	// Listen is host:port; port 0 takes any that is free.
	Listen string
	// Token, if not empty, must come with each request but those to /healthz,
	// as "Authorization: Bearer …". Empty: only requests whose Host names this
	// machine are answered, which keeps web pages out that rebind their DNS name.
	Token string
	// Probes: nothing but /healthz and /readyz is served, to everybody, and the
	// latter says yes or no, without a reason. For supervisors without secrets.
	Probes bool
	// Monstache: this server has the paths and answers of Monstache's, and nothing else.
	Monstache *Monstache
	// Setting says in errors what sets Listen; "": --listen or http.listen.
	Setting string
	// Registry is what /metrics shows.
	Registry *prometheus.Registry
	// Status returns what /status shows, as JSON. Called from several goroutines.
	Status func() any
	// Ready returns nil, or why not. Called from several goroutines; its
	// context ends after readyTimeout.
	Ready func(context.Context) error
	// Archive, if not nil, is paused and resumed by /archive/pause and
	// /archive/resume.
	Archive Pauser
	// Flows, if not nil, carries out what is asked for below /flows/NAME/.
	Flows Flows
	// Logger gets what goes wrong with the server itself; nil: nothing does.
	Logger *slog.Logger
}

// Pauser pauses rules of the archive, all of them with "", until Resume. Called
// from several goroutines. An error is that there is no such rule.
type Pauser interface {
	Pause(rule, reason string) error
	Resume(rule string) error
}

// Server is the HTTP server. Start and Stop are called once each, in order.
type Server struct {
	o Options
	// token is Options.Token, or what took its place.
	token atomic.Pointer[string]
	http  *http.Server
	addr  net.Addr
	done  chan struct{}
}

// New prepares a server; nothing is opened before Start.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Setting == "" {
		o.Setting = "--listen or http.listen"
	}
	s := &Server{o: o, done: make(chan struct{})}
	s.token.Store(&o.Token)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// SetToken changes Options.Token for all requests from now on; safe at any time.
func (s *Server) SetToken(token string) { s.token.Store(&token) }

// Start listens and serves from a goroutine of its own until Stop. Its error
// is a *flow.Error of class Config that names the cure.
func (s *Server) Start() error {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", s.o.Listen)
	if err != nil {
		return &flow.Error{Op: "listen on", Object: s.o.Listen, Class: flow.Config, Err: cause(err), Hint: cure(err, s.o.Setting)}
	}
	s.addr = l.Addr()
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.o.Logger.Error("the HTTP server ended", slog.Any(flow.LogErr, err))
		}
	}()
	return nil
}

// Addr is where the server listens, with the port that it got; nil before Start.
func (s *Server) Addr() net.Addr { return s.addr }

// Stop takes no more requests and waits for those that run, until ctx ends;
// then it cuts them. Nothing of the server is left when it returns.
func (s *Server) Stop(ctx context.Context) error {
	if s.addr == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(&flow.Error{Op: "stop the HTTP server", Class: flow.Transient, Err: err}, s.http.Close())
	}
	<-s.done
	return err
}

// cause is the error of the system without the address, which the caller names.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func cure(err error, setting string) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "something listens there already, perhaps another sluice: end it, or choose another port with " + setting
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need special rights: choose a higher one with " + setting
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine doesn't have that address: choose another with " + setting
	}
	return "choose another address with " + setting
}
