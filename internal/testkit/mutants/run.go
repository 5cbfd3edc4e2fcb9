package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// outcome is what became of one mutant.
type outcome string

const (
	killed   outcome = "killed"   // the test failed, as it must
	survived outcome = "SURVIVED" // the test passed: it guards nothing
	broken   outcome = "BROKEN"   // no fit, no build, or no such test
)

// event is one line of `go test -json`.
type event struct {
	Action string
	Test   string
	Output string
}

// testRun is what one `go test` did.
type testRun struct {
	ran, failed, unbuilt bool
	output               string
}

// goTest runs the tests of pkg whose name matches test.
func goTest(ctx context.Context, root, pkg, test, tags string) (testRun, error) {
	limit := 2 * time.Minute
	if tags != "" {
		limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit+time.Minute)
	defer cancel()
	// -trimpath lets all scratch copies share one build cache, and with `make
	// build`, which has no cgo either. A patch need not please vet.
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-trimpath", "-vet=off", "-count=1", "-failfast",
		"-timeout", limit.String(), "-tags", tags, "-run", "^("+test+")$", pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return testRun{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return testRun{}, err
	}
	r := read(out)
	r.failed = r.failed || err != nil
	return r, nil
}

// read sums up the output of `go test -json`.
func read(out []byte) testRun {
	var r testRun
	var text strings.Builder
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			// Before the JSON starts, the go command speaks plainly: no build.
			text.WriteString(sc.Text() + "\n")
			continue
		}
		text.WriteString(e.Output)
		switch e.Action {
		case "build-fail":
			r.unbuilt = true
		case "run":
			r.ran = true
		case "fail":
			r.failed = true
		}
	}
	r.output = text.String()
	return r
}

// try applies m to the scratch copy, runs its test and undoes the patch.
func try(ctx context.Context, root string, m mutant) (outcome, string, error) {
	undo, err := m.apply(root)
	if err != nil {
		return broken, err.Error(), undo()
	}
	r, err := goTest(ctx, root, m.pkg, m.test, m.tags)
	if err := errors.Join(err, undo()); err != nil {
		return broken, "", err
	}
	switch {
	case r.unbuilt:
		return broken, "it does not compile:\n" + r.output, nil
	case !r.ran:
		return broken, "no test ran:\n" + r.output, nil
	case r.failed:
		return killed, "", nil
	}
	return survived, r.output, nil
}

// suite is a set of tests that one `go test` can run.
type suite struct{ pkg, tags string }

// baseline runs all named tests on the unpatched copy, where they must pass:
// a test that fails anyway proves nothing.
func baseline(ctx context.Context, root string, all []mutant) error {
	tests := map[suite][]string{}
	var order []suite
	for _, m := range all {
		s := suite{m.pkg, m.tags}
		if tests[s] == nil {
			order = append(order, s)
		}
		tests[s] = append(tests[s], m.test)
	}
	for _, s := range order {
		r, err := goTest(ctx, root, s.pkg, strings.Join(tests[s], "|"), s.tags)
		if err != nil {
			return err
		}
		if r.failed || !r.ran {
			return fmt.Errorf("without any patch the tests of %s do not pass:\n%s", s.pkg, r.output)
		}
	}
	return nil
}

// copyTree copies the sources below from; what git, builds and caches keep is
// left out.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (d.Name() == ".git" || rel == "bin" || rel == "dist" || rel == ".cache"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o600)
	})
}
