package search

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// TestTLS: each way in which certificates do not fit, and the cure that is told.
// The same on a real engine is TestSecure.
func TestTLS(t *testing.T) {
	ca, stranger := testkit.NewCA(t, "test ca"), testkit.NewCA(t, "somebody else")
	here := []string{"127.0.0.1"}
	yesterday := time.Now().Add(-24 * time.Hour)
	serve := func(c testkit.Certificate, auth tls.ClientAuthType) string {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(openSearchRoot))
		}))
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes fail on purpose
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.TLS}, ClientAuth: auth, ClientCAs: ca.Pool()}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv.URL
	}
	f := func(url string, x TLS, class flow.Class, parts ...string) {
		t.Helper()
		c, err := Open(t.Context(), Options{URLs: []string{url}, Auth: Auth{Username: "u", Password: "hunter2"}, TLS: x})
		if err == nil {
			c.Close()
		}
		if flow.ClassOf(err) != class {
			t.Errorf("class %s, want %s: %v", flow.ClassOf(err), class, err)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err, p)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q tells the password", err)
		}
	}
	ours := ca.Issue(t, testkit.CertOptions{Name: "client"})
	old := ca.Issue(t, testkit.CertOptions{Name: "old client", Until: yesterday})
	foreign := stranger.Issue(t, testkit.CertOptions{Name: "foreign"})
	good := serve(ca.Issue(t, testkit.CertOptions{Name: "server", Hosts: here}), tls.NoClientCert)
	strict := serve(ca.Issue(t, testkit.CertOptions{Name: "strict", Hosts: here}), tls.RequireAndVerifyClientCert)
	with := func(c testkit.Certificate) TLS { return TLS{CAFile: ca.File, CertFile: c.CertFile, KeyFile: c.KeyFile} }

	f(good, TLS{CAFile: ca.File}, flow.Unknown)
	f(strict, with(ours), flow.Unknown)
	f(good, TLS{}, flow.Config, "unknown authority", "search.tls.ca_file")
	f(good, TLS{CAFile: stranger.File}, flow.Config, "unknown authority", "search.tls.ca_file")
	f(serve(ca.Issue(t, testkit.CertOptions{Name: "expired", Hosts: here, Until: yesterday}), tls.NoClientCert), TLS{CAFile: ca.File},
		flow.Config, "expired", "have it renewed", "clock")
	f(serve(ca.Issue(t, testkit.CertOptions{Name: "elsewhere", Hosts: []string{"search.example"}}), tls.NoClientCert), TLS{CAFile: ca.File},
		flow.Config, "127.0.0.1", "another host name", "search.urls")
	f(strict, TLS{CAFile: ca.File}, flow.Config, "certificate", "search.tls.cert_file")
	f(strict, with(old), flow.Config, "certificate", "search.tls.cert_file")
	f(strict, with(foreign), flow.Config, "certificate", "search.tls.cert_file")
	f(strict, TLS{CAFile: ca.File, CertFile: ours.CertFile, KeyFile: old.KeyFile}, flow.Config, "private key does not match", "search.tls.key_file")
}
