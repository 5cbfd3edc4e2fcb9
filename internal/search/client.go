package search

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"time"

	"sluice/internal/flow"
)

// Client is a connection to one cluster, safe for concurrent use.
type Client struct {
	opts          Options
	nodes         *nodes
	http          *http.Client
	authorization string
	signer        *signer // nil: requests are not signed
	timeout       time.Duration
	log           *slog.Logger
	metrics       *Metrics
	product       Product
	version       Version
	sink          *Sink
}

// Open connects, finds out product and version and proves the login. Errors
// are *flow.Error and name the URL, the cause and the cure: Config for what was
// written wrong, Auth for the login, Transient for a cluster that is not there.
func Open(ctx context.Context, o Options) (*Client, error) {
	o = o.withDefaults()
	ns, auth, err := parseNodes(o.URLs, o.Auth)
	if err != nil {
		return nil, &flow.Error{Op: "open search", Class: flow.Config, Err: err, Hint: "check search.urls"}
	}
	o.Auth = Auth{}
	if err := refuseServerless(o.URLs); err != nil {
		return nil, err
	}
	sign, err := newSigner(ctx, o.AWS)
	if err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = newTransport(o); err != nil {
			return nil, err
		}
	}
	c := &Client{
		opts: o, nodes: ns, authorization: authorization(auth), signer: sign, timeout: o.Timeout, log: o.Logger, metrics: o.Metrics,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
	if err := c.detect(ctx); err != nil {
		c.Close()
		return nil, err
	}
	c.sink = newSink(c)
	return c, nil
}

func authorization(a Auth) string {
	switch {
	case a.APIKey != "":
		return "ApiKey " + a.APIKey
	case a.Username != "" || a.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password))
	}
	return ""
}

// Sink returns the sink of this client, the same one each time.
func (c *Client) Sink() *Sink { return c.sink }

// Product returns which engine answers.
func (c *Client) Product() Product { return c.product }

// Version returns the engine's version; zero if it could not be found out.
func (c *Client) Version() Version { return c.version }

// Ping tells whether the cluster answers and takes our login.
func (c *Client) Ping(ctx context.Context) error {
	_, _, err := c.identify(ctx)
	return err
}

// Close lets go of idle connections. Nothing may be in flight.
func (c *Client) Close() { c.http.CloseIdleConnections() }
