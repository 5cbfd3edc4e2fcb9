//go:build integration

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
)

// TestA4ArchiveStoreErrors: what can be wrong with the store at the start, for
// verbs that write and verbs that read: a clear error and a cure, nothing
// deleted, no secret told.
func TestA4ArchiveStoreErrors(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{})
	v.fill(t, 100, 0)
	before := v.raw(t)
	file := filepath.Join(v.dir, "archive-is-a-file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(v.dir, "locked")
	if err := os.Mkdir(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	canLock := setReadOnly(t, locked)
	nobody, place := "http://"+freeAddr(t), "s3://"+v.s3.Bucket()+"/"+v.prefix
	const wrong = "wr0ng-s3cret-key"
	s3 := v.line(t, "s3:")
	type wrongStore struct {
		name  string
		pairs []string
		code  int
		says  []string
	}
	type attempt struct {
		wrongStore
		args []string
		p    *process
	}
	var all []attempt // side by side, because most of the time they wait to try again
	for _, x := range []wrongStore{
		{"wrong secret", []string{v.s3.SecretKey(), wrong}, 1, []string{"SignatureDoesNotMatch", "s3://" + v.s3.Bucket(), "\n  "}},
		{"wrong key", []string{fmt.Sprintf("%q", v.s3.AccessKey()), `"nobody"`, v.s3.SecretKey(), wrong}, 1, []string{"InvalidAccessKeyId", "\n  "}},
		{"no such bucket", []string{place, "s3://no-such-bucket/" + v.prefix}, 2, []string{"NoSuchBucket", "no-such-bucket", "Make the bucket"}},
		{"nobody there", []string{v.s3.Endpoint(), nobody}, 1, []string{strings.TrimPrefix(nobody, "http://"), "connection refused", "endpoint"}},
		{"https", []string{v.s3.Endpoint(), strings.Replace(v.s3.Endpoint(), "http:", "https:", 1)}, 2, []string{"http://"}},
		{"directory is a file", []string{s3, "", place, "file://" + file}, 2, []string{file, "not a directory", "\n  "}},
		{"directory is locked", []string{s3, "", place, "file://" + locked + "/archive"}, 2, []string{locked, "\n  "}},
	} {
		// A rule of its own, so that none waits for the lease of another.
		name := fmt.Sprintf("%s-%d", v.rule, len(all))
		config := v.variant(t, append(x.pairs, "name: "+v.rule, "name: "+name)...)
		for _, args := range [][]string{{"plan"}, {"run", "--once"}, {"find", "--id", "1"}, {"verify"}, {"rebuild-catalogue"}} {
			if x.name == "directory is locked" && (!canLock || args[0] != "run") {
				continue // it can be made, or is empty
			}
			all = append(all, attempt{x, args, launch(t, append(append([]string{"archive"}, args...), "-c", config)...)})
		}
	}
	for _, x := range all {
		t.Run(x.name+" "+x.args[0], func(t *testing.T) {
			if code := x.p.wait(t, 3*time.Minute); code != x.code {
				t.Errorf("exit code %d, want %d", code, x.code)
			}
			text := x.p.output()
			wantWords(t, lastWords(text), x.says...)
			wantNone(t, text, wrong, v.s3.SecretKey())
			t.Logf("it says\n%s", lastWords(text))
		})
	}
	wantSame(t, v.raw(t), before)
	// Keys of the environment, which is where the SDK looks by itself.
	text := v.variant(t, fmt.Sprintf(", access_key: %q, secret_key: %q", v.s3.AccessKey(), v.s3.SecretKey()), "")
	env := []string{"AWS_ACCESS_KEY_ID=" + v.s3.AccessKey(), "AWS_SECRET_ACCESS_KEY=" + v.s3.SecretKey()}
	if r := verb(t, env, "archive", "run", "--once", "-c", text); r.code != 0 {
		t.Errorf("with keys of the environment: exit code %d\n%s", r.code, r.errOut)
	}
	if n := v.count(t); n != 100 {
		t.Errorf("%d documents are left", n)
	}
}

// line is the line of the configuration that begins with start.
func (v *vault) line(t *testing.T, start string) string {
	t.Helper()
	text, err := os.ReadFile(v.file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, start) {
			return line
		}
	}
	t.Fatalf("no line begins with %s", start)
	return ""
}

