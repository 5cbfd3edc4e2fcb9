//go:build integration

package objstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/objstore/objstoretest"
	"sluice/internal/testkit"
)

// options reach the bucket of a server, below a prefix of the test's own.
func options(t testing.TB, s *testkit.S3) objstore.S3Options {
	return objstore.S3Options{
		Bucket: s.Bucket(), Prefix: testkit.UniqueName(t), Region: s.Region(), Endpoint: s.Endpoint(), PathStyle: true,
		AccessKey: s.AccessKey(), SecretKey: s.SecretKey(), CAFile: s.CAFile(),
		PartBytes: 5 << 20, Attempts: 3, Pause: time.Millisecond,
	}
}

func openS3(t testing.TB, o objstore.S3Options) *objstore.S3 {
	t.Helper()
	s, err := objstore.OpenS3(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func start(t testing.TB, o testkit.S3Options) *testkit.S3 {
	t.Helper()
	s, err := testkit.StartS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestS3Contract(t *testing.T) {
	s := testkit.SharedS3(t)
	objstoretest.TestStore(t, func(t testing.TB) objstore.Store { return openS3(t, options(t, s)) })
}

func TestS3ContractWithoutChecksums(t *testing.T) {
	s := testkit.SharedS3(t)
	objstoretest.TestStore(t, func(t testing.TB) objstore.Store {
		o := options(t, s)
		o.Checksums = objstore.ChecksumsRequired
		return openS3(t, o)
	})
}

func TestS3ContractOverTLSAndWrapped(t *testing.T) {
	s := start(t, testkit.S3Options{TLS: true})
	objstoretest.TestStore(t, func(t testing.TB) objstore.Store {
		return objstore.WithLimit(objstore.WithRetry(openS3(t, options(t, s)), objstore.RetryOptions{}), objstore.LimitOptions{BytesPerSecond: 1 << 30})
	})
}

// random is a body of n bytes, the same in each run.
func random(n int) ([]byte, objstore.PutOptions) {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b, objstore.PutOptions{SHA256: sha256.Sum256(b)}
}

// whole checks that the object is all there, by its bytes' own hash.
func whole(t testing.TB, s objstore.Store, key string, o objstore.PutOptions) {
	t.Helper()
	got := sha256.Sum256([]byte(objstoretest.Get(t, s, key, 0, -1)))
	if got != o.SHA256 {
		t.Fatalf("%s is not what was written", key)
	}
}

// leftovers are the uploads in parts that nobody ended.
func leftovers(t testing.TB, s *testkit.S3, prefix string) int {
	t.Helper()
	c, done, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	out, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(s.Bucket()), Prefix: aws.String(prefix)})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

func TestA4S3Multipart(t *testing.T) {
	s := testkit.SharedS3(t)
	for _, sums := range []string{objstore.ChecksumsSupported, objstore.ChecksumsRequired} {
		o := options(t, s)
		o.Checksums = sums
		store := openS3(t, o)
		for _, n := range []int{5 << 20, 5<<20 + 1, 10 << 20, 13<<20 + 17} {
			key := fmt.Sprintf("%s/%d", sums, n)
			body, p := random(n)
			info, err := store.Put(t.Context(), key, objstore.BytesBody(body), p)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size != int64(n) || info.SHA256 != hex.EncodeToString(p.SHA256[:]) {
				t.Fatalf("%+v", info)
			}
			whole(t, store, key, p)
			if head, err := store.Head(t.Context(), key); err != nil || head.SHA256 != info.SHA256 || head.Size != info.Size {
				t.Fatalf("%+v %v", head, err)
			}
			if got := objstoretest.Get(t, store, key, 5<<20-3, 3); got != string(body[5<<20-3:5<<20]) {
				t.Fatalf("%x", got)
			}
			if _, err := store.Put(t.Context(), key, objstore.BytesBody(make([]byte, n)), objstore.PutOptions{}); !errors.Is(err, objstore.ErrExists) {
				t.Fatal(err)
			}
		}
		if n := leftovers(t, s, o.Prefix); n > 0 {
			t.Fatalf("%d uploads are left", n)
		}
	}
}

// An object that appears while we send parts is not replaced by the last request.
func TestA4S3MultipartLateWinnerIsNotReplaced(t *testing.T) {
	s := testkit.SharedS3(t)
	o := options(t, s)
	o.Parallel = 1 // the body below is for one reader
	store := openS3(t, o)
	body, p := random(6 << 20)
	late := &lateBody{Reader: bytes.NewReader(body), after: 6 << 20, call: func() { objstoretest.Put(t, store, "x", "theirs") }}
	if _, err := store.Put(t.Context(), "x", late, p); !errors.Is(err, objstore.ErrExists) {
		t.Fatal(err)
	}
	if got := objstoretest.Get(t, store, "x", 0, -1); got != "theirs" {
		t.Fatal("it was replaced")
	}
	if n := leftovers(t, s, o.Prefix); n > 0 {
		t.Fatalf("%d uploads are left", n)
	}
}

// lateBody calls once when it is read after the pass that hashes it, and after
// the look for an object that is there already.
type lateBody struct {
	*bytes.Reader
	after int64
	call  func()
}

func (l *lateBody) ReadAt(p []byte, off int64) (int, error) {
	n, err := l.Reader.ReadAt(p, off)
	if l.after -= int64(n); l.after < 0 && l.call != nil {
		call := l.call
		l.call = nil
		call()
	}
	return n, err
}

func proxied(t testing.TB, s *testkit.S3) (*testkit.S3Proxy, objstore.S3Options) {
	t.Helper()
	p, err := testkit.NewS3Proxy(s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	o := options(t, s)
	o.Endpoint = p.Endpoint()
	o.Parallel = 1
	return p, o
}

// Whatever breaks once, in any part, the upload gets through, whole.
func TestA4S3UploadSurvivesOneFault(t *testing.T) {
	s := testkit.SharedS3(t)
	proxy, o := proxied(t, s)
	store := openS3(t, o)
	small, ps := random(100_000)
	large, pl := random(11 << 20)
	i := 0
	f := func(name string, b []byte, p objstore.PutOptions, fault testkit.S3Fault) {
		t.Helper()
		i++
		key := fmt.Sprintf("%d", i)
		proxy.Clear()
		proxy.Fail(fault)
		info, err := store.Put(t.Context(), key, objstore.BytesBody(b), p)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, strings.Join(proxy.Calls(), ", "))
			return
		}
		if proxy.Hits() == 0 {
			t.Errorf("%s: the fault did not happen", name)
		}
		if info.SHA256 != hex.EncodeToString(p.SHA256[:]) || info.Size != int64(len(b)) {
			t.Errorf("%s: %+v", name, info)
		}
		whole(t, store, key, p)
	}
	for call, after := range map[string]int64{"PutObject": 50_000, "UploadPart": 1 << 20} {
		b, p, parts := small, ps, 1
		if call == "UploadPart" {
			b, p, parts = large, pl, 3
		}
		for part := 1; part <= parts; part++ {
			n := 0
			if parts > 1 {
				n = part
			}
			name := fmt.Sprintf("%s %d ", call, part)
			f(name+"cut", b, p, testkit.S3Fault{Call: call, Part: n, Do: testkit.S3Cut, After: min(after, 900_000)})
			f(name+"cut at once", b, p, testkit.S3Fault{Call: call, Part: n, Do: testkit.S3Cut})
			f(name+"500", b, p, testkit.S3Fault{Call: call, Part: n, Do: testkit.S3Status, Status: 500, Code: "InternalError"})
			f(name+"503", b, p, testkit.S3Fault{Call: call, Part: n, Do: testkit.S3Status, Status: 503, Code: "SlowDown", Times: 2})
			f(name+"swallowed", b, p, testkit.S3Fault{Call: call, Part: n, Do: testkit.S3SwallowAnswer})
			f(name+"corrupt", b, p, testkit.S3Fault{Call: call, Part: n, Do: testkit.S3CorruptBody, After: 1000})
		}
	}
	for _, call := range []string{"CreateMultipartUpload", "CompleteMultipartUpload"} {
		f(call+" 500", large, pl, testkit.S3Fault{Call: call, Do: testkit.S3Status, Status: 500, Code: "InternalError"})
		f(call+" swallowed", large, pl, testkit.S3Fault{Call: call, Do: testkit.S3SwallowAnswer})
		f(call+" conflict", large, pl, testkit.S3Fault{Call: call, Do: testkit.S3Status, Status: 409, Code: "ConditionalRequestConflict"})
	}
	f("PutObject conflict", small, ps, testkit.S3Fault{Call: "PutObject", Do: testkit.S3Status, Status: 409, Code: "ConditionalRequestConflict"})
}

// What stays broken is an error with a class, and leaves neither an object nor parts.
func TestA4S3UploadThatFailsLeavesNothing(t *testing.T) {
	s := testkit.SharedS3(t)
	proxy, o := proxied(t, s)
	store := openS3(t, o)
	body, p := random(11 << 20)
	f := func(name string, class flow.Class, want error, fault testkit.S3Fault) {
		t.Helper()
		proxy.Clear()
		fault.Times = -1
		proxy.Fail(fault)
		_, err := store.Put(t.Context(), "x", objstore.BytesBody(body), p)
		if flow.ClassOf(err) != class || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, class %s, want %s", name, err, flow.ClassOf(err), class)
		}
		if strings.Contains(fmt.Sprint(err), o.SecretKey) || strings.Contains(fmt.Sprint(err), o.AccessKey) {
			t.Errorf("%s tells a key: %v", name, err)
		}
		if calls := proxy.Calls(); fault.Call != "CreateMultipartUpload" && !slices.Contains(calls, "AbortMultipartUpload") {
			t.Errorf("%s: nothing was aborted: %s", name, calls)
		}
		proxy.Clear()
		if keys := objstoretest.Keys(t, store, ""); len(keys) > 0 {
			t.Fatalf("%s left %s", name, keys)
		}
		if n := leftovers(t, s, o.Prefix); n > 0 {
			t.Fatalf("%s left %d uploads", name, n)
		}
	}
	f("cut in part 3", flow.Transient, nil, testkit.S3Fault{Call: "UploadPart", Part: 3, Do: testkit.S3Cut, After: 1000})
	f("500 in part 1", flow.Transient, nil, testkit.S3Fault{Call: "UploadPart", Part: 1, Do: testkit.S3Status, Status: 500, Code: "InternalError"})
	f("slow down", flow.Transient, nil, testkit.S3Fault{Call: "UploadPart", Do: testkit.S3Status, Status: 503, Code: "SlowDown"})
	f("corrupt part 2", flow.Fatal, objstore.ErrDamaged, testkit.S3Fault{Call: "UploadPart", Part: 2, Do: testkit.S3CorruptBody, After: 7})
	f("denied", flow.Auth, nil, testkit.S3Fault{Call: "CreateMultipartUpload", Do: testkit.S3Status, Status: 403, Code: "AccessDenied"})
	f("no space", flow.Fatal, objstore.ErrNoSpace, testkit.S3Fault{Call: "UploadPart", Part: 2, Do: testkit.S3Status, Status: 507, Code: "XMinioStorageFull"})
	f("500 at the end", flow.Transient, nil, testkit.S3Fault{Call: "CompleteMultipartUpload", Do: testkit.S3Status, Status: 500, Code: "InternalError"})
	f("conflict for ever", flow.Transient, nil, testkit.S3Fault{Call: "CompleteMultipartUpload", Do: testkit.S3Status, Status: 409, Code: "ConditionalRequestConflict"})
}

