package scriptsearch

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, wire, err := s.read(r)
	s.opts.Product.header(w.Header())
	if err != nil {
		send(w, Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest, "parse_exception", err.Error())})
		return
	}
	if u, p, _ := r.BasicAuth(); s.opts.Username != "" && (u != s.opts.Username || p != s.opts.Password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="security"`)
		send(w, Answer{Status: http.StatusUnauthorized, Body: errorBody(http.StatusUnauthorized, "security_exception", "unable to authenticate")})
		return
	}
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		if a := hook(r, body); a != nil {
			send(w, *a)
			return
		}
	}
	if len(body) > s.opts.MaxBody {
		send(w, *TooLarge().Whole)
		return
	}
	if r.Method != http.MethodGet && strings.HasSuffix(r.URL.Path, "/_bulk") {
		s.count.requests.Add(1)
		s.count.wire.Add(int64(wire))
		s.count.plain.Add(int64(len(body)))
		s.bulk(w, r, body)
		return
	}
	send(w, s.api(r, body))
}

func (s *Server) read(r *http.Request) (body []byte, wire int, err error) {
	in := &countingReader{r: r.Body}
	src := io.Reader(in)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, 0, err
		}
		src = z
	}
	size := r.ContentLength
	if size > 0 && src == io.Reader(in) {
		body = make([]byte, size)
		_, err = io.ReadFull(src, body)
	} else {
		body, err = io.ReadAll(src)
	}
	return body, in.n, err
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

func send(w http.ResponseWriter, a Answer) {
	for k, v := range a.Header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// bulk plays the script for one bulk request.
func (s *Server) bulk(w http.ResponseWriter, r *http.Request, body []byte) {
	b := &Bulk{Path: r.URL.Path, Query: r.URL.RawQuery, Bytes: len(body), Gzip: r.Header.Get("Content-Encoding") == "gzip"}
	if !s.opts.Discard {
		parsed, err := parseBulk(r, body)
		if err != nil {
			send(w, Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest, "illegal_argument_exception", err.Error())})
			return
		}
		parsed.Gzip = b.Gzip
		b = parsed
		s.count.docs.Add(int64(len(b.Actions)))
	}
	step, keys := s.begin(b)
	defer s.end(keys)
	if !s.wait(r, step) {
		return
	}
	if step.Drop {
		hangUp(w, nil)
		return
	}
	if step.Whole != nil {
		send(w, *step.Whole)
		return
	}
	var answer []byte
	if s.opts.Discard {
		n, deletes := countBulk(body)
		s.count.docs.Add(int64(n))
		answer = appendDone(nil, n, deletes, r.URL.Query().Get("filter_path"))
	} else {
		answer = s.carryOut(b, step, r.URL.Query().Get("filter_path"))
	}
	s.reply(w, r, step, answer)
}

// reply sends the answer of a bulk, or what the step makes of it.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, step Step, answer []byte) {
	if step.Mangle != nil {
		answer = step.Mangle(answer)
	}
	switch {
	case step.Hang:
		select {
		case <-r.Context().Done():
		case <-s.quit:
		}
		hangUp(w, nil)
	case step.Lose:
		hangUp(w, nil)
	case step.Cut:
		hangUp(w, append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(answer))+"\r\n\r\n"),
			answer[:min(step.CutAt, len(answer))]...))
	default:
		send(w, Answer{Body: string(answer)})
	}
}

// hangUp writes raw bytes and closes the connection.
func hangUp(w http.ResponseWriter, raw []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		return
	}
	if err != nil {
		return
	}
	_, _ = conn.Write(raw)
	_ = conn.Close()
}

// wait lets the pause of a step pass; false if the client has gone, or we do.
func (s *Server) wait(r *http.Request, step Step) bool {
	timer := time.NewTimer(step.Delay)
	defer timer.Stop()
	for _, c := range []func() bool{
		func() bool { return waitFor(s.quit, r, timer.C) },
		func() bool { return step.Wait == nil || waitFor(s.quit, r, step.Wait) },
	} {
		if !c() {
			return false
		}
	}
	return true
}

func waitFor[T any](quit <-chan struct{}, r *http.Request, c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-quit:
	case <-r.Context().Done():
	}
	return false
}

// begin notes a bulk, marks its keys as in flight and takes its step.
func (s *Server) begin(b *Bulk) (Step, []key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Discard {
		return s.step(b), nil
	}
	s.bulks = append(s.bulks, *b)
	keys := make([]key, 0, len(b.Actions))
	own := map[key]bool{}
	for _, a := range b.Actions {
		k := key{a.Index, a.ID}
		if own[k] {
			s.overlap++
			continue
		}
		own[k] = true
		if s.flight[k] > 0 {
			s.overlap++
		}
		s.flight[k]++
		keys = append(keys, k)
	}
	return s.step(b), keys
}

func (s *Server) end(keys []key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		if s.flight[k]--; s.flight[k] == 0 {
			delete(s.flight, k)
		}
	}
}

// carryOut applies the actions that the step leaves alone and renders the answer.
func (s *Server) carryOut(b *Bulk, step Step, filter string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]result, len(b.Actions))
	for i, a := range b.Actions {
		if step.Item != nil {
			if ans := step.Item(i, a); ans != nil {
				results[i] = result{a, *ans, a.Index}
				continue
			}
		}
		ans, concrete := s.store.apply(a)
		results[i] = result{a, ans, concrete}
	}
	return appendResults(nil, results, filter)
}
