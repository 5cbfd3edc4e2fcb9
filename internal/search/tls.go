package search

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"sluice/internal/flow"
)

// newTransport makes the connections. HTTP/1.1 only: the engines speak nothing
// else, and each bulk has a connection of its own.
func newTransport(o Options) (*http.Transport, error) {
	conf, err := tlsConfig(o.TLS)
	if err != nil {
		return nil, err
	}
	idle := o.MaxInFlight + 4
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConns:          idle * len(o.URLs),
		MaxIdleConnsPerHost:   idle,
		IdleConnTimeout:       45 * time.Second, // below the minute of most load balancers
		ExpectContinueTimeout: time.Second,
		DisableCompression:    !o.Gzip,
		WriteBufferSize:       128 << 10, // fewer system calls for bodies
		ReadBufferSize:        32 << 10,
	}, nil
}

func tlsConfig(t TLS) (*tls.Config, error) {
	fail := func(object string, err error, hint string) error {
		return &flow.Error{Op: "read", Object: object, Class: flow.Config, Err: err, Hint: hint}
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fail(t.CAFile, err, "search.tls.ca_file has to name a PEM file")
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fail(t.CAFile, errors.New("there is no certificate in it"), "search.tls.ca_file has to name a PEM file")
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fail(t.CertFile, err, "search.tls.cert_file and search.tls.key_file go together, both PEM")
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}
