package scriptsearch

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// Options shape a server; the zero value is OpenSearch 3.6.0 that keeps what
// it is sent.
type Options struct {
	Product Product
	// NoRoot: GET / is not served, as in the stripped distributions.
	NoRoot bool
	// MaxBody is the largest plain body in bytes, above which the answer is
	// 413; 0 is 100 MB.
	MaxBody int
	// Discard: count documents and bytes, keep nothing, check no versions. For
	// benchmarks: the server then costs little more than reading the body.
	Discard bool
	// Username and Password, if set, must come with every request.
	Username, Password string
}

// Server is a running scripted engine. All methods may be called at any time
// from any goroutine.
type Server struct {
	opts  Options
	http  *httptest.Server
	quit  chan struct{}
	once  sync.Once
	count counters

	mu      sync.Mutex
	steps   []Step
	always  *Step
	hook    func(r *http.Request, body []byte) *Answer
	bulks   []Bulk
	flight  map[key]int
	overlap int
	store   store
}

type counters struct{ requests, docs, wire, plain atomic.Int64 }

// Counts are what the server has been sent since it started.
type Counts struct {
	// Requests are bulk requests; Docs the actions in them; Wire the bytes of
	// their bodies as sent, Plain the same after decompression.
	Requests, Docs, Wire, Plain int64
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := Start(o)
	t.Cleanup(s.Close)
	return s
}

// Start starts a server on a free loopback port; the caller closes it.
func Start(o Options) *Server {
	if o.Product == (Product{}) {
		o.Product = OpenSearch3
	}
	if o.MaxBody == 0 {
		o.MaxBody = 100 << 20
	}
	s := &Server{opts: o, quit: make(chan struct{}), flight: map[key]int{}, store: newStore()}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// URL is the base, without a slash at the end.
func (s *Server) URL() string { return s.http.URL }

// Close ends the server, and every request that hangs. More calls do nothing.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.quit)
		s.http.CloseClientConnections()
		s.http.Close()
	})
}

// Script appends steps. Each bulk request takes the first step that matches
// it; a step is used once (see Step.Times). Without one, Always applies.
func (s *Server) Script(steps ...Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, steps...)
}

// Always sets what every bulk request gets for which the script has no step,
// nil for the plain answer.
func (s *Server) Always(step *Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = step
}

// Handle sets a function that sees every request first, bulks too, with its
// plain body; nil from it goes on as usual.
func (s *Server) Handle(hook func(r *http.Request, body []byte) *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Pending is how many steps of the script have not been used up.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.steps)
}

// Counts returns what came so far.
func (s *Server) Counts() Counts {
	c := &s.count
	return Counts{c.requests.Load(), c.docs.Load(), c.wire.Load(), c.plain.Load()}
}

// Bulks returns the bulk requests so far, in the order of their arrival
// (none with Discard).
func (s *Server) Bulks() []Bulk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bulks)
}

// Overlaps counts the actions that came for a key while another request with
// that key was still unanswered: 0, if the sender keeps the order per document.
func (s *Server) Overlaps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlap
}

// step takes the step for a bulk out of the script.
func (s *Server) step(b *Bulk) Step {
	for i := range s.steps {
		st := &s.steps[i]
		if st.When != nil && !st.When(b) {
			continue
		}
		taken := *st
		if st.Times--; st.Times <= 0 {
			s.steps = slices.Delete(s.steps, i, i+1)
		}
		return taken
	}
	if s.always != nil && (s.always.When == nil || s.always.When(b)) {
		return *s.always
	}
	return Step{}
}
