//go:build integration

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/cold"
	"sluice/internal/testkit"
)

// trouble is what goes wrong between the archive and the store.
type trouble struct {
	name   string
	faults []testkit.S3Fault
	// large: the pack goes up in two parts.
	large bool
	// survived: the run gets over it.
	survived bool
	// deleted: it comes when the documents are deleted already, which is right.
	deleted bool
	says    []string
}

// TestA4ArchiveUploadFails: whatever happens to an upload, nothing is deleted
// before the pack is there and proven to be whole; the error tells the cause and
// a cure; the next run finishes.
func TestA4ArchiveUploadFails(t *testing.T) {
	const objects = ".bson.zst"
	always := func(f testkit.S3Fault) []testkit.S3Fault { f.Times = -1; return []testkit.S3Fault{f} }
	t.Parallel()
	var all []begun // side by side, because most of the time they wait to try again
	for _, x := range []trouble{
		{
			name: "cut in part 1", large: true, says: []string{objects, "part 1 of 2", "network"},
			faults: always(testkit.S3Fault{Call: "UploadPart", Part: 1, Do: testkit.S3Cut, After: 2e6}),
		},
		{
			name: "cut in part 2", large: true, says: []string{objects, "part 2 of 2", "network"},
			faults: always(testkit.S3Fault{Call: "UploadPart", Part: 2, Do: testkit.S3Cut, After: 1000}),
		},
		{
			name: "each part cut once", large: true, survived: true,
			faults: []testkit.S3Fault{
				{Call: "UploadPart", Part: 1, Do: testkit.S3Cut, After: 2e6},
				{Call: "UploadPart", Part: 2, Do: testkit.S3Cut, After: 1000},
				{Call: "CompleteMultipartUpload", Do: testkit.S3SwallowAnswer},
			},
		},
		{
			name: "a part damaged on its way", large: true, says: []string{objects},
			faults: always(testkit.S3Fault{Call: "UploadPart", Part: 2, Do: testkit.S3CorruptBody, After: 5000}),
		},
		{
			name: "500", says: []string{objects, "500", "health of the store"},
			faults: always(testkit.S3Fault{Call: "PutObject", Do: testkit.S3Status, Status: 500, Code: "InternalError"}),
		},
		{
			name: "503", says: []string{objects, "SlowDown", "limits on requests"},
			faults: always(testkit.S3Fault{Call: "PutObject", Do: testkit.S3Status, Status: 503, Code: "SlowDown"}),
		},
		{
			name: "503 for a while", survived: true,
			faults: []testkit.S3Fault{{Times: 3, Do: testkit.S3Status, Status: 503, Code: "SlowDown"}},
		},
		{
			name: "no answer though it succeeded", survived: true,
			faults: []testkit.S3Fault{{Call: "PutObject", Key: objects, Times: 2, Do: testkit.S3SwallowAnswer}, {Call: "PutObject", Key: ".manifest", Do: testkit.S3SwallowAnswer}},
		},
		{
			name: "wrong checksum", says: []string{objects, "checksum"},
			faults: always(testkit.S3Fault{Call: "PutObject", Key: objects, Do: testkit.S3CorruptBody, After: 3000}),
		},
		{
			name: "damaged when read back", says: []string{objects},
			faults: always(testkit.S3Fault{Call: "GetObject", Key: objects, Do: testkit.S3CorruptAnswer, After: 3000}),
		},
		{
			name: "the manifest can't be put", says: []string{".manifest"},
			faults: always(testkit.S3Fault{Call: "PutObject", Key: ".manifest", Do: testkit.S3Status, Status: 500, Code: "InternalError"}),
		},
		{
			name: "the outcome can't be put", says: []string{".outcome"}, deleted: true,
			faults: always(testkit.S3Fault{Call: "PutObject", Key: ".outcome", Do: testkit.S3Status, Status: 500, Code: "InternalError"}),
		},
	} {
		all = append(all, x.begin(t))
	}
	for _, b := range all {
		t.Run(b.name, b.check)
	}
}

// begun is a trouble that a run is in.
type begun struct {
	trouble
	v      *vault
	proxy  *testkit.S3Proxy
	docs   int
	before map[string]string
	p      *process
}

