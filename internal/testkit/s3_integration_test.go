//go:build integration

package testkit

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func startS3(t *testing.T, o S3Options) *S3 {
	t.Helper()
	began := time.Now()
	s, err := StartS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%s up in %s", s, time.Since(began).Round(time.Millisecond))
	return s
}

func client(t *testing.T, s *S3) *s3.Client {
	t.Helper()
	c, done, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return c
}

func has(t *testing.T, s *S3, key string) bool {
	t.Helper()
	_, err := client(t, s).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s.Bucket()), Key: &key})
	return err == nil
}

func putS3(t *testing.T, s *S3, key string) {
	t.Helper()
	_, err := client(t, s).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(s.Bucket()), Key: &key, Body: bytes.NewReader([]byte("x"))})
	if err != nil {
		t.Fatal(err)
	}
}

func TestS3KillRestartWipe(t *testing.T) {
	s := startS3(t, S3Options{Own: true})
	putS3(t, s, "a/b")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if canDial(t.Context(), s.port.addr()) == nil {
		t.Fatal("it still listens")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if !has(t, s, "a/b") {
		t.Fatal("the object is gone after a restart")
	}
	if err := s.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if has(t, s, "a/b") {
		t.Fatal("the object is there after a wipe")
	}
	putS3(t, s, "a/b")
}

func TestS3WithTLSAndBuckets(t *testing.T) {
	s := startS3(t, S3Options{TLS: true, Users: []string{"reader"}})
	putS3(t, s, "x")
	if err := s.CreateBucket(t.Context(), "locked", BucketOptions{Lock: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.CreateBucket(t.Context(), "versions", BucketOptions{Versions: true}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestS3ProxyBreaksOnCommand(t *testing.T) {
	s := SharedS3(t)
	p, err := NewS3Proxy(s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Fail(S3Fault{Call: "GetObject", Do: S3Status, Status: http.StatusServiceUnavailable, Code: "SlowDown", Times: 2}, S3Fault{Do: S3SwallowAnswer, Skip: 1})
	url := p.Endpoint() + "/" + s.Bucket() + "/x"
	for i, want := range []int{503, 503, 403, 0, 403} {
		code := 0
		if res, err := get2(t, url); err == nil {
			code = res
		}
		if code != want {
			t.Errorf("request %d: %d, want %d", i, code, want)
		}
	}
	if p.Hits() != 3 || len(p.Calls()) != 5 || p.Calls()[0] != "GetObject" {
		t.Fatal(p.Hits(), p.Calls())
	}
}

// get2 is a request that nobody repeats.
func get2(t *testing.T, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
