package testkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"sluice/internal/flow"
)

// s3Module is the folder, below ours, of the module that the S3 server is built
// from, and what it is.
const (
	s3Module  = "tools/s3"
	s3Version = "versitygw 1.8.0"
)

// s3Hint is the cure when there is no S3 server.
const s3Hint = `Have one of these:
- the go command and a module proxy: the tests build the server themselves (` + s3Module + `, half a minute the first time)
- SLUICE_TEST_S3_SERVER=/path/to/it, built on another machine
- SLUICE_TEST_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY, _BUCKET of another server (tests that break a server still need one of the above)`

// findS3 returns the path of the server's binary, which is built if it has to be.
func findS3(ctx context.Context) (path, origin string, err error) {
	if p := os.Getenv("SLUICE_TEST_S3_SERVER"); p != "" {
		if _, err := exec.LookPath(p); err != nil {
			return "", "", noS3(fmt.Errorf("SLUICE_TEST_S3_SERVER: %w", err))
		}
		return p, "SLUICE_TEST_S3_SERVER", nil
	}
	p, err := buildS3(ctx)
	if err != nil {
		return "", "", noS3(err)
	}
	return p, s3Module, nil
}

func noS3(err error) error {
	return &flow.Error{Op: "find S3 server", Class: flow.Config, Err: err, Hint: s3Hint}
}

func buildS3(ctx context.Context) (string, error) {
	src, err := s3Source(ctx)
	if err != nil {
		return "", err
	}
	root, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum, err := sourceSum(src)
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, root, "s3-"+sum, func(ctx context.Context, dir string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, s3Binary()), ".")
		cmd.Dir = src
		// Its own go.mod alone counts, and what is set for our build does not.
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0", "GOOS=", "GOARCH=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build in %s: %w\n%s", s3Module, err, lastLines(out, 20))
		}
		return nil
	})
	return filepath.Join(dir, s3Binary()), err
}

func s3Binary() string {
	if runtime.GOOS == "windows" {
		return "s3.exe"
	}
	return "s3"
}

// s3Source finds the module's folder in the checkout that the go command is run in.
func s3Source(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	dir := filepath.Join(filepath.Dir(mod), filepath.FromSlash(s3Module))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); mod == "" || err != nil {
		return "", fmt.Errorf("%s is not below the module that this runs in: start from a checkout (%w)", s3Module, err)
	}
	return dir, nil
}

// sourceSum names what is built: sources and compiler.
func sourceSum(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, _ = fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range append(files, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")) {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n%s", filepath.Base(name), len(b), b)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func lastLines(b []byte, n int) string {
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