// begin starts a run that gets into trouble.
func (x trouble) begin(t *testing.T) begun {
	t.Helper()
	server := testkit.SharedS3(t)
	proxy, err := testkit.NewS3Proxy(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	b := begun{trouble: x, v: newVault(t, vaultOptions{S3: server, Endpoint: proxy.Endpoint()}), proxy: proxy, docs: 200}
	pad := 50
	if x.large {
		b.docs, pad = 2600, 3000
	}
	b.v.fill(t, b.docs, pad)
	b.before = b.v.raw(t)
	proxy.Fail(x.faults...)
	b.p = launch(t, "archive", "run", "--once", "-c", b.v.file)
	return b
}

// check waits for the end of the run, and lets the next one finish.
func (b begun) check(t *testing.T) {
	v, proxy, docs := b.v, b.proxy, b.docs
	code := b.p.wait(t, 2*time.Minute)
	text := b.p.output()
	t.Logf("it says\n%s", lastWords(text))
	if proxy.Hits() == 0 {
		t.Fatalf("nothing went wrong: %v", proxy.Calls())
	}
	if b.survived {
		if code != 0 || v.count(t) != docs {
			t.Fatalf("exit code %d, %d documents are left\n%s", code, v.count(t), tail(text, 3000))
		}
		return
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	wantWords(t, lastWords(text), append(b.says, "\n  ")...) // the cure has a line of its own
	wantNone(t, text, v.s3.SecretKey())
	if !b.deleted {
		wantSame(t, v.raw(t), b.before)
	} else if n := v.count(t); n != docs {
		t.Errorf("%d documents are left", n)
	}
	proxy.Clear()
	v.finishes(t, docs, b.before)
}

// finishes lets the next run do all that is left, and looks at what is there.
func (v *vault) finishes(t *testing.T, young int, before map[string]string) {
	t.Helper()
	v.runOnce(t)
	if n := v.count(t); n != young {
		t.Errorf("%d documents are left after the next run", n)
	}
	if left := v.packsIn(t, atWork()...); len(left) > 0 {
		t.Errorf("left unfinished: %+v", left)
	}
	v.must(t, "archive", "gc", "--older-than", "0s")
	closed := v.packsIn(t, cold.PackClosed)
	if objects := v.objects(t); len(objects) != 3*len(closed) {
		t.Errorf("%d packs were closed, and after the garbage collection there are %v", len(closed), objects)
	}
	v.must(t, "archive", "verify", "--deep")
	v.must(t, "restore", "--all")
	wantSame(t, v.raw(t), before)
}

// TestA4ArchiveTruncatedAtRest: an object that lost its end before it was
// verified is given up, and its documents go again; one that loses it later is
// found by verify --deep, and is never taken for the documents.
func TestA4ArchiveTruncatedAtRest(t *testing.T) {
	t.Parallel()
	server, err := testkit.StartS3(t.Context(), testkit.S3Options{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	proxy, err := testkit.NewS3Proxy(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	v := newVault(t, vaultOptions{S3: server, Endpoint: proxy.Endpoint()})
	v.fill(t, 500, 100)
	before := v.raw(t)
	proxy.Fail(testkit.S3Fault{Call: "GetObject", Key: ".bson.zst", Do: testkit.S3Status, Status: 403, Code: "AccessDenied", Times: -1})
	if r := v.do(t, "archive", "run", "--once"); r.code != 1 {
		t.Fatalf("exit code %d\n%s", r.code, r.errOut)
	}
	uploaded := v.packsIn(t, cold.PackUploaded)
	if len(uploaded) != 1 {
		t.Fatalf("uploaded are %+v", uploaded)
	}
	v.truncate(t, uploaded[0], 10)
	proxy.Clear()
	v.finishes(t, 500, before)

	closed := v.packsIn(t, cold.PackClosed)
	if len(closed) != 1 || closed[0].ID == uploaded[0].ID {
		t.Fatalf("closed are %+v", closed)
	}
	v.truncate(t, closed[0], closed[0].Bytes/2)
	for _, args := range [][]string{{"archive", "verify", "--deep"}, {"archive", "verify", "--deep", "--json"}, {"archive", "verify"}} {
		r := v.do(t, args...)
		if r.code != 3 {
			t.Errorf("sluice %v: exit code %d\n%s%s", args, r.code, r.out, r.errOut)
		}
		wantWords(t, r.out, closed[0].Object)
	}
	r := v.do(t, "archive", "cat", closed[0].ID)
	if r.code != 1 {
		t.Errorf("cat: exit code %d", r.code)
	}
	wantWords(t, lastWords(r.errOut), closed[0].Object)
	into := v.db.Name() + ".elsewhere"
	if r = v.do(t, "restore", "--all", "--to-namespace", into); r.code != 1 {
		t.Errorf("restore: exit code %d\n%s", r.code, r.out)
	}
	got, err := raw(context.WithoutCancel(t.Context()), v.db.Collection("elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	for id, doc := range got {
		if doc != before[id] {
			t.Errorf("_id %s came back as %x", id, doc)
		}
	}
}

// truncate cuts the last bytes of a pack's object off, behind the server's back.
func (v *vault) truncate(t *testing.T, p cold.Pack, bytes int64) {
	t.Helper()
	file := v.s3.ObjectFile(v.s3.Bucket(), v.prefix+"/"+p.Object)
	if err := os.Truncate(file, p.Bytes-bytes); err != nil {
		t.Fatal(err)
	}
}

// TestA4ArchiveSpoolFull: the disk of the spool is full.
func TestA4ArchiveSpoolFull(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{Top: "spool: {path: SPOOL}"})
	v.fill(t, 300, 1000)
	before := v.raw(t)
	small := t.TempDir()
	text := v.variant(t, "SPOOL", small)
	good := v.variant(t, "SPOOL", filepath.Join(v.dir, "spool"))
	v.file = good
	mounted := mountSmall(t, small)
	if !mounted { // no room is there for files either
		if err := os.Remove(small); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(small, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := verb(t, nil, "archive", "run", "--once", "-c", text)
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
	t.Logf("it says\n%s", lastWords(r.errOut))
	if mounted {
		wantWords(t, lastWords(r.errOut), small, "no space left", "Free some room", "pack_size")
	} else {
		wantWords(t, lastWords(r.errOut), small, "not a directory")
	}
	wantSame(t, v.raw(t), before)
	if objects := v.objects(t); len(objects) != 0 {
		t.Errorf("objects: %v", objects)
	}
	v.finishes(t, 300, before)
	if left, err := filepath.Glob(filepath.Join(v.dir, "spool", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("the spool still has %s: %v", strings.Join(left, ", "), err)
	}
}
