package search

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
)

func TestOpenDetects(t *testing.T) {
	f := func(answers map[string]string, head, want string) {
		t.Helper()
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if head != "" {
				w.Header().Set("X-Elastic-Product", head)
			}
			body, ok := answers[r.URL.Path]
			if !ok {
				w.WriteHeader(http.StatusBadRequest)
				body = `{"error":"no handler found for uri [` + r.URL.Path + `] and method [GET]"}`
			}
			_, _ = w.Write([]byte(body))
		}))
		defer srv.Close()
		c, err := Open(t.Context(), Options{URLs: []string{srv.URL}})
		var got string
		if err == nil {
			got = string(c.Product()) + " " + c.Version().String()
			c.Close()
		} else {
			got = "error " + flow.ClassOf(err).String()
			http.DefaultClient.CloseIdleConnections()
		}
		if got != want {
			t.Errorf("%v: %s, want %s (%v)", answers, got, want, err)
		}
	}
	f(map[string]string{"/": openSearchRoot}, "", "OpenSearch 3.6.0")
	f(map[string]string{"/": `{"version":{"number":"9.5.3","build_flavor":"default"},"tagline":"You Know, for Search"}`}, "Elasticsearch", "Elasticsearch 9.5.3")
	f(map[string]string{"/": `{"version":{"number":"7.17.29"}}`}, "", "Elasticsearch 7.17.29")
	f(map[string]string{"/": `{"version":{"number":"8.0.0-beta1"}}`}, "", "Elasticsearch 8.0.0")
	f(map[string]string{"/_nodes/_local": `{"nodes":{"x":{"version":"9.5.3"}}}`}, "Elasticsearch", "Elasticsearch 9.5.3")
	f(map[string]string{"/_nodes/_local": `{"nodes":{"x":{"version":"7.17.29"}}}`}, "", "Elasticsearch 7.17.29")
	f(map[string]string{"/_nodes/_local": `{"nodes":{"x":{"version":"2.19.1"}}}`}, "", "OpenSearch 2.19.1")
	f(map[string]string{"/": `{"version":{"number":"6.8.0"}}`}, "", "error config")
	f(map[string]string{"/": `<html>hello</html>`}, "", "error config")
	f(map[string]string{"/": `{"version":{"number":"x.y"}}`}, "", "error config")
	f(map[string]string{"/": `{"couchdb":"Welcome"}`}, "", "error config")
	f(nil, "", "error config")
}

