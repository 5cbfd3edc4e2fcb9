//go:build integration

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chive is a vault with the command line that go-chive's users have for it.
func chive(t *testing.T) (v *vault, flags []string) {
	t.Helper()
	v = newVault(t, vaultOptions{})
	t.Setenv("AWS_ACCESS_KEY_ID", v.s3.AccessKey())
	t.Setenv("AWS_SECRET_ACCESS_KEY", v.s3.SecretKey())
	return v, []string{
		"-age-limit", "1d", "-archive-check-interval", "1", "-collection", "old", "-database", v.db.Name(), "-host", v.uri,
		"-s3-bucket-uri", v.s3.Bucket() + "/" + v.prefix + "/", "-s3-upload-interval", "2", "-archive-field", "at", "-query-limit", "1000",
		"-s3-endpoint", v.s3.Endpoint(), "-s3-region", v.s3.Region(),
	}
}

// converted is the configuration of the same, by sluice config convert.
func converted(t *testing.T, v *vault) string {
	t.Helper()
	dir := t.TempDir()
	list := filepath.Join(dir, "values.yaml")
	text := fmt.Sprintf(`
- name: %s
  hostAddress: %q
  ageLimit: 1d
  queryLimit: 1000
  archiveCheckInterval: 1
  collection: old
  database: %s
  archiveField: at
  s3:
    bucket: %s/%s/
    uploadInterval: 2
`, v.db.Name()+"-old", v.uri, v.db.Name(), v.s3.Bucket(), v.prefix)
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := verb(t, nil, "config", "convert", "--from", "gochive", list, "--", "-s3-endpoint", v.s3.Endpoint(), "-s3-region", v.s3.Region())
	if r.code != 0 || !strings.Contains(r.errOut, "86400000 a day") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	file := filepath.Join(dir, "sluice.yaml")
	if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGochiveCommandLine: its flags archive what is old, and only that, in more
// than one read; what they made comes back bit for bit by the same configuration.
func TestGochiveCommandLine(t *testing.T) {
	v, flags := chive(t)
	const n = 2500
	v.fill(t, n, 0)
	before := v.raw(t)
	p := launch(t, append([]string{"gochive"}, flags...)...)
	p.eventually(t, time.Minute, func() error {
		if left := v.count(t); left != n {
			return fmt.Errorf("%d documents are left, not %d", left, n)
		}
		return nil
	})
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"at most 1000 documents in 1 s, which is 86400000 a day", "-query-limit"} {
		if !strings.Contains(p.output(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	file := converted(t, v)
	if r := verb(t, nil, "archive", "verify", "--deep", "-c", file); r.code != 0 || !strings.Contains(r.out, "2500") {
		t.Fatalf("verify: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if r := verb(t, nil, "restore", "--all", "-c", file); r.code != 0 {
		t.Fatalf("restore: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	wantSame(t, v.raw(t), before)
}

// TestGochiveMistakes: each gives one message, an exit code, and touches nothing.
func TestGochiveMistakes(t *testing.T) {
	v, flags := chive(t)
	v.add(t, 0, 50, 0, time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)) // no index
	f := func(code int, change []string, words ...string) {
		t.Helper()
		args := append([]string{"gochive"}, flags...)
		for i := 0; i < len(change); i += 2 {
			args = append(args, change[i], change[i+1])
		}
		r := verb(t, nil, append(args, "-once")...)
		if r.code != code {
			t.Errorf("%v: exit code %d, want %d\n%s%s", change, r.code, code, r.out, r.errOut)
		}
		wantWords(t, r.out+r.errOut, words...)
	}
	f(3, nil, "no index of", "createIndex", "-allow-collscan")
	f(2, []string{"-age-limit", "-1d"}, "-age-limit is negative")
	f(2, []string{"-query-limit", "0"}, "-query-limit wants")
	f(1, []string{"-host", "mongodb://127.0.0.1:1/?directConnection=true&serverSelectionTimeoutMS=500"}, "127.0.0.1:1")
	f(2, []string{"-s3-bucket-uri", "no-such-bucket-here/x/"}, "no-such-bucket-here")
	if got := v.count(t); got != 50 {
		t.Fatalf("%d documents are left of 50", got)
	}
	r := verb(t, nil, append(append([]string{"gochive"}, flags...), "-once", "-allow-collscan")...)
	if r.code != 0 || v.count(t) != 0 {
		t.Errorf("exit code %d, %d documents are left\n%s%s", r.code, v.count(t), r.out, r.errOut)
	}
}
