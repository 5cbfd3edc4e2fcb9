package search

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// Discard is a http.RoundTripper for benchmarks: it takes every bulk and throws
// it away, and says that each index is there. It speaks for an empty OpenSearch.
type Discard struct {
	docs  atomic.Int64
	bytes atomic.Int64
	pool  sync.Pool
}

// NewDiscard returns one that has seen nothing.
func NewDiscard() *Discard { return &Discard{} }

// Docs returns how many actions were thrown away.
func (d *Discard) Docs() int64 { return d.docs.Load() }

// Bytes returns how long their bodies were.
func (d *Discard) Bytes() int64 { return d.bytes.Load() }

// RoundTrip answers a request; only bodies of bulks may be large.
func (d *Discard) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"acknowledged":true,"shards_acknowledged":true,"_shards":{"total":1,"successful":1,"failed":0}}`
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/_bulk"):
		return d.bulk(r)
	case path == "/" || path == "":
		body = `{"version":{"distribution":"opensearch","number":"3.0.0"},"tagline":"The OpenSearch Project"}`
	case strings.HasSuffix(path, "/_count"):
		body = `{"count":0,"_shards":{"failed":0}}`
	case strings.Contains(path, "/_search"):
		body = `{"_shards":{"failed":0},"hits":{"hits":[]}}`
	case r.Method == http.MethodGet && strings.Count(path, "/") == 1:
		name := strings.Trim(path, "/")
		body = `{"` + name + `-000001":{"aliases":{"` + name + `":{"is_write_index":true}},"mappings":{},"settings":{"index.uuid":"discard"}}}`
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return respond(r, []byte(body)), nil
}

// bulk counts the actions and answers them all with done.
func (d *Discard) bulk(r *http.Request) (*http.Response, error) {
	lines, _ := d.pool.Get().(*bufio.Reader)
	if lines == nil {
		lines = bufio.NewReaderSize(nil, 64<<10)
	}
	defer d.pool.Put(lines)
	lines.Reset(r.Body)
	defer func() { _ = r.Body.Close() }()
	ans := make([]byte, 0, 32<<10)
	ans = append(ans, `{"errors":false,"items":[`...)
	for n := 0; ; n++ {
		op, err := lineOp(lines)
		if errors.Is(err, io.EOF) {
			d.docs.Add(int64(n))
			d.bytes.Add(max(0, r.ContentLength))
			return respond(r, append(ans, `]}`...)), nil
		}
		if err != nil {
			return nil, err
		}
		if n > 0 {
			ans = append(ans, ',')
		}
		if op == 'd' {
			ans = append(ans, `{"delete":{"status":200}}`...)
			continue
		}
		ans = append(ans, `{"index":{"status":201}}`...)
		if err := skipLine(lines); err != nil {
			return nil, err
		}
	}
}

// lineOp reads an action line and returns the first letter of its action.
func lineOp(r *bufio.Reader) (byte, error) {
	head, err := r.Peek(3)
	if err != nil {
		return 0, io.EOF
	}
	op := head[2]
	return op, skipLine(r)
}

func skipLine(r *bufio.Reader) error {
	for {
		_, err := r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func respond(r *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": []string{"application/json"}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}
}