// All tries of one Put lost their answers; the next Put, by WithRetry, finds
// that the object is its own, and somebody else's is not.
func TestA4S3TimeoutAfterSuccess(t *testing.T) {
	s := testkit.SharedS3(t)
	proxy, o := proxied(t, s)
	o.Attempts = 1
	store := openS3(t, o)
	patient := objstore.WithRetry(store, objstore.RetryOptions{First: time.Millisecond, Max: time.Millisecond})
	for _, n := range []int{1000, 6 << 20} {
		key := fmt.Sprint(n)
		body, p := random(n)
		proxy.Fail(testkit.S3Fault{Call: "PutObject", Do: testkit.S3SwallowAnswer}, testkit.S3Fault{Call: "CompleteMultipartUpload", Do: testkit.S3SwallowAnswer})
		info, err := patient.Put(t.Context(), key, objstore.BytesBody(body), p)
		if err != nil || info.SHA256 != hex.EncodeToString(p.SHA256[:]) {
			t.Fatal(info, err)
		}
		proxy.Clear()
		proxy.Fail(testkit.S3Fault{Call: "PutObject", Do: testkit.S3Status, Status: 500, Code: "InternalError"})
		if _, err = patient.Put(t.Context(), key, objstore.BytesBody([]byte("another")), objstore.PutOptions{}); !errors.Is(err, objstore.ErrExists) {
			t.Fatal(err)
		}
		proxy.Clear()
		whole(t, store, key, p)
	}
}

