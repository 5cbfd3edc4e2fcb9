package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/internal/flow"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// errAnswerTooLarge says that an answer is longer than maxAnswer.
var errAnswerTooLarge = errors.New("the answer is longer than 64 MB")

// request is one call to the engine. Its body is only lent to the transport.
type request struct {
	method string
	// path begins with a slash and is escaped; it may carry a query.
	path   string
	body   []byte
	ndjson bool
	// gzipped: body is compressed already.
	gzipped bool
	// unique: a second copy would do harm, so another node is tried only if
	// this one certainly has not got it.
	unique bool
	// lent counts the readers of body that the transport has not closed: it may
	// go on reading after the answer is there.
	lent atomic.Int32
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
	node   string
}

// lentBody tells when the transport is done with the bytes of a request.
type lentBody struct {
	bytes.Reader
	lent   *atomic.Int32
	closed atomic.Bool
}

// Close gives the bytes back; later calls do nothing.
func (b *lentBody) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		b.lent.Add(-1)
	}
	return nil
}

func (r *request) reader() io.ReadCloser {
	r.lent.Add(1)
	b := &lentBody{lent: &r.lent}
	b.Reset(r.body)
	return b
}

// do sends r to the nodes in turn until one answers, and reads the answer into
// buf. Any answer counts, whatever its status. Errors are ctx's own or
// *flow.Error, Transient unless the cause is known to stay.
func (c *Client) do(ctx context.Context, r *request, buf []byte) (*answer, error) {
	var tried []*node
	var last error
	for {
		n := c.nodes.pick(tried)
		if n == nil {
			return nil, last
		}
		tried = append(tried, n)
		started := time.Now()
		ans, err := c.once(ctx, n, r, buf)
		c.trace(ctx, n, r, ans, err, time.Since(started))
		if err == nil {
			if ans.status == http.StatusBadGateway || ans.status == http.StatusServiceUnavailable || ans.status == http.StatusGatewayTimeout {
				c.nodes.failed(n)
			} else {
				c.nodes.works(n)
			}
			return ans, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var unsigned *flow.Error
		if errors.As(err, &unsigned) { // no node is to blame
			return nil, unsigned
		}
		if errors.Is(err, errAnswerTooLarge) {
			return nil, unreachable(n.base, r, err, c.timeout)
		}
		c.nodes.failed(n)
		last = unreachable(n.base, r, err, c.timeout)
		if errors.Is(err, context.DeadlineExceeded) || (r.unique && !notSent(err)) {
			return nil, last
		}
	}
}

// once sends r to one node.
func (c *Client) once(ctx context.Context, n *node, r *request, buf []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, n.base+r.path, nil)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Body = r.reader()
		req.ContentLength = int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return r.reader(), nil }
		req.Header.Set("Content-Type", "application/json")
		if r.ndjson {
			req.Header.Set("Content-Type", "application/x-ndjson")
		}
		if r.gzipped {
			req.Header.Set("Content-Encoding", "gzip")
		}
	}
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	req.Header.Set("User-Agent", "sluice")
	if c.signer != nil {
		if err := c.signer.sign(ctx, req, r.body); err != nil {
			return nil, err
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readAll(resp.Body, buf)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body, node: n.base}, nil
}

// readAll reads r to its end into buf.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	buf = buf[:0]
	if cap(buf) == 0 {
		buf = make([]byte, 0, 4<<10)
	}
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= maxAnswer {
				return buf, errAnswerTooLarge
			}
			grown := make([]byte, len(buf), 2*cap(buf))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// call sends a small request and decodes a JSON answer into out, unless out is
// nil. An answer of status 300 and above is an error that holds an *apiError.
// op and object go into the errors: op says what was being done to object.
func (c *Client) call(ctx context.Context, op, object string, r *request, out any) error {
	ans, err := c.do(ctx, r, nil)
	if err != nil {
		return err
	}
	if ans.status >= 300 {
		return failure(op, object, parseError(ans))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(ans.body, out); err != nil {
		return &flow.Error{
			Op: op, Object: object, Class: flow.Transient,
			Err: fmt.Errorf("%s gave an answer that can't be read: %w", ans.node, err),
		}
	}
	return nil
}

// get, put and post are the usual calls.
func get(path string) *request { return &request{method: http.MethodGet, path: path} }

func put(path string, body []byte) *request {
	return &request{method: http.MethodPut, path: path, body: body}
}

func post(path string, body []byte) *request {
	return &request{method: http.MethodPost, path: path, body: body}
}

func del(path string) *request { return &request{method: http.MethodDelete, path: path} }

// seconds renders a duration the way the engines read it.
func seconds(d time.Duration) string { return fmt.Sprintf("%ds", max(1, int(d.Seconds()))) }
