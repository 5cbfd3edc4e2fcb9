package objstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
)

// newHTTPClient makes the client of one store: it ends connections that stand
// still, and keeps the limits of WithLimit. base is the SDK's, which knows the
// certificates of AWS_CA_BUNDLE.
func newHTTPClient(base aws.HTTPClient, o S3Options) (*http.Client, func(), error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if b, ok := base.(*awshttp.BuildableClient); ok {
		if t := b.GetTransport(); t.TLSClientConfig != nil {
			tlsConfig = t.TLSClientConfig.Clone()
		}
	}
	if o.CAFile != "" {
		if err := trust(tlsConfig, o.CAFile); err != nil {
			return nil, nil, err
		}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     min(o.Idle, 90*time.Second),
		MaxIdleConnsPerHost: 32,
		// A refusal comes before a large body is sent.
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &idleConn{Conn: c, idle: o.Idle}, nil
		},
	}
	client := &http.Client{
		Transport: limitedTransport{t},
		// A redirect means another region; the signature is for one host alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client, t.CloseIdleConnections, nil
}

// trust adds the certificates of a file to those that are trusted already.
func trust(c *tls.Config, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("certificates to trust: %w", err)
	}
	pool := c.RootCAs
	if pool == nil {
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	}
	pool = pool.Clone()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("certificates to trust: there is none in PEM form in %s", file)
	}
	c.RootCAs = pool
	return nil
}

// idleConn ends when nothing moves in either direction: during a long upload
// nothing comes back, and during a long download nothing is sent.
type idleConn struct {
	net.Conn
	idle time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(c.idle))
	}
	return n, err
}

// limitedTransport slows the bodies of requests whose context says so.
type limitedTransport struct{ next http.RoundTripper }

func (t limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if l, ok := req.Context().Value(limitsKey{}).(limits); ok && req.Body != nil && req.Body != http.NoBody {
		body := req.Body
		req = req.Clone(req.Context())
		req.Body = struct {
			io.Reader
			io.Closer
		}{limitReader(req.Context(), body, l.up), body}
	}
	return t.next.RoundTrip(req)
}

// attemptsKey finds the counter of a call.
type attemptsKey struct{}

// withAttempts returns a counter of the requests that a call really sent: only
// after the first can "it exists" mean ourselves.
func withAttempts(ctx context.Context) (context.Context, *int) {
	n := new(int)
	return context.WithValue(ctx, attemptsKey{}, n), n
}

func countAttempts(stack *middleware.Stack) error {
	count := middleware.FinalizeMiddlewareFunc("SluiceCountAttempts",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if n, ok := ctx.Value(attemptsKey{}).(*int); ok {
				*n++
			}
			return next.HandleFinalize(ctx, in)
		})
	return stack.Finalize.Insert(count, "Retry", middleware.After)
}