func TestOpenErrorsNameTheCure(t *testing.T) {
	f := func(o Options, class flow.Class, parts ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := Open(ctx, o)
		if err == nil || flow.ClassOf(err) != class {
			t.Errorf("%v: %v, class %s, want %s", o.URLs, err, flow.ClassOf(err), class)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err.Error(), p)
			}
		}
		for _, secret := range []string{"hunter2", "secret"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q tells a secret", err.Error())
			}
		}
	}
	status := func(status int, body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(srv.Close)
		return strings.Replace(srv.URL, "http://", "http://me:hunter2@", 1)
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(openSearchRoot))
	}))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes fail on purpose
	secure.StartTLS()
	t.Cleanup(secure.Close)
	f(Options{}, flow.Config, "search.urls")
	f(Options{URLs: []string{"127.0.0.1:9200"}}, flow.Config, "search.urls")
	f(Options{URLs: []string{"ftp://me:secret@host"}}, flow.Config, "search.urls", "http://127.0.0.1:9200")
	f(Options{URLs: []string{"http://me:secret@ho st"}}, flow.Config, "URL number 1")
	f(Options{URLs: []string{status(401, `{"error":{"type":"security_exception","reason":"unable to authenticate user [me] for REST request [/]"},"status":401}`)}},
		flow.Auth, "status 401", "unable to authenticate", "search.auth")
	f(Options{URLs: []string{status(401, `Unauthorized`)}}, flow.Auth, "search.auth")
	f(Options{URLs: []string{status(403, `{"error":{"type":"security_exception","reason":"action [cluster:monitor/main] is unauthorized for user [me], this action is granted by the cluster privileges [monitor,manage,all]"},"status":403}`)}},
		flow.Auth, "cluster:monitor/main", "monitor, manage, all")
	f(Options{URLs: []string{status(503, `{"error":{"type":"master_not_discovered_exception","reason":null},"status":503}`)}}, flow.Transient, "master_not_discovered")
	f(Options{URLs: []string{status(302, ``)}}, flow.Config, "redirected")
	f(Options{URLs: []string{status(400, "Client sent an HTTP request to an HTTPS server.\n")}}, flow.Config, "https://")
	f(Options{URLs: []string{"http://127.0.0.1:1"}}, flow.Transient, "http://127.0.0.1:1", "connection refused", "is the cluster up")
	f(Options{URLs: []string{secure.URL}}, flow.Config, "search.tls.ca_file")
	f(Options{URLs: []string{strings.Replace(secure.URL, "https", "http", 1)}}, flow.Config, "https://")
	f(Options{URLs: []string{strings.Replace(status(200, openSearchRoot), "http", "https", 1)}}, flow.Config, "http://")
	f(Options{URLs: []string{"https://x"}, TLS: TLS{CAFile: "/not/there.pem"}}, flow.Config, "/not/there.pem", "search.tls.ca_file")
	f(Options{URLs: []string{"https://x"}, TLS: TLS{CAFile: "client_test.go"}}, flow.Config, "no certificate")
	f(Options{URLs: []string{"https://x"}, TLS: TLS{CertFile: "/not/there.pem"}}, flow.Config, "search.tls.cert_file")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, conf := range []TLS{{CAFile: ca}, {InsecureSkipVerify: true}} {
		c, err := Open(t.Context(), Options{URLs: []string{secure.URL}, TLS: conf})
		if err != nil {
			t.Errorf("%+v: %v", conf, err)
			continue
		}
		c.Close()
	}
	// A server that wants a certificate of ours.
	secure.TLS.ClientAuth = tls.RequireAnyClientCert
	f(Options{URLs: []string{secure.URL}, TLS: TLS{CAFile: ca}}, flow.Config, "search.tls.cert_file")
	cert, key := writeCertificate(t)
	c, err := Open(t.Context(), Options{URLs: []string{secure.URL}, TLS: TLS{CAFile: ca, CertFile: cert, KeyFile: key}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// writeCertificate makes a certificate and its key, and returns their files.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestUnreachable(t *testing.T) {
	f := func(base string, err error, class flow.Class, parts ...string) {
		t.Helper()
		got := unreachable(base, get("/x?y"), &url.Error{Op: "Get", URL: base + "/x?secret", Err: err}, time.Minute)
		if flow.ClassOf(got) != class {
			t.Errorf("%v: %s", err, flow.ClassOf(got))
		}
		for _, p := range append(parts, base+"/x") {
			if !strings.Contains(got.Error(), p) {
				t.Errorf("%q lacks %q", got, p)
			}
		}
		if strings.Contains(got.Error(), "secret") {
			t.Errorf("%q tells too much", got)
		}
	}
	f("http://h:9200", &net.DNSError{Err: "no such host", Name: "h"}, flow.Transient, "no such host", "search.urls")
	f("http://h:9200", io.EOF, flow.Transient, "https://")
	f("http://h:9200", context.DeadlineExceeded, flow.Transient, "no answer within 1m0s")
	f("https://h:9200", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, flow.Config, "certificate")
	f("https://h:9200", syscall.ECONNRESET, flow.Transient, "reset")
}

func TestAuthIsSent(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		got := ""
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("Authorization")
			_, _ = w.Write([]byte(openSearchRoot))
		}))
		defer srv.Close()
		o.URLs = []string{strings.Replace(srv.URL, "http://", "http://"+o.URLs[0], 1)}
		c, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(Options{URLs: []string{""}}, "")
	f(Options{URLs: []string{""}, Auth: Auth{Username: "a", Password: "b"}}, "Basic YTpi")
	f(Options{URLs: []string{"a:b@"}}, "Basic YTpi")
	f(Options{URLs: []string{"c:d@"}, Auth: Auth{Username: "a", Password: "b"}}, "Basic YTpi")
	f(Options{URLs: []string{""}, Auth: Auth{APIKey: "aWQ6a2V5"}}, "ApiKey aWQ6a2V5")
}