// TestA4ArchiveStoreRights: an account that may do less than is needed.
func TestA4ArchiveStoreRights(t *testing.T) {
	t.Parallel()
	server, err := testkit.StartS3(t.Context(), testkit.S3Options{Own: true, Users: []string{"reader", "writer"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	v := newVault(t, vaultOptions{S3: server})
	v.fill(t, 100, 0)
	before := v.raw(t)
	policy := func(user, actions string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":[%q],"Action":%s,"Resource":["arn:aws:s3:::%s","arn:aws:s3:::%s/*"]}]}`,
			user, actions, "policies", "policies")
	}
	as := v.variant(t, fmt.Sprintf("%q", server.AccessKey()), `"reader"`, server.SecretKey(), server.UserSecret(), "s3://"+server.Bucket()+"/", "s3://policies/")
	if err := server.CreateBucket(t.Context(), "policies", testkit.BucketOptions{Policy: policy("reader", `["s3:GetObject","s3:ListBucket"]`)}); err != nil {
		t.Fatal(err)
	}
	r := verb(t, nil, "archive", "run", "--once", "-c", as)
	t.Logf("it says\n%s", lastWords(r.errOut))
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
	wantWords(t, lastWords(r.errOut), "AccessDenied", "Missing: s3:PutObject", "policies")
	wantNone(t, r.out+r.errOut, server.UserSecret())
	wantSame(t, v.raw(t), before)
}

// TestA3ArchiveMongoErrors: a wrong password, a server that is not there, and
// rights that are missing: what is said, and that the rights which are named are
// enough.
func TestA3ArchiveMongoErrors(t *testing.T) {
	t.Parallel()
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t, vaultOptions{Mongo: m.URI()})
	t.Cleanup(func() { _ = m.Stop() })
	v.fill(t, 100, 0)
	before := v.raw(t)
	use := func(uri string) string { return v.variant(t, fmt.Sprintf("%q", m.URI()), fmt.Sprintf("%q", uri)) }
	try := func(uri string, words []string, secrets ...string) {
		t.Helper()
		config := use(uri)
		for _, args := range [][]string{{"plan"}, {"run", "--once"}, {"ls"}} {
			r := verb(t, nil, append(append([]string{"archive"}, args...), "-c", config)...)
			if r.code != 1 {
				t.Errorf("%v: exit code %d", args, r.code)
			}
			wantWords(t, lastWords(r.errOut), words...)
			wantNone(t, r.out+r.errOut, secrets...)
			if args[0] == "run" {
				t.Logf("it says\n%s", lastWords(r.errOut))
			}
		}
	}
	try(as(t, m.URI(), url.UserPassword("root", "wr0ng-pw")), []string{"uthentication", "password", "authSource"}, "wr0ng-pw")
	addr := freeAddr(t)
	try("mongodb://sluice:s3cret-pw@"+addr+"/?replicaSet=rs0&serverSelectionTimeoutMS=300", []string{addr, "connection refused"}, "s3cret-pw")

	run := func(cmd bson.D) {
		t.Helper()
		if err := v.client.Database("admin").RunCommand(t.Context(), cmd).Err(); err != nil {
			t.Fatal(err)
		}
	}
	reader := bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: v.db.Name()}}
	run(bson.D{{Key: "createUser", Value: "reader"}, {Key: "pwd", Value: "r3ader-pw"}, {Key: "roles", Value: bson.A{reader}}})
	limited := use(as(t, m.URI(), url.UserPassword("reader", "r3ader-pw")))
	r := verb(t, nil, "archive", "run", "--once", "-c", limited)
	t.Logf("it says\n%s", lastWords(r.errOut))
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
	wantWords(t, lastWords(r.errOut), "not authorized", "sluice", "\n  ")
	wantNone(t, r.out+r.errOut, "r3ader-pw")

	// With its own database, it may read and not delete: an unknown lag pauses it.
	own := bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "sluice"}}
	run(bson.D{{Key: "grantRolesToUser", Value: "reader"}, {Key: "roles", Value: bson.A{own}}})
	p := launch(t, "archive", "run", "--once", "-c", limited)
	p.eventually(t, 30*time.Second, func() error {
		if !strings.Contains(p.output(), "replSetGetStatus") {
			return fmt.Errorf("it says %s", tail(p.output(), 2000))
		}
		return nil
	})
	p.kill()
	v.handBack(t)
	run(bson.D{{Key: "grantRolesToUser", Value: "reader"}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "clusterMonitor"}, {Key: "db", Value: "admin"}}}}})
	r = verb(t, nil, "archive", "run", "--once", "-c", limited)
	t.Logf("it says\n%s", lastWords(r.errOut))
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
	wantWords(t, lastWords(r.errOut), "not authorized", v.ns(), "the user lacks remove on", "createRole", "replSetGetStatus")
	wantSame(t, v.raw(t), before)
	run(bson.D{{Key: "grantRolesToUser", Value: "reader"}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: v.db.Name()}}}}})
	r = verb(t, nil, "archive", "run", "--once", "-c", limited)
	if r.code != 0 || v.count(t) != 100 {
		t.Errorf("with readWrite, readWrite on sluice and clusterMonitor: exit code %d, %d documents are left\n%s", r.code, v.count(t), tail(r.errOut, 2000))
	}
}
