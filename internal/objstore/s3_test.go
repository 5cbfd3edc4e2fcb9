package objstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/flow"
)

const (
	testAccessKey = "AKIATESTACCESS"
	testSecretKey = "test-secret-hunter2"
)

// fakeS3 plays answers that a real server gives only when it is broken, full,
// cold, or somebody else's.
type fakeS3 struct {
	*S3
	mu       sync.Mutex
	requests []string      // method, path and query
	headers  []http.Header // of each request
}

func newFake(t testing.TB, handle http.HandlerFunc, change func(*S3Options)) *fakeS3 {
	t.Helper()
	f := &fakeS3{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Method+" "+r.URL.String())
		f.headers = append(f.headers, r.Header.Clone())
		f.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		handle(w, r)
	}))
	o := S3Options{
		Bucket: "b", Prefix: "p", Endpoint: server.URL, PathStyle: true, AccessKey: testAccessKey, SecretKey: testSecretKey,
		Attempts: 2, Pause: time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	var err error
	if f.S3, err = OpenS3(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.Close()
		server.Close()
	})
	return f
}

// refuse answers with an S3 error.
func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-amz-bucket-region", "eu-west-3")
		w.Header().Set("x-amz-request-id", "REQ1")
		w.WriteHeader(status)
		if code != "" && r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>so it is</Message><StringToSign>%s</StringToSign></Error>`, code, testSecretKey)
		}
	}
}

func TestS3AnswersHaveAClassAndACure(t *testing.T) {
	f := func(status int, code string, class flow.Class, want error, hint string) {
		t.Helper()
		s := newFake(t, refuse(status, code), nil)
		_, err := s.Put(t.Context(), "x", BytesBody([]byte("1")), PutOptions{})
		var e *flow.Error
		if !errors.As(err, &e) || e.Class != class || want != nil && !errors.Is(err, want) || !strings.Contains(e.Hint, hint) {
			t.Errorf("%d %s: %v, class %s", status, code, err, flow.ClassOf(err))
			return
		}
		if e.Object != "s3://b/p/x" || e.Op != opPut {
			t.Errorf("%d %s: op %q, object %q", status, code, e.Op, e.Object)
		}
		for _, secret := range []string{testAccessKey, testSecretKey, "Signature", "Credential"} {
			if strings.Contains(strings.Replace(err.Error(), code, "", 1), secret) {
				t.Errorf("%d %s: it tells %s: %v", status, code, secret, err)
			}
		}
		if tries := len(s.requests); class != flow.Transient && !errors.Is(err, ErrDamaged) && status < 500 && tries != 1 && code != "RequestTimeTooSkewed" {
			t.Errorf("%d %s: tried %d times", status, code, tries)
		}
	}
	f(404, "NoSuchBucket", flow.Config, nil, "Make the bucket b")
	f(403, "InvalidAccessKeyId", flow.Auth, nil, "access key")
	f(403, "SignatureDoesNotMatch", flow.Auth, nil, "secret key")
	f(400, "ExpiredToken", flow.Auth, nil, "session token")
	f(401, "Unauthorized", flow.Auth, nil, "access key")
	f(403, "AccessDenied", flow.Auth, nil, "s3:PutObject.")
	f(403, "AllAccessDisabled", flow.Auth, nil, "s3:PutObject.")
	f(403, "RequestTimeTooSkewed", flow.Config, nil, "NTP")
	f(301, "PermanentRedirect", flow.Config, nil, "It is eu-west-3.")
	f(307, "TemporaryRedirect", flow.Config, nil, "region")
	f(400, "AuthorizationHeaderMalformed", flow.Config, nil, "eu-west-3")
	f(400, "BadDigest", flow.Fatal, ErrDamaged, "when_required")
	f(400, "XAmzContentSHA256Mismatch", flow.Fatal, ErrDamaged, "when_required")
	f(501, "NotImplemented", flow.Config, nil, "If-None-Match")
	f(507, "", flow.Fatal, ErrNoSpace, "Free space")
	f(507, "XMinioStorageFull", flow.Fatal, ErrNoSpace, "Free space")
	f(403, "QuotaExceeded", flow.Fatal, ErrNoSpace, "quota")
	f(412, "PreconditionFailed", flow.Conflict, ErrExists, "")
	f(412, "", flow.Conflict, ErrExists, "")
	f(409, "ConditionalRequestConflict", flow.Transient, nil, "")
	f(503, "SlowDown", flow.Transient, nil, "")
	f(500, "InternalError", flow.Transient, nil, "")
	f(502, "", flow.Transient, nil, "")
	f(429, "TooManyRequests", flow.Transient, nil, "")
	f(400, "InvalidStorageClass", flow.Config, nil, "")
	f(418, "", flow.Config, nil, "")
}

func TestS3RightsAreNamedWithWhatWasAskedFor(t *testing.T) {
	s := newFake(t, refuse(403, "AccessDenied"), nil)
	f := func(err error, want ...string) {
		t.Helper()
		for _, w := range want {
			if flow.ClassOf(err) != flow.Auth || !strings.Contains(fmt.Sprint(err), w) {
				t.Errorf("%v does not name %s", err, w)
			}
		}
	}
	_, err := s.Put(t.Context(), "x", BytesBody(nil), PutOptions{
		Tags: map[string]string{"a": "b"}, SSE: "aws:kms", KMSKey: "k", LockMode: "GOVERNANCE", LockUntil: time.Now().Add(time.Hour),
	})
	f(err, "s3:PutObject,", "s3:PutObjectTagging", "s3:PutObjectRetention", "kms:GenerateDataKey")
	_, err = s.Get(t.Context(), "x", 0, -1)
	f(err, "s3:GetObject", "kms:Decrypt")
	_, err = s.Head(t.Context(), "x")
	f(err, "s3:GetObject", "s3:ListBucket")
	f(s.Delete(t.Context(), "x"), "s3:DeleteObject")
	f(s.Thaw(t.Context(), "x", 1, ""), "s3:RestoreObject")
	_, err = s.Sweep(t.Context(), 0)
	f(err, "s3:ListBucketMultipartUploads")
	for _, err := range s.List(t.Context(), "") {
		f(err, "s3:ListBucket")
	}
}

func TestA4S3SendsWhatWasAskedFor(t *testing.T) {
	f := func(checksums string, size int, o PutOptions, want map[string]string) {
		t.Helper()
		s := newFake(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodHead:
				w.WriteHeader(http.StatusNotFound)
			case r.URL.Query().Has("uploads"):
				_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>`)
			case r.Method == http.MethodPost:
				_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>`)
			}
		}, func(s *S3Options) { s.Checksums = checksums })
		s.partBytes = 10
		body := []byte(strings.Repeat("123456789", 3))[:size]
		if _, err := s.Put(t.Context(), "x", BytesBody(body), o); err != nil {
			t.Fatal(err)
		}
		all := http.Header{}
		for _, h := range s.headers {
			for k, v := range h {
				all[k] = append(all[k], v...)
			}
		}
		for k, v := range want {
			if got := strings.Join(all.Values(k), ","); got != v {
				t.Errorf("%s: %q, want %q", k, got, v)
			}
		}
	}
	until := time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)
	sha := sha256.Sum256([]byte("123456789"))
	options := PutOptions{
		SHA256: sha, ContentType: "application/zstd", StorageClass: "GLACIER_IR", SSE: "aws:kms", KMSKey: "key-1",
		Tags: map[string]string{"rule": "old orders"}, LockMode: "COMPLIANCE", LockUntil: until,
	}
	want := map[string]string{
		"If-None-Match": "*", "X-Amz-Meta-Sluice-Sha256": hex.EncodeToString(sha[:]), "Content-Type": "application/zstd",
		"X-Amz-Storage-Class": "GLACIER_IR", "X-Amz-Server-Side-Encryption": "aws:kms",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
		"X-Amz-Tagging": "rule=old+orders", "X-Amz-Object-Lock-Mode": "COMPLIANCE",
		"X-Amz-Object-Lock-Retain-Until-Date": "2099-01-02T03:04:05Z",
		"X-Amz-Checksum-Crc32c":               "4waSgw==", // the check value of CRC32C: e3069283
		"X-Amz-Sdk-Checksum-Algorithm":        "CRC32C", "X-Amz-Content-Sha256": hex.EncodeToString(sha[:]),
	}
	f(ChecksumsSupported, 9, options, want)
	f(ChecksumsRequired, 9, options, want) // a lock needs a checksum in any case
	f(ChecksumsRequired, 9, PutOptions{}, map[string]string{
		"If-None-Match": "*", "X-Amz-Checksum-Crc32c": "", "X-Amz-Sdk-Checksum-Algorithm": "", "X-Amz-Storage-Class": "",
		"X-Amz-Server-Side-Encryption": "", "X-Amz-Tagging": "", "X-Amz-Object-Lock-Mode": "", "Content-Type": "application/octet-stream",
		"X-Amz-Content-Sha256": hex.EncodeToString(sha[:]),
	})
	f(ChecksumsSupported, 27, PutOptions{StorageClass: "GLACIER"}, map[string]string{
		"X-Amz-Storage-Class": "GLACIER", "X-Amz-Checksum-Type": "FULL_OBJECT,FULL_OBJECT", "If-None-Match": "*", "X-Amz-Mp-Object-Size": "27",
	})
}

func TestA4S3PutIsOursOnlyAfterALostAnswer(t *testing.T) {
	body := []byte("the body")
	sha := sha256.Sum256(body)
	f := func(name string, first int, size int, meta string, want error) {
		t.Helper()
		var puts int
		s := newFake(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodHead:
				w.Header().Set("Content-Length", fmt.Sprint(size))
				w.Header().Set("x-amz-meta-sluice-sha256", meta)
			default:
				if puts++; puts == 1 && first != 0 {
					w.WriteHeader(first)
					return
				}
				w.WriteHeader(http.StatusPreconditionFailed)
			}
		}, nil)
		_, err := s.Put(t.Context(), "x", BytesBody(body), PutOptions{})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	ours := hex.EncodeToString(sha[:])
	f("at once", 0, len(body), ours, ErrExists)
	f("after a timeout", 503, len(body), ours, nil)
	f("another size", 503, len(body)+1, ours, ErrExists)
	f("another hash", 503, len(body), strings.Repeat("0", 64), ErrExists)
	f("no hash", 503, len(body), "", ErrExists)
}

func TestS3Cold(t *testing.T) {
	restore := ""
	class := "DEEP_ARCHIVE"
	s := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set("x-amz-storage-class", class)
			if restore != "" {
				w.Header().Set("x-amz-restore", restore)
			}
		case r.URL.Query().Has("list-type"):
			_, _ = io.WriteString(w, `<ListBucketResult><Contents><Key>p/folder/</Key></Contents>`+
				`<Contents><Key>p/x</Key><Size>3</Size><StorageClass>GLACIER</StorageClass></Contents>`+
				`<Contents><Key>p/y</Key><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`)
		case r.Method == http.MethodGet:
			refuse(403, "InvalidObjectState")(w, r)
		case r.Method == http.MethodPost && restore != "":
			refuse(409, "RestoreAlreadyInProgress")(w, r)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}, nil)
	if _, err := s.Get(t.Context(), "x", 0, -1); !errors.Is(err, ErrCold) || !strings.Contains(err.Error(), "Thaw") {
		t.Fatal(err)
	}
	cold := func(want bool) {
		t.Helper()
		if info, err := s.Head(t.Context(), "x"); err != nil || info.Cold != want || info.StorageClass != class {
			t.Fatalf("%+v %v", info, err)
		}
	}
	cold(true)
	if err := s.Thaw(t.Context(), "x", 3, "Bulk"); err != nil {
		t.Fatal(err)
	}
	restore = `ongoing-request="true"`
	cold(true)
	if err := s.Thaw(t.Context(), "x", 3, ""); err != nil {
		t.Fatal(err)
	}
	restore = `ongoing-request="false", expiry-date="Fri, 21 Dec 2099 00:00:00 GMT"`
	cold(false)
	class, restore = "GLACIER_IR", ""
	cold(false)
	var listed []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, fmt.Sprintf("%s %s %t", info.Key, info.StorageClass, info.Cold))
	}
	if !slices.Equal(listed, []string{"x GLACIER true", "y  false"}) {
		t.Fatal(listed)
	}
}

// Some servers answer 200, and tell of the failure in the body.
func TestA4S3FailureInside200(t *testing.T) {
	s := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Has("uploads"):
			_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>`)
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `<Error><Code>InternalError</Code><Message>We encountered an internal error</Message></Error>`)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusForbidden)
		}
	}, nil)
	s.partBytes = 10
	_, err := s.Put(t.Context(), "x", BytesBody(make([]byte, 25)), PutOptions{})
	if flow.ClassOf(err) != flow.Transient || !strings.Contains(err.Error(), "InternalError") {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), "AbortIncompleteMultipartUpload") {
		t.Fatalf("it does not tell of the parts that are left: %v", err)
	}
}

