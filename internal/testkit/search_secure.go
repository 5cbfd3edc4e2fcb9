package testkit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// The user of an engine with Secure, who may do everything.
const (
	SearchUser     = "root"
	SearchPassword = "sluice-test"
	// searchHash is the bcrypt of SearchPassword.
	searchHash = "$2a$04$7cNBdM/khnrdTBCdJkzjp.0fVC1kT0kVpf0i0JwWT4CdflxpKBcfm"
)

// Secure turns on users and TLS: for Elasticsearch, and for the one version of
// OpenSearch whose security plug-in is published.
type Secure struct {
	// CA signs what clients show. Its own certificates are trusted by URL's readers.
	CA *CA
	// Server is the certificate that the engine shows at first; see Present.
	Server Certificate
	// Admin is a client's certificate, by which the testkit itself connects.
	Admin Certificate
	// ClientCert: who shows no certificate is refused at the handshake.
	ClientCert bool
	// Rulers are subjects of client certificates that may do everything, and log
	// in by them alone; at most one for Elasticsearch.
	Rulers []string
}

var errSecureProduct = errors.New("Secure is for Elasticsearch, and for OpenSearch " + securityFor)

// settings are the lines of the configuration file.
func (x *Secure) settings(product string) []string {
	if product == OpenSearch {
		return x.openSearchSettings()
	}
	auth := "optional"
	if x.ClientCert {
		auth = "required"
	}
	return []string{
		"xpack.security.enabled: true",
		"xpack.security.transport.ssl.enabled: false",
		"xpack.security.http.ssl: {enabled: true, certificate: server.crt, key: server.key, certificate_authorities: [ca.pem], client_authentication: " + auth + "}",
		"xpack.security.authc.realms.file.file1.order: 0",
		"xpack.security.authc.realms.pki.pki1.order: 1",
		"xpack.license.self_generated.type: trial", // logins by certificate are not in the free one
		"resource.reload.interval.high: 1s",
	}
}

// files are more files of the configuration folder.
func (x *Secure) files(product string) (map[string]string, error) {
	files := map[string]string{
		"users":            SearchUser + ":" + searchHash + "\n",
		"users_roles":      "superuser:" + SearchUser + "\n",
		"role_mapping.yml": "",
	}
	for _, subject := range x.Rulers {
		files["role_mapping.yml"] += fmt.Sprintf("superuser:\n  - %q\n", subject)
	}
	if product == OpenSearch {
		files = x.openSearchFiles()
	}
	for name, from := range map[string]string{
		"ca.pem": x.CA.File, "server.crt": x.Server.CertFile, "server.key": x.Server.KeyFile,
		"node.crt": x.Server.CertFile, "node.key": x.Server.KeyFile,
	} {
		b, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		files[name] = string(b)
	}
	return files, nil
}

// client connects as Admin and does not care what the engine shows.
func (x *Secure) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{x.Admin.TLS},
			InsecureSkipVerify: true, // the testkit waits for its own server, and sends nothing of worth
		},
	}}
}

// Present has the running engine show another certificate. With Elasticsearch
// it takes some seconds until it does; OpenSearch is started again.
func (s *Search) Present(c Certificate) error {
	for name, from := range map[string]string{"server.crt": c.CertFile, "server.key": c.KeyFile} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		to := filepath.Join(s.path("config"), name)
		if err := os.WriteFile(to+".new", b, 0o644); err != nil {
			return err
		}
		if err := os.Rename(to+".new", to); err != nil {
			return err
		}
	}
	if s.dist.product == OpenSearch {
		return s.Restart()
	}
	return nil
}

// Presents returns the certificate's serial number that the engine shows now.
func (s *Search) Presents(ctx context.Context) (string, error) {
	d := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.opts.Secure.Admin.TLS},
		InsecureSkipVerify: true, // to see it, whatever it is
	}}
	serial := ""
	d.Config.VerifyConnection = func(state tls.ConnectionState) error {
		serial = state.PeerCertificates[0].SerialNumber.String()
		return nil
	}
	conn, err := d.DialContext(ctx, "tcp", s.port.addr())
	if err != nil {
		return "", err
	}
	return serial, conn.Close()
}

// Ask sends a request to an engine as its root and returns status and body.
func (s *Search) Ask(ctx context.Context, method, path string, body io.Reader) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.URL()+path, body)
	if err != nil {
		return 0, nil, err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	client := http.DefaultClient
	if s.opts.Secure != nil {
		req.SetBasicAuth(SearchUser, SearchPassword)
		client = s.opts.Secure.client()
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, text, err
}
