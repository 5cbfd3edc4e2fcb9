package mongo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// x509Mechanism logs in by the certificate that the connection shows.
const x509Mechanism = "MONGODB-X509"

// The cures of what TLS does not let through.
const (
	hintAuthority = "the authority that signed the certificate of the server is not trusted here: " +
		"name its PEM file in mongodb.uri by tlsCAFile="
	hintHostName = "the certificate of the server is for another host name: give in mongodb.uri a name that it holds, " +
		"or have it issued for this one"
	hintExpired = "the certificate of the server is not valid at this time: have it renewed, and see that the clock of this machine is right; " +
		"mongodb.uri stays as it is"
	hintOurCertificate = "the server does not take our certificate, or misses one: name in mongodb.uri, by tlsCertificateKeyFile=, a PEM file " +
		"with a key and a certificate that an authority of the server has signed and that is valid now"
	hintNoTLS = "the server speaks no TLS here: take tls=true and what begins with tls out of mongodb.uri, or turn TLS on in the server"
)

// tlsFault explains a handshake that failed; nil if err is no such thing. The
// driver keeps no chain of errors from its monitors, only their words.
func tlsFault(uri string, err error) error {
	text := err.Error()
	hint, words := "", ""
	for _, c := range []struct{ part, hint string }{
		{"x509: certificate signed by unknown authority", hintAuthority},
		{"x509: certificate has expired or is not yet valid", hintExpired},
		{"x509: cannot validate certificate for", hintHostName},
		{"x509: certificate is valid for", hintHostName},
		{"x509: certificate is not valid for any names", hintHostName},
		{"tls: first record does not look like a TLS handshake", hintNoTLS},
		{"remote error: tls: ", hintOurCertificate},
		{"x509: ", hintAuthority},
	} {
		if at := strings.Index(text, c.part); at >= 0 {
			hint, words = c.hint, text[at:]
			break
		}
	}
	if hint == "" {
		return nil
	}
	// What follows is the driver's account of the whole topology.
	if end := strings.IndexAny(words, "}]"); end >= 0 {
		words = strings.TrimRight(words[:end], " ,")
	}
	return &flow.Error{Op: "connect by TLS to MongoDB", Object: uri, Class: flow.Config, Err: errors.New(words), Hint: hint}
}

// certificateFault asks a server by TLS why it ends our connections: mongod
// does so without a word when it does not like our certificate. nil if it is
// not that.
func certificateFault(ctx context.Context, co *options.ClientOptions, host, uri string) error {
	if co.TLSConfig == nil {
		return nil
	}
	conf, asked := co.TLSConfig.Clone(), false
	var ours tls.Certificate
	if len(conf.Certificates) > 0 {
		ours = conf.Certificates[0]
	}
	if name, _, err := net.SplitHostPort(host); err == nil && conf.ServerName == "" {
		conf.ServerName = name
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &ours, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", host)
	if err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err = conn.Read(make([]byte, 1)) // a server does not speak first
		_ = conn.Close()
	}
	if !asked || err == nil || errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
		return nil
	}
	return &flow.Error{Op: "connect by TLS to MongoDB", Object: uri, Class: flow.Config, Err: whyNotOurs(ours), Hint: hintOurCertificate}
}

// whyNotOurs says what can be seen from here.
func whyNotOurs(c tls.Certificate) error {
	if len(c.Certificate) == 0 {
		return errors.New("the server asks for a certificate of ours, and none is configured")
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if now := time.Now(); err == nil && now.After(leaf.NotAfter) {
		return fmt.Errorf("the server refuses our certificate, which expired on %s", leaf.NotAfter.UTC().Format(time.DateTime))
	}
	return errors.New("the server ends the connection when it sees our certificate")
}

// loginHint is the cure of a login that was refused.
func loginHint(co *options.ClientOptions) string {
	if co.Auth != nil && co.Auth.AuthMechanism == x509Mechanism {
		return "a login by X.509 needs a user of the database $external whose name is the whole subject of our certificate, " +
			`as "openssl x509 -subject -nameopt RFC2253" writes it, and O, OU or DC other than those of the servers`
	}
	return "check user and password, and the database that holds the user: ?authSource=admin"
}

// uriHint is the cure of a URI that the driver does not take.
func uriHint(err error) string {
	for _, part := range []string{"no such file", "permission denied", "PEM", "certificate", "private key"} {
		if strings.Contains(err.Error(), part) {
			return fileHint
		}
	}
	return ""
}

const fileHint = "tlsCAFile= and tlsCertificateKeyFile= in mongodb.uri have to name PEM files that can be read here; " +
	"the latter holds a key and its certificate"