func TestProbeFindsServersThatDoNotWill(t *testing.T) {
	var mu sync.Mutex
	stored := map[string][]byte{}
	f := func(name, want string, broken func(w http.ResponseWriter, r *http.Request) bool) {
		t.Helper()
		s := newFake(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			body := []byte("sluice probe")
			_, there := stored[r.URL.Path]
			switch {
			case broken(w, r):
			case r.Method == http.MethodPut && there:
				w.WriteHeader(http.StatusPreconditionFailed)
			case r.Method == http.MethodPut:
				stored[r.URL.Path] = body
			case r.Method == http.MethodHead:
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				w.Header().Set("x-amz-meta-sluice-sha256", "x")
			case r.Method == http.MethodGet && r.URL.Query().Has("list-type"):
				_, _ = io.WriteString(w, `<ListBucketResult></ListBucketResult>`)
			case r.Method == http.MethodGet:
				w.Header().Set("Content-Range", "bytes 7-11/12")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(body[7:12])
			case r.Method == http.MethodDelete:
				delete(stored, r.URL.Path)
				w.WriteHeader(http.StatusNoContent)
			}
		}, nil)
		err := Probe(t.Context(), s)
		if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(stored) > 0 {
			t.Errorf("%s: the probe is left", name)
		}
	}
	f("replaces", "If-None-Match", func(_ http.ResponseWriter, r *http.Request) bool { return r.Method == http.MethodPut })
	f("loses metadata", "metadata", func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", "12")
			return true
		}
		return false
	})
	f("ignores ranges", "whole object", func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && !r.URL.Query().Has("list-type") {
			_, _ = io.WriteString(w, "sluice probe")
			return true
		}
		return false
	})
	f("lists late", "not listed", func(http.ResponseWriter, *http.Request) bool { return false })
}

