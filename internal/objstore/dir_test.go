package objstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/flow"
)

func newDir(t testing.TB) *Dir {
	t.Helper()
	d, err := OpenDir(filepath.Join(t.TempDir(), "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func put(t testing.TB, s Store, key, text string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, BytesBody([]byte(text)), PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files lists all that lies in the directory, unfinished files too.
func files(t testing.TB, d *Dir) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(d.path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(p, d.path+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// faulty is a file whose disk fails at a chosen call.
type faulty struct {
	file
	write, sync, close error
}

func (f faulty) Write(p []byte) (int, error) {
	if f.write != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, f.write
	}
	return f.file.Write(p)
}

func (f faulty) Sync() error { return errors.Join(f.file.Sync(), f.sync) }

func (f faulty) Close() error { return errors.Join(f.file.Close(), f.close) }

func TestA4DirFullDiskLeavesNothing(t *testing.T) {
	f := func(name string, bad faulty, want error) {
		t.Helper()
		d := newDir(t)
		d.create = func(r *os.Root, name string) (file, error) {
			f, err := createTemp(r, name)
			bad.file = f
			return bad, err
		}
		_, err := d.Put(t.Context(), "a/b/x", BytesBody([]byte("0123456789")), PutOptions{})
		if !errors.Is(err, want) || flow.ClassOf(err) != flow.Fatal {
			t.Fatalf("%s: %v, class %s", name, err, flow.ClassOf(err))
		}
		if left := files(t, d); len(left) > 0 {
			t.Fatalf("%s: %q is left", name, left)
		}
		d.create = createTemp
		put(t, d, "a/b/x", "0123456789")
	}
	f("write", faulty{write: syscall.ENOSPC}, ErrNoSpace)
	f("sync", faulty{sync: syscall.ENOSPC}, ErrNoSpace)
	f("close", faulty{close: syscall.EDQUOT}, ErrNoSpace)
	f("disk", faulty{write: syscall.EIO}, syscall.EIO)
}

func TestDirFullDiskSaysSo(t *testing.T) {
	d := newDir(t)
	d.create = func(*os.Root, string) (file, error) {
		return nil, &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOSPC}
	}
	_, err := d.Put(t.Context(), "x", BytesBody([]byte("1")), PutOptions{})
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "Free space") {
		t.Fatal(err)
	}
}

// Nothing may be seen under the key before all of it is on the disk.
func TestA4DirShowsNoUnfinishedObject(t *testing.T) {
	d := newDir(t)
	seen := errors.New("")
	d.create = func(r *os.Root, name string) (file, error) {
		f, err := createTemp(r, name)
		return spy{f, func() { _, seen = d.Head(t.Context(), "x") }}, err
	}
	put(t, d, "x", "all of it")
	if !errors.Is(seen, ErrNotFound) {
		t.Fatalf("while it was written: %v", seen)
	}
	if got := files(t, d); !slices.Equal(got, []string{"x"}) {
		t.Fatal(got)
	}
}

// spy calls before the file is closed.
type spy struct {
	file
	call func()
}

func (s spy) Close() error {
	s.call()
	return s.file.Close()
}

// A name that is taken while we write is not replaced, with hard links or not.
func TestA4DirLateWinnerIsNotReplaced(t *testing.T) {
	for _, links := range []bool{true, false} {
		d := newDir(t)
		if !links {
			d.link = func(*os.Root, string, string) error { return syscall.EPERM }
		}
		d.create = func(r *os.Root, name string) (file, error) {
			f, err := createTemp(r, name)
			return spy{f, func() {
				if err := os.WriteFile(filepath.Join(d.path, "a", "x"), []byte("theirs"), 0o600); err != nil {
					t.Error(err)
				}
			}}, err
		}
		if _, err := d.Put(t.Context(), "a/x", BytesBody([]byte("ours")), PutOptions{}); !errors.Is(err, ErrExists) {
			t.Fatalf("links %t: %v", links, err)
		}
		if got := get(t, d, "a/x"); got != "theirs" {
			t.Fatal(got)
		}
		if got := files(t, d); !slices.Equal(got, []string{"a/x"}) {
			t.Fatal(got)
		}
		d.create = createTemp
		put(t, d, "a/y", "ours")
		if got := get(t, d, "a/y"); got != "ours" {
			t.Fatal(got)
		}
	}
}

func TestDirSymlinksDoNotLeadOut(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDir(t)
	for from, to := range map[string]string{"dir": outside, "file": filepath.Join(outside, "secret"), "up": "../.."} {
		if err := os.Symlink(to, filepath.Join(d.path, from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"dir/secret", "file", "up/x"} {
		if r, err := d.Get(t.Context(), key, 0, -1); err == nil {
			_ = r.Close()
			t.Errorf("read %s", key)
		}
		if _, err := d.Head(t.Context(), key); err == nil {
			t.Errorf("looked up %s", key)
		}
		if _, err := d.Put(t.Context(), key, BytesBody([]byte("x")), PutOptions{}); err == nil {
			t.Errorf("wrote %s", key)
		}
		_ = d.Delete(t.Context(), key)
	}
	for info, err := range d.List(t.Context(), "") {
		t.Errorf("listed %+v %v", info, err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "secret" {
		t.Fatal(string(b), err)
	}
}

func TestDirFolderIsNoObject(t *testing.T) {
	d := newDir(t)
	put(t, d, "a/b", "1")
	if _, err := d.Get(t.Context(), "a", 0, -1); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := d.Head(t.Context(), "a/b/c"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := d.Put(t.Context(), "a/b/c", BytesBody(nil), PutOptions{}); err == nil || errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := d.Put(t.Context(), "a", BytesBody(nil), PutOptions{}); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), "a"); err != nil || get(t, d, "a/b") != "1" {
		t.Fatal(err)
	}
}

func TestDirReadsFileThatShrinks(t *testing.T) {
	d := newDir(t)
	put(t, d, "x", strings.Repeat("x", 100))
	r, err := d.Get(t.Context(), "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(d.path, "x"), 10); err != nil {
		t.Fatal(err)
	}
	if _, err = io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDirSweep(t *testing.T) {
	d := newDir(t)
	put(t, d, "a/x", "1")
	for name, age := range map[string]time.Duration{"a/" + tempPrefix + "old": 48 * time.Hour, tempPrefix + "new": time.Hour} {
		p := filepath.Join(d.path, name)
		if err := errors.Join(os.WriteFile(p, nil, 0o600), os.Chtimes(p, time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	for info, err := range d.List(t.Context(), "") {
		if err != nil || info.Key != "a/x" {
			t.Errorf("listed %+v %v", info, err)
		}
	}
	if n, err := d.Sweep(t.Context(), 24*time.Hour); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := files(t, d); !slices.Equal(got, []string{tempPrefix + "new", "a/x"}) {
		t.Fatal(got)
	}
}

func TestFileBody(t *testing.T) {
	p := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(p, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b, err := FileBody(f)
	if err != nil || b.Size() != 11 {
		t.Fatal(err)
	}
	d := newDir(t)
	if _, err := d.Put(t.Context(), "x", b, PutOptions{SHA256: sha256.Sum256([]byte("from a file"))}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, d, "x"); got != "from a file" {
		t.Fatal(got)
	}
}

func TestOpenDirSaysWhatIsWrong(t *testing.T) {
	p := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(p, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(p); flow.ClassOf(err) != flow.Config {
		t.Fatal(err)
	}
}

func TestOpenByURL(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		s, err := Open(context.Background(), url, S3Options{AccessKey: "a", SecretKey: "b"})
		got := ""
		switch s := s.(type) {
		case *S3:
			got = fmt.Sprintf("s3 %s %s", s.bucket, s.prefix)
			_ = s.Close()
		case *Dir:
			got = "dir"
			_ = s.Close()
		}
		if err != nil {
			got = flow.ClassOf(err).String()
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", url, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("it tells the password: %v", err)
		}
	}
	f("s3://bucket", "s3 bucket ")
	f("s3://bucket/", "s3 bucket ")
	f("s3://bucket/a/b/", "s3 bucket a/b/")
	f("file://"+filepath.Join(t.TempDir(), "x"), "dir")
	f("file:///", "config")
	f("file://host/x", "config")
	f("file:x", "config")
	f("s3:///x", "config")
	f("s3://user:hunter2@bucket/x", "config")
	f("s3://bucket/x?secret=hunter2", "config")
	f("s3://user:hunter2@%zz", "config")
	f("gs://bucket", "config")
	f("", "config")
	f("s3://bucket/a/../b", "config")
}

func TestNameHoldsNoSecret(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		if got := Name(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	f("s3://bucket/prefix/", "s3://bucket/prefix")
	f("s3://u:hunter2@bucket/prefix?token=hunter2#x", "s3://bucket/prefix")
	f("file:///a/b", "file:///a/b")
	f("://u:hunter2@x", "(no URL)")
	f("nothing", "(no URL)")
}

func FuzzKeysNeverEscape(f *testing.F) {
	for _, k := range []string{"a/b", "../x", "a/../../x", "/etc/passwd", "a\\..\\b", "a//b", "..", ".", "a/.", "C:/x", "\x00", "x/", tempPrefix + "1"} {
		f.Add(k)
	}
	parentDir := f.TempDir()
	d, err := OpenDir(filepath.Join(parentDir, "root"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = d.Close() })
	f.Fuzz(func(t *testing.T, key string) {
		_, err := d.Put(t.Context(), key, BytesBody([]byte(key)), PutOptions{})
		if entries, _ := os.ReadDir(parentDir); len(entries) != 1 {
			t.Fatalf("%q made a file outside", key)
		}
		if CheckKey(key) != nil {
			if err == nil {
				t.Fatalf("%q was stored", key)
			}
			return
		}
		if err != nil {
			if !errors.Is(err, ErrExists) && !strings.Contains(err.Error(), "is an object") {
				t.Fatalf("%q: %v", key, err)
			}
			return
		}
		if got := get(t, d, key); got != key {
			t.Fatalf("%q: %q", key, got)
		}
		if err := d.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	})
}