func TestS3IdleConnectionEnds(t *testing.T) {
	s := testkit.SharedS3(t)
	proxy, o := proxied(t, s)
	o.Idle, o.Attempts = time.Second, 2
	store := openS3(t, o)
	proxy.Fail(testkit.S3Fault{Call: "PutObject", Do: testkit.S3Stall}, testkit.S3Fault{Call: "HeadObject", Do: testkit.S3Stall, Times: -1})
	objstoretest.Put(t, store, "x", "after one stall")
	if _, err := store.Head(t.Context(), "x"); flow.ClassOf(err) != flow.Transient {
		t.Fatal(err)
	}
	// Longer than the idle time, but never idle: no deadline ends it.
	body, p := random(3 << 19)
	slow := objstore.WithLimit(store, objstore.LimitOptions{BytesPerSecond: 1 << 20})
	proxy.Clear()
	began := time.Now()
	if _, err := slow.Put(t.Context(), "slow", objstore.BytesBody(body), p); err != nil {
		t.Fatal(err)
	}
	whole(t, slow, "slow", p)
	if d := time.Since(began); d < 2500*time.Millisecond || d > 30*time.Second {
		t.Fatalf("1.5 MiB each way at 1 MiB/s took %s", d)
	}
	if calls := proxy.Calls(); !slices.Equal(calls, []string{"PutObject", "GetObject"}) {
		t.Fatal(calls)
	}
}