func TestOpenS3RefusesWhatCannotWork(t *testing.T) {
	f := func(want string, change func(*S3Options)) {
		t.Helper()
		o := S3Options{Bucket: "b", AccessKey: testAccessKey, SecretKey: testSecretKey}
		change(&o)
		s, err := OpenS3(context.Background(), o)
		if err == nil {
			_ = s.Close()
		}
		if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("it tells a secret: %v", err)
		}
	}
	f("bucket", func(o *S3Options) { o.Bucket = "" })
	f("bucket", func(o *S3Options) { o.Bucket = "a/b" })
	f("prefix", func(o *S3Options) { o.Prefix = "a/../b" })
	f("endpoint", func(o *S3Options) { o.Endpoint = "localhost:9000" })
	f("endpoint", func(o *S3Options) { o.Endpoint = "https://user:hunter2@host" })
	f("endpoint", func(o *S3Options) { o.Endpoint = "ftp://host" })
	f("belong together", func(o *S3Options) { o.SecretKey = "" })
	f("belong together", func(o *S3Options) { o.AccessKey, o.SecretKey, o.SessionToken = "", "", "t" })
	f("checksums", func(o *S3Options) { o.Checksums = "sometimes" })
	f("part", func(o *S3Options) { o.PartBytes = 1 << 20 })
	f("part", func(o *S3Options) { o.PartBytes = 6 << 30 })
	f("certificates", func(o *S3Options) { o.CAFile = filepath.Join(t.TempDir(), "none.pem") })
	f("PEM", func(o *S3Options) { o.CAFile = "doc.go" })
}

