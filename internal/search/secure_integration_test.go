//go:build integration

package search

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// secureEngine is the engine whose logins are tried: that of the matrix, if it
// can be had with security, the middle Elasticsearch in the wide run, none
// else, for it starts an engine of its own.
func secureEngine() (product, version string) {
	product, version, _ = strings.Cut(os.Getenv("SLUICE_TEST_SEARCH_VERSION"), " ")
	wide, _ := strconv.ParseBool(os.Getenv("SLUICE_SOAK"))
	switch {
	case product == testkit.Elasticsearch, product == testkit.OpenSearch && version == "2.19.4":
		return product, version
	case wide && product == "":
		return testkit.Elasticsearch, "8.19.21"
	}
	return "", ""
}

var errOldCertificate = errors.New("the engine shows the certificate of before")

// TestSecure: logins by password, API key and certificate on a real engine that
// speaks TLS, and what is said when a certificate does not fit.
func TestSecure(t *testing.T) {
	product, version := secureEngine()
	if product == "" {
		return
	}
	ca, stranger := testkit.NewCA(t, "test ca"), testkit.NewCA(t, "somebody else")
	issue := func(c *testkit.CA, name string, hosts ...string) testkit.Certificate {
		return c.Issue(t, testkit.CertOptions{Name: name, Unit: "apps", Organization: "test", Hosts: hosts})
	}
	client, nobody, foreign := issue(ca, "sluice"), issue(ca, "nobody"), issue(stranger, "foreign")
	s, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{
		Own: true, Product: product, Version: version,
		Secure: &testkit.Secure{
			CA: ca, Server: issue(ca, "node", "127.0.0.1"), Admin: issue(ca, "admin"), ClientCert: true,
			Rulers: []string{client.Subject},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	password := Auth{Username: testkit.SearchUser, Password: testkit.SearchPassword}
	with := func(c testkit.Certificate) TLS { return TLS{CAFile: ca.File, CertFile: c.CertFile, KeyFile: c.KeyFile} }
	writes := func(name string, a Auth, x TLS) {
		t.Helper()
		g := newRig(t, s.URL(), Route{}, func(o *Options) { o.Auth, o.TLS = a, x })
		g.want("done", write(t, name, 5))
		if g.source(name) == nil {
			t.Errorf("%s: nothing was written", name)
		}
	}
	fails := func(a Auth, x TLS, class flow.Class, parts ...string) {
		t.Helper()
		err := openError(t, Options{URLs: []string{s.URL()}, Auth: a, TLS: x})
		t.Log(err)
		if flow.ClassOf(err) != class {
			t.Errorf("class %s, want %s: %v", flow.ClassOf(err), class, err)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err, p)
			}
		}
		if strings.Contains(err.Error(), testkit.SearchPassword) {
			t.Errorf("%q tells the password", err)
		}
	}

	writes("password", password, with(client))
	writes("certificate", Auth{}, with(client))
	if key := apiKey(t, s); key != "" {
		writes("key", Auth{APIKey: key}, with(nobody))
	}
	// After a login that is not known the certificate counts, whose subject has no
	// role; only Elasticsearch ends with a wrong password.
	stranded := []string{"status 403", "nobody", "the privilege cluster:monitor/"}
	if product == testkit.Elasticsearch {
		fails(Auth{Username: testkit.SearchUser, Password: "wrong"}, with(nobody), flow.Auth, "status 401", "search.auth")
	} else {
		fails(Auth{Username: testkit.SearchUser, Password: "wrong"}, with(nobody), flow.Auth, stranded...)
	}
	fails(Auth{APIKey: "d3Jvbmc6d3Jvbmc="}, with(nobody), flow.Auth, stranded...)
	fails(Auth{}, with(nobody), flow.Auth, stranded...)
	fails(password, TLS{CAFile: stranger.File, CertFile: client.CertFile, KeyFile: client.KeyFile}, flow.Config, "unknown authority", "search.tls.ca_file")
	fails(password, TLS{CertFile: client.CertFile, KeyFile: client.KeyFile}, flow.Config, "unknown authority", "search.tls.ca_file")
	fails(password, TLS{CAFile: ca.File}, flow.Config, "tls:", "search.tls.cert_file")
	fails(password, with(foreign), flow.Config, "tls:", "search.tls.cert_file")
	old := ca.Issue(t, testkit.CertOptions{Name: "old", Until: time.Now().Add(-time.Hour)})
	fails(password, with(old), flow.Config, "tls:", "search.tls.cert_file")

	show := func(c testkit.Certificate) {
		t.Helper()
		if err := s.Present(c); err != nil {
			t.Fatal(err)
		}
		want := c.TLS.Leaf.SerialNumber.String()
		testkit.Eventually(t, 30*time.Second, func() error {
			got, err := s.Presents(t.Context())
			if err == nil && got != want {
				err = errOldCertificate
			}
			return err
		})
	}
	show(issue(ca, "elsewhere", "search.example"))
	fails(password, with(client), flow.Config, "127.0.0.1", "another host name", "search.urls")
	until := time.Now().Add(-time.Hour)
	if product == testkit.OpenSearch { // does not start with one that is over
		until = time.Now().Add(25 * time.Second)
	}
	show(ca.Issue(t, testkit.CertOptions{Name: "expired", Hosts: []string{"127.0.0.1"}, Until: until}))
	testkit.Eventually(t, time.Minute, func() error {
		if time.Now().Before(until) {
			return errOldCertificate
		}
		return nil
	})
	fails(password, with(client), flow.Config, "expired", "have it renewed")
	show(issue(ca, "again", "127.0.0.1"))
	writes("renewed", password, with(client))
}

// apiKey makes one; "" for OpenSearch, which has none, and where the build lacks
// the analysis module, without which Elasticsearch from 8 on can't make the
// index of its keys.
func apiKey(t *testing.T, s *testkit.Search) string {
	t.Helper()
	status, body, err := s.Ask(t.Context(), "POST", "/_security/api_key", strings.NewReader(`{"name":"sluice"}`))
	var key struct {
		ID     string `json:"id"`
		APIKey string `json:"api_key"`
	}
	if strings.Contains(string(body), "pattern_capture") || strings.Contains(string(body), "no handler found") {
		return ""
	}
	if err != nil || json.Unmarshal(body, &key) != nil || key.APIKey == "" {
		t.Fatal(status, string(body), err)
	}
	return base64.StdEncoding.EncodeToString([]byte(key.ID + ":" + key.APIKey))
}