func TestFailover(t *testing.T) {
	a, b := newScript(t), newScript(t)
	o := a.options(Route{})
	o.URLs = []string{a.srv.URL, b.srv.URL}
	a.do(bulkOrders, bulkDone)
	b.do(bulkOrders, bulkDone)
	sink := openTest(t, o).Sink()
	try := func(want string) {
		t.Helper()
		for range 10 {
			vs, err := sink.Write(t.Context(), batch(write(t, "a", 1)))
			if err != nil || outcomes(vs) != "done" {
				t.Fatal(outcomes(vs), err)
			}
		}
		if got := len(a.seen(bulkOrders)); (got == 5) != (want == "both") && want != "b" {
			t.Errorf("%d of 10 went to a", got)
		}
	}
	try("both")
	a.do(bulkOrders, func(call) (int, string) { return 0, "" }) // hangs up
	try("b")
	if n := len(a.seen(bulkOrders)); n != 6 {
		t.Errorf("a dead node was asked %d times", n-5)
	}
	b.srv.CloseClientConnections()
	b.srv.Close()
	a.do(bulkOrders, bulkDone)
	if vs, err := sink.Write(t.Context(), batch(write(t, "a", 1))); err != nil || outcomes(vs) != "done" {
		t.Fatal("a resting node has to be asked when no other is left", err)
	}
}

func TestNodesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ns, _, err := parseNodes([]string{"http://a", "http://b/x/", "http://c"}, Auth{})
		if err != nil {
			t.Fatal(err)
		}
		pick := func(want string) *node {
			t.Helper()
			n := ns.pick(nil)
			if n.base != want {
				t.Fatalf("%s, want %s", n.base, want)
			}
			return n
		}
		pick("http://a")
		b := pick("http://b/x")
		c := pick("http://c")
		a := pick("http://a")
		ns.failed(b)
		pick("http://c")
		pick("http://a")
		time.Sleep(firstRest + time.Millisecond)
		pick("http://b/x")
		for range 20 {
			ns.failed(b)
		}
		if rest := time.Until(b.until); rest != maxRest {
			t.Errorf("rests %s", rest)
		}
		ns.failed(a)
		ns.failed(c)
		for range 3 { // the one that comes back first
			if n := ns.pick(nil); n == b {
				t.Error("picked the node that rests longest")
			}
		}
		ns.works(b)
		pick("http://b/x")
		if n := ns.pick([]*node{a, b, c}); n != nil {
			t.Error("picked a node twice")
		}
	})
}

// What must not be sent twice goes to another node only if the first has not got it.
func TestUniqueRequests(t *testing.T) {
	a, b := newScript(t), newScript(t)
	o := a.options(Route{})
	o.URLs = []string{a.srv.URL, b.srv.URL}
	c := openTest(t, o)
	hang := func(call) (int, string) { return 0, "" }
	a.do("PUT /x", hang)
	b.do("PUT /x", hang)
	r := put("/x", []byte(`{}`))
	r.unique = true
	if _, err := c.do(t.Context(), r, nil); flow.ClassOf(err) != flow.Transient {
		t.Fatal(err)
	}
	if n := len(a.seen("PUT /x")) + len(b.seen("PUT /x")); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

func TestTimeoutIsTransient(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = w.Write([]byte(openSearchRoot))
			return
		}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	c := openTest(t, Options{URLs: []string{srv.URL}, Timeout: 50 * time.Millisecond})
	_, err := c.do(t.Context(), get("/x"), nil)
	if flow.ClassOf(err) != flow.Transient || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Fatal(err)
	}
}
