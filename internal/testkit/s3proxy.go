package testkit

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// S3Action is what S3Proxy does to a request.
type S3Action int

// The actions of S3Fault.
const (
	// S3Cut lets After bytes of the request's body through, then cuts both
	// connections: the server has half a body, the client no answer.
	S3Cut S3Action = iota + 1
	// S3SwallowAnswer lets the request succeed, and cuts instead of answering.
	S3SwallowAnswer
	// S3CutAnswer lets After bytes of the answer's body through, then cuts.
	S3CutAnswer
	// S3Status answers with Status and Code; the server never hears of it.
	S3Status
	// S3CorruptBody changes the byte number After of the request's body.
	S3CorruptBody
	// S3CorruptAnswer changes the byte number After of the answer's body.
	S3CorruptAnswer
	// S3Stall never answers: it waits for the client to give up.
	S3Stall
)

// S3Fault is one thing that goes wrong. The first fault that fits a request and
// is not used up acts on it.
type S3Fault struct {
	// Call is the operation: "PutObject", "UploadPart", "CompleteMultipartUpload",
	// "CreateMultipartUpload", "AbortMultipartUpload", "GetObject", "HeadObject",
	// "DeleteObject", "ListObjectsV2", "RestoreObject"; empty for any.
	Call string
	// Part is the number of the part, from 1; 0 for any.
	Part int
	// Key is a part of the object's key; empty for any.
	Key string
	// Skip lets so many fitting requests pass before.
	Skip int
	// Times is how often it acts; 0 is once, -1 always.
	Times int
	Do    S3Action
	// After is in bytes of the body.
	After int64
	// Status and Code are for S3Status, such as 503 and "SlowDown".
	Status int
	Code   string
}

// S3Proxy is an http server in front of an S3 server that breaks requests on
// command. All methods are safe for concurrent use.
type S3Proxy struct {
	target *url.URL
	server *httptest.Server
	next   *http.Transport
	mu     sync.Mutex
	faults []*S3Fault
	hits   int
	calls  []string
}

// NewS3Proxy starts a proxy before the server at endpoint (http). Close ends it.
func NewS3Proxy(endpoint string) (*S3Proxy, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	p := &S3Proxy{target: target, next: &http.Transport{DisableCompression: true}}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	return p, nil
}

// Endpoint is the URL of the proxy, to be used in place of the server's.
func (p *S3Proxy) Endpoint() string { return p.server.URL }

// Close ends the proxy and waits for its requests.
func (p *S3Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
	p.next.CloseIdleConnections()
}

// Fail adds faults behind those that are not used up.
func (p *S3Proxy) Fail(faults ...S3Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		p.faults = append(p.faults, &f)
	}
}

// Clear removes all faults, and what Hits and Calls count.
func (p *S3Proxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.hits, p.calls = nil, 0, nil
}

// Hits is how often a fault acted.
func (p *S3Proxy) Hits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

// Calls are the operations that came, in order; parts with their number:
// "UploadPart 2".
func (p *S3Proxy) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...)
}

// fault notes the call and returns what is to happen to it.
func (p *S3Proxy) fault(r *http.Request) S3Fault {
	call, part := s3Call(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if part > 0 {
		p.calls = append(p.calls, call+" "+strconv.Itoa(part))
	} else {
		p.calls = append(p.calls, call)
	}
	for _, f := range p.faults {
		if f.Call != "" && f.Call != call || f.Part != 0 && f.Part != part || !strings.Contains(r.URL.Path, f.Key) || f.Times == 0 {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		p.hits++
		return *f
	}
	return S3Fault{}
}

// s3Call names the operation of a request.
func s3Call(r *http.Request) (call string, part int) {
	q := r.URL.Query()
	part, _ = strconv.Atoi(q.Get("partNumber"))
	_, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var calls map[string]string
	switch {
	case q.Get("uploadId") != "":
		calls = map[string]string{"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
	case q.Has("uploads"):
		calls = map[string]string{"POST": "CreateMultipartUpload", "GET": "ListMultipartUploads"}
	case q.Has("restore"):
		calls = map[string]string{"POST": "RestoreObject"}
	case q.Has("list-type"):
		calls = map[string]string{"GET": "ListObjectsV2"}
	case object != "":
		calls = map[string]string{"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
	}
	if call = calls[r.Method]; call == "" {
		call = r.Method
	}
	return call, part
}

func (p *S3Proxy) serve(w http.ResponseWriter, r *http.Request) {
	f := p.fault(r)
	switch f.Do {
	case S3Status:
		_, _ = io.Copy(io.Discard, r.Body)
		s3Answer(w, f)
		return
	case S3Stall:
		// The server sees a client that leaves only when nothing is left to read.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	}
	res, err := p.forward(r, f)
	if err != nil || f.Do == S3SwallowAnswer || f.Do == S3Cut {
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	defer func() { _ = res.Body.Close() }()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	body := io.Reader(res.Body)
	switch f.Do {
	case S3CutAnswer:
		_, _ = io.CopyN(w, body, f.After)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case S3CorruptAnswer:
		body = &flipped{r: body, at: f.After}
	}
	if _, err := io.Copy(w, body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// forward sends the request on. The host stays the client's: it is signed.
func (p *S3Proxy) forward(r *http.Request, f S3Fault) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = p.target.Scheme, p.target.Host, ""
	out.Header.Del("Expect")
	out.Header.Del("Connection")
	switch f.Do {
	case S3Cut:
		out.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, f.After), cutReader{}))
	case S3CorruptBody:
		out.Body = io.NopCloser(&flipped{r: r.Body, at: f.After})
	}
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	return p.next.RoundTrip(out)
}

// s3Answer answers as S3 does.
func s3Answer(w http.ResponseWriter, f S3Fault) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+f.Code+`</Code><Message>on command</Message></Error>`)
}

type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, errors.New("cut on command") }

// flipped changes the byte at at.
type flipped struct {
	r  io.Reader
	at int64
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}
