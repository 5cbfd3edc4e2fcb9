package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// java is a Java runtime.
type java struct {
	home  string
	major int
}

func (j java) binary() string { return filepath.Join(j.home, "bin", "java") }

// findJava returns the first runtime whose major version lies in [low, high]:
// SLUICE_TEST_JAVA_HOME, JAVA_HOME, the PATH, the usual folders.
func findJava(ctx context.Context, low, high int) (java, error) {
	var seen []string
	for _, home := range javaHomes() {
		major, err := javaMajor(ctx, home)
		if err != nil {
			continue
		}
		if major >= low && major <= high {
			return java{home, major}, nil
		}
		seen = append(seen, fmt.Sprintf("%d in %s", major, home))
	}
	if seen == nil {
		seen = []string{"none"}
	}
	return java{}, fmt.Errorf("needs Java %d or newer (at most %d), found: %s", low, high, strings.Join(seen, ", "))
}

func javaHomes() []string {
	homes := []string{os.Getenv("SLUICE_TEST_JAVA_HOME"), os.Getenv("JAVA_HOME")}
	if p, err := exec.LookPath("java"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(p)))
		}
	}
	for _, pattern := range []string{"/usr/lib/jvm/*", "/opt/*", "/Library/Java/JavaVirtualMachines/*/Contents/Home"} {
		found, _ := filepath.Glob(pattern)
		homes = append(homes, found...)
	}
	var usable []string
	for _, home := range homes {
		if home == "" {
			continue
		}
		if info, err := os.Stat(java{home: home}.binary()); err == nil && !info.IsDir() {
			usable = append(usable, home)
		}
	}
	return usable
}

// javaMajor reads the version from the file release, or asks java itself.
func javaMajor(ctx context.Context, home string) (int, error) {
	text, err := os.ReadFile(filepath.Join(home, "release"))
	if err == nil {
		if major, err := parseJavaVersion(string(text)); err == nil {
			return major, nil
		}
	}
	out, err := exec.CommandContext(ctx, java{home: home}.binary(), "-version").CombinedOutput()
	if err != nil {
		return 0, err
	}
	return parseJavaVersion(string(out))
}

// parseJavaVersion finds the first quoted version and returns its major part;
// "1.8.0" is 8.
func parseJavaVersion(text string) (int, error) {
	m := regexp.MustCompile(`(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)`).FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no version in %q", text)
	}
	return strconv.Atoi(m[1])
}
