package testkit

import (
	"archive/zip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseJavaVersion(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		if got, _ := parseJavaVersion(text); got != want {
			t.Fatalf("%q is %d, want %d", text, got, want)
		}
	}
	f("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"25.0.1\"\n", 25)
	f(`openjdk version "17.0.15" 2025-04-15`, 17)
	f(`java version "1.8.0_281"`, 8)
	f(`JAVA_VERSION="26-ea"`, 26)
	f("nothing", 0)
}

func TestCachedBuildsOnce(t *testing.T) {
	root := t.TempDir()
	var builds atomic.Int32
	build := func(_ context.Context, dir string) error {
		if builds.Add(1) == 1 {
			return errors.New("the network is down")
		}
		return os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600)
	}
	if _, err := cached(t.Context(), root, "thing", build); err == nil {
		t.Fatal("no error")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := cached(t.Context(), root, "thing", build)
			if _, statErr := os.Stat(filepath.Join(dir, "f")); err != nil || statErr != nil {
				t.Error(err, statErr)
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(root)
	if err != nil || len(left) != 2 || builds.Load() != 2 {
		t.Fatal(left, builds.Load(), err)
	}
}

func TestLockWaitsAndGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := lockFile(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	unlock()
	again, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestReservedPortIsNotGivenTwice(t *testing.T) {
	p, err := reservePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(os.TempDir(), "sluice-testkit-ports")
	if _, err := tryPort(dir, p.number); !errors.Is(err, errLocked) {
		t.Fatal(err)
	}
	p.release()
	q, err := tryPort(dir, p.number)
	if err != nil {
		t.Fatal(err)
	}
	q.release()
}

func TestUnzipStaysInside(t *testing.T) {
	f := func(entry string, ok bool) {
		t.Helper()
		dir := t.TempDir()
		archive := filepath.Join(dir, "a.zip")
		out, err := os.Create(archive)
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(out)
		w, err := z.Create(entry)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write([]byte("x"))
		if err := errors.Join(err, z.Close(), out.Close()); err != nil {
			t.Fatal(err)
		}
		if err := unzip(archive, filepath.Join(dir, "out"), nil); (err == nil) != ok {
			t.Fatal(entry, err)
		}
	}
	f("a/b", true)
	f("../b", false)
	f("/b", false)
}

func TestCheckSum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkSum(path, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); err != nil {
		t.Fatal(err)
	}
	if err := checkSum(path, mongodSHA256); err == nil {
		t.Fatal("a wrong file passed")
	}
}

func TestUniqueName(t *testing.T) {
	f := func(name string) {
		t.Run(name, func(t *testing.T) {
			a, b := UniqueName(t), UniqueName(t)
			if a == b || len(a) > 48 || a[0] == '_' || strings.ToLower(a) != a || strings.ContainsAny(a, "/ .#$") {
				t.Fatal(a, b)
			}
		})
	}
	f("Plain")
	f("With Space/and.dots$" + strings.Repeat("x", 60))
	f("Ünïcode")
}

func TestProcessLife(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	sh := func(script string) *process {
		p, err := run(command{path: "/bin/sh", args: []string{"-c", script}, dir: t.TempDir(), log: log})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := sh("echo hello; exit 3")
	if err := p.await(t.Context(), func(context.Context) error { return errors.New("no") }); !errors.Is(err, errExited) {
		t.Fatal(err)
	}
	if !strings.Contains(tail(log, 100), "hello") {
		t.Fatal(tail(log, 100))
	}
	for _, end := range []func(*process){func(p *process) { p.Kill() }, func(p *process) { _ = p.Stop() }} {
		p := sh("sleep 1000 & echo $!; wait")
		end(p)
		if !p.exited() {
			t.Fatal("still there")
		}
		p.Kill()
	}
	if _, err := run(command{path: "/no/such/binary", log: log}); err == nil {
		t.Fatal("started nothing")
	}
}

func TestSweepLeavesTheLiving(t *testing.T) {
	parent := t.TempDir()
	f := func(pid int, kept bool) {
		t.Helper()
		dir := filepath.Join(parent, workPrefix+strconv.Itoa(pid)+"-x-1")
		for _, name := range []string{"data", logsDir} {
			if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		sweep(parent)
		_, err := os.Stat(filepath.Join(dir, "data"))
		if (err == nil) != kept {
			t.Fatal(pid, err)
		}
		if _, err := os.Stat(filepath.Join(dir, logsDir)); err != nil {
			t.Fatal("the logs are gone")
		}
	}
	f(os.Getpid(), true)
	f(1<<30, false)
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := StartMongo(t.Context(), MongoOptions{Nodes: 2, Own: true}); err == nil {
		t.Fatal("two nodes")
	}
	if _, err := StartSearch(t.Context(), SearchOptions{Product: OpenSearch, Version: "0.1"}); err == nil || !strings.Contains(err.Error(), "3.6.0") {
		t.Fatal(err)
	}
	if _, err := StartSearch(t.Context(), SearchOptions{Version: "8.19.21"}); !errors.Is(err, errVersionWithoutProduct) {
		t.Fatal(err)
	}
}

func TestEventuallyComesBack(t *testing.T) {
	n := 0
	Eventually(t, time.Minute, func() error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	})
}