func TestS3ReadsGoOnAfterACut(t *testing.T) {
	s := testkit.SharedS3(t)
	proxy, o := proxied(t, s)
	store := openS3(t, o)
	body, p := random(3 << 20)
	if _, err := store.Put(t.Context(), "x", objstore.BytesBody(body), p); err != nil {
		t.Fatal(err)
	}
	cut := testkit.S3Fault{Call: "GetObject", Do: testkit.S3CutAnswer, After: 1_000_000, Times: 2}
	proxy.Fail(cut)
	r, err := store.Get(t.Context(), "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(r)
	_ = r.Close()
	if flow.ClassOf(err) != flow.Transient {
		t.Fatalf("cut: %v", err)
	}
	proxy.Clear()
	proxy.Fail(cut)
	patient := objstore.WithRetry(store, objstore.RetryOptions{First: time.Millisecond})
	whole(t, patient, "x", p)
	if proxy.Hits() != 2 {
		t.Fatal(proxy.Calls())
	}
	proxy.Clear()
	proxy.Fail(cut)
	if got := objstoretest.Get(t, patient, "x", 100, 2_500_000); got != string(body[100:2_500_100]) {
		t.Fatal("a range is not what was written")
	}
}

// The store's own checksum finds what changes on the way back and on the disk.
func TestA4S3DamageIsFound(t *testing.T) {
	own := start(t, testkit.S3Options{Own: true})
	proxy, o := proxied(t, own)
	store := openS3(t, o)
	for _, n := range []int{200_000, 6 << 20} {
		key := fmt.Sprint(n)
		body, p := random(n)
		if _, err := store.Put(t.Context(), key, objstore.BytesBody(body), p); err != nil {
			t.Fatal(err)
		}
		f := func(name string) {
			t.Helper()
			r, err := store.Get(t.Context(), key, 0, -1)
			if err != nil {
				t.Fatal(name, err)
			}
			b, err := io.ReadAll(r)
			_ = r.Close()
			if !errors.Is(err, objstore.ErrDamaged) || flow.ClassOf(err) != flow.Fatal {
				t.Errorf("%s: %v", name, err)
			}
			if sha256.Sum256(b) == p.SHA256 {
				t.Errorf("%s: it is whole", name)
			}
		}
		proxy.Fail(testkit.S3Fault{Call: "GetObject", Do: testkit.S3CorruptAnswer, After: 1234})
		f("on the way")
		whole(t, store, key, p)
		file := own.ObjectFile(o.Bucket, o.Prefix+"/"+key)
		if err := os.Truncate(file, int64(n)-1000); err != nil {
			t.Fatal(err)
		}
		f("truncated at rest")
		if err := os.WriteFile(file, append([]byte{body[0] ^ 1}, body[1:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		f("one bit at rest")
	}
}

func TestS3ServerDiesAndComesBack(t *testing.T) {
	s := start(t, testkit.S3Options{Own: true})
	store := openS3(t, options(t, s))
	objstoretest.Put(t, store, "x", "before")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Head(t.Context(), "x"); flow.ClassOf(err) != flow.Transient {
		t.Fatal(err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := objstoretest.Get(t, store, "x", 0, -1); got != "before" {
		t.Fatal(got)
	}
}

func TestS3Sweep(t *testing.T) {
	s := testkit.SharedS3(t)
	o := options(t, s)
	store := openS3(t, o)
	c, done, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, prefix := range []string{o.Prefix, o.Prefix + "-other"} {
		if _, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &o.Bucket, Key: aws.String(prefix + "/x")}); err != nil {
			t.Fatal(err)
		}
	}
	w, ok := objstore.As[objstore.Sweeper](objstore.WithRetry(store, objstore.RetryOptions{}))
	if !ok {
		t.Fatal("no sweeper behind the wrapper")
	}
	if n, err := w.Sweep(t.Context(), time.Hour); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := w.Sweep(t.Context(), -time.Minute); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if leftovers(t, s, o.Prefix+"-other") != 1 || leftovers(t, s, o.Prefix+"/") != 0 {
		t.Fatal("the wrong one was swept")
	}
}

func TestS3VersionsAndLocks(t *testing.T) {
	s := start(t, testkit.S3Options{Own: true})
	if err := s.CreateBucket(t.Context(), "locked", testkit.BucketOptions{Lock: true}); err != nil {
		t.Fatal(err)
	}
	o := options(t, s)
	o.Bucket = "locked"
	for _, sums := range []string{objstore.ChecksumsSupported, objstore.ChecksumsRequired} {
		o.Checksums = sums
		store := openS3(t, o)
		for _, n := range []int{10, 6 << 20} {
			body, p := random(n)
			p.LockMode, p.LockUntil = "GOVERNANCE", time.Now().Add(time.Hour)
			info, err := store.Put(t.Context(), fmt.Sprintf("%s/%d", sums, n), objstore.BytesBody(body), p)
			if err != nil || info.Version == "" {
				t.Fatal(info, err)
			}
			whole(t, store, info.Key, p)
			if head, err := store.Head(t.Context(), info.Key); err != nil || head.Version != info.Version {
				t.Fatal(head, err)
			}
			// A delete marker hides it; the locked version stays.
			if err := store.Delete(t.Context(), info.Key); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Head(t.Context(), info.Key); !errors.Is(err, objstore.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
}

func TestS3CancelledUploadLeavesNothing(t *testing.T) {
	s := testkit.SharedS3(t)
	proxy, o := proxied(t, s)
	store := openS3(t, o)
	proxy.Fail(testkit.S3Fault{Call: "UploadPart", Part: 2, Do: testkit.S3Stall})
	ctx, cancel := context.WithCancel(t.Context())
	body, p := random(11 << 20)
	failed := make(chan error, 1)
	go func() {
		_, err := store.Put(ctx, "x", objstore.BytesBody(body), p)
		failed <- err
	}()
	testkit.Eventually(t, 10*time.Second, func() error {
		if proxy.Hits() == 0 {
			return errors.New("part 2 is not under way")
		}
		return nil
	})
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := leftovers(t, s, o.Prefix); n > 0 {
		t.Fatalf("%d uploads are left", n)
	}
}