// Without keys the SDK's chain is asked; that it finds none is an error that
// says where it looked.
func TestS3WithoutCredentials(t *testing.T) {
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"),
	} {
		t.Setenv(k, v)
	}
	s := newFake(t, refuse(500, ""), func(o *S3Options) { o.AccessKey, o.SecretKey = "", "" })
	_, err := s.Head(t.Context(), "x")
	if flow.ClassOf(err) != flow.Auth || !strings.Contains(err.Error(), "AWS_PROFILE") || len(s.requests) > 0 {
		t.Fatal(err, s.requests)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	s = newFake(t, refuse(404, ""), func(o *S3Options) { o.AccessKey, o.SecretKey = "", "" })
	if _, err := s.Head(t.Context(), "x"); !errors.Is(err, ErrNotFound) || !strings.Contains(s.headers[0].Get("Authorization"), "from-the-environment") {
		t.Fatal(err)
	}
}

// zeroes is a large body without memory.
type zeroes int64

func (z zeroes) Size() int64 { return int64(z) }

func (z zeroes) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), int64(z)-off))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func TestS3UploadNeedsLittleMemory(t *testing.T) {
	parts := 0
	s := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Has("uploads"):
			_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>`)
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>`)
		case r.Method == http.MethodPut:
			parts++
		}
	}, func(o *S3Options) { o.Parallel = 1 })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Put(t.Context(), "x", zeroes(100<<20), PutOptions{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 || parts != 7 {
		t.Fatalf("%d parts of a body of 100 MiB took %d bytes of memory in all", parts, got)
	}
}

func TestPartsAreEnlargedForLargeBodies(t *testing.T) {
	f := func(size, part, want int64) {
		t.Helper()
		if got := partSize(size, part); got != want || (size+got-1)/got > maxParts {
			t.Errorf("%d in parts of %d: %d, want %d", size, part, got, want)
		}
	}
	f(0, 16<<20, 16<<20)
	f(10_000*16<<20, 16<<20, 16<<20)
	f(10_000*16<<20+1, 16<<20, 32<<20)
	f(5<<40, 5<<20, 640<<20)
}
