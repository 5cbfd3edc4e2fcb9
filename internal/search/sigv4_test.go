package search

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/klauspost/compress/gzip"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// testKeys are the credentials of the tests.
func testKeys() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "s3cret-key", "s3cret-token")
}

// signedAs computes the signature of a request anew, from the description of
// Signature Version 4 and not by the SDK; "" if what it has is not right.
func signedAs(r *http.Request, body []byte, secret, region string) string {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	parts := map[string]string{}
	for p := range strings.SplitSeq(auth, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		parts[k] = v
	}
	date := r.Header.Get("X-Amz-Date")
	if !ok || len(date) != len("20060102T150405Z") {
		return ""
	}
	scope := date[:8] + "/" + region + "/es/aws4_request"
	if parts["Credential"] != "AKIDEXAMPLE/"+scope {
		return ""
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(parts["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = hexless(r.ContentLength)
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i := range segments { // what is escaped on the wire is escaped once more
		segments[i] = strings.ReplaceAll(url.QueryEscape(segments[i]), "+", "%20")
	}
	pairs := strings.Split(r.URL.RawQuery, "&")
	for i, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		if k, _ = url.QueryUnescape(k); k == "" {
			continue
		}
		v, _ = url.QueryUnescape(v)
		pairs[i] = url.QueryEscape(k) + "=" + strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
	}
	slices.Sort(pairs)
	hash := sha256.Sum256(body)
	canonical := strings.Join([]string{
		r.Method, strings.Join(segments, "/"), strings.Join(pairs, "&"), headers.String(), parts["SignedHeaders"], hex.EncodeToString(hash[:]),
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + secret)
	for _, step := range []string{date[:8], region, "es", "aws4_request"} {
		key = mac(key, step)
	}
	want := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
	if parts["Signature"] != want {
		return ""
	}
	return want
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text)
	return h.Sum(nil)
}

func hexless(n int64) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

// gate is what stands before a domain: it lets through what is signed well.
type gate struct {
	*httptest.Server
	passed, refused atomic.Int32
	bulk            atomic.Pointer[[]byte]
}

func newGate(t *testing.T, s *script, secret string) *gate {
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if signedAs(r, body, secret, "eu-central-1") == "" || r.Header.Get("X-Amz-Security-Token") != "s3cret-token" {
			g.refused.Add(1)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"message":"The request signature we calculated does not match the signature you provided."}`))
			return
		}
		g.passed.Add(1)
		if strings.HasSuffix(r.URL.Path, "/_bulk") {
			g.bulk.Store(&body)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func TestSigV4(t *testing.T) {
	for _, zip := range []bool{false, true} {
		s := newScript(t)
		s.do(bulkOrders, bulkDone)
		g := newGate(t, s, "s3cret-key")
		o := s.options(Route{})
		o.URLs, o.AWS, o.Gzip = []string{g.URL}, AWS{Region: "eu-central-1", Credentials: testKeys()}, zip
		o.Pipeline = "a+b=c%" // a query that has to be escaped
		c := openTest(t, o)
		vs, err := c.Sink().Write(t.Context(), batch(write(t, "a", 1, bson.E{Key: "n", Value: "ü"})))
		if err != nil || outcomes(vs) != "done" {
			t.Fatal(outcomes(vs), err)
		}
		body := *g.bulk.Load()
		if zip {
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal("what was signed is not what was compressed", err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Contains(body, []byte(`"n":"ü"`)) {
			t.Errorf("%s", body)
		}
		// A path with what is escaped on the wire.
		s.say("GET /a+b c/x", 200, "{}")
		if _, err := c.do(t.Context(), get("/a%2Bb%20c/x?filter_path=a.*,b"), nil); err != nil {
			t.Error(err)
		}
		if g.refused.Load() > 0 || g.passed.Load() < 3 {
			t.Errorf("%d refused, %d passed", g.refused.Load(), g.passed.Load())
		}
	}
}

func TestSigV4Refused(t *testing.T) {
	g := newGate(t, newScript(t), "another key")
	fails := func(o Options, class flow.Class, parts ...string) {
		t.Helper()
		_, err := Open(t.Context(), o)
		if flow.ClassOf(err) != class {
			t.Errorf("class %s, want %s: %v", flow.ClassOf(err), class, err)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err, p)
			}
		}
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "AKIDEXAMPLE") {
			t.Errorf("%q tells a secret", err)
		}
	}
	keys := AWS{Region: "eu-central-1", Credentials: testKeys()}
	fails(Options{URLs: []string{g.URL}, AWS: keys}, flow.Auth, "403", "search.aws", "AWS_PROFILE")
	none := AWS{Region: "eu-central-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no EC2 IMDS role found")
	})}
	before := g.refused.Load()
	fails(Options{URLs: []string{g.URL}, AWS: none}, flow.Transient, "no EC2 IMDS role found", "AWS_ACCESS_KEY_ID")
	fails(Options{URLs: []string{g.URL}, AWS: AWS{Region: "eu-central-1", Credentials: aws.AnonymousCredentials{}}}, flow.Transient, "AnonymousCredentials")
	if g.refused.Load() != before {
		t.Error("a request went out unsigned")
	}
	for _, host := range []string{"abc.eu-central-1.aoss.amazonaws.com", "abc.aoss.eu-central-1.on.aws"} {
		fails(Options{URLs: []string{"https://" + host}, AWS: keys}, flow.Config, "Serverless", "_refresh", "external_gte", "search.urls")
	}
}

func TestHintAWS(t *testing.T) {
	f := func(reason, part string) {
		t.Helper()
		err := failure("open search", "h", &apiError{Status: 403, Reason: reason})
		if flow.ClassOf(err) != flow.Auth || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
	f("User: arn:aws:iam::1:user/x is not authorized to perform: es:ESHttpGet with an explicit deny", "access policy of the domain")
	f("Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z", "clock")
	f("Credential should be scoped to a valid region, not 'x'.", "search.aws.region")
	f("The security token included in the request is invalid.", "AWS_PROFILE")
	f("no permissions for [indices:data/write/bulk] and User [name=x]", "the privilege indices:data/write/bulk")
}
