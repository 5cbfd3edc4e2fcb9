package deploy

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// machines are what the image is made for.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// built is where the program is compiled to, once for each machine.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sluice-image-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// compile runs the command by which the Dockerfile compiles, for one machine.
func compile(t *testing.T, arch string) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, arch)
	path := filepath.Join(out, "sluice")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	command := compileCommand(t, read(t, root+"/Dockerfile"))
	// The only thing that differs: where it goes.
	c := exec.CommandContext(t.Context(), "/bin/sh", "-euc", strings.ReplaceAll(command, "/out/", out+"/"))
	c.Dir = root
	c.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+arch, "VERSION=v1.2.3")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", arch, err, text)
	}
	return path
}

// program tells what of a compiled program does not fit the image: it must be
// static, for there is no other file to load, be for the machine, and bring its time
// zones along.
func program(path, arch string) (bad []string) {
	f, err := elf.Open(path)
	if err != nil {
		return []string{err.Error()}
	}
	defer func() { _ = f.Close() }()
	if f.Machine != machines[arch] {
		bad = append(bad, fmt.Sprintf("it is for %v", f.Machine))
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			bad = append(bad, "it is not static")
		}
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return append(bad, err.Error())
	}
	want := map[string]string{"CGO_ENABLED": "0", "GOARCH": arch, "GOOS": "linux", "-tags": "timetzdata", "-trimpath": "true"}
	for _, s := range info.Settings {
		if want[s.Key] == s.Value {
			delete(want, s.Key)
		}
	}
	for key, value := range want {
		bad = append(bad, key+" is not "+value)
	}
	return bad
}

func TestProgramForEachMachine(t *testing.T) {
	for arch := range machines {
		if bad := program(compile(t, arch), arch); len(bad) > 0 {
			t.Errorf("%s: %v", arch, bad)
		}
	}
	out, err := exec.CommandContext(t.Context(), host(t), "version").Output()
	if err != nil || !strings.Contains(string(out), "v1.2.3") {
		t.Errorf("version: %s %v", out, err)
	}
}

func TestProgramThatDoesNotFitIsSeen(t *testing.T) {
	f := func(path, arch, want string) {
		t.Helper()
		if bad := fmt.Sprint(program(path, arch)); !strings.Contains(bad, want) {
			t.Errorf("%s for %s: %s", path, arch, bad)
		}
	}
	f(compile(t, "arm64"), "amd64", "it is for EM_AARCH64")
	f("/bin/sh", "amd64", "it is not static")
	f(os.Args[0], runtime.GOARCH, "-tags is not timetzdata")
	f("doc.go", "amd64", "bad magic")
}

// host is the program for this machine.
func host(t *testing.T) string {
	t.Helper()
	if machines[runtime.GOARCH] == 0 {
		t.Fatalf("there is no image for %s", runtime.GOARCH)
	}
	return compile(t, runtime.GOARCH)
}

// refused is what sluice says against a rendered configuration; "" for nothing. Secrets
// are there as the chart mounts them.
func refused(t *testing.T, rendered map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := yaml.Marshal(configOf(t, rendered))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`/run/secrets/[A-Za-z0-9./-]+`).FindAllString(string(text), -1) {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(m)), 0o700), os.WriteFile(filepath.Join(dir, m), []byte("secret\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "sluice.yaml")
	// What Kubernetes gets, byte for byte, but for where secrets lie.
	whole, _ := at(parsed(t, rendered["configmap.yaml"]), "data", "sluice.yaml").(string)
	whole = strings.ReplaceAll(whole, "/run/secrets/", dir+"/run/secrets/")
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), host(t), "config", "validate", "-c", path)
	c.Env = []string{
		"MONGODB_URI=mongodb://db1/?replicaSet=rs0", "MONGODB_PASSWORD=secret", "S3_ACCESS_KEY=key", "SLUICE_HTTP_TOKEN=0123456789",
	}
	var said strings.Builder
	c.Stdout, c.Stderr = io.Discard, &said
	if err := c.Run(); err != nil {
		return said.String() + err.Error()
	}
	return ""
}

// Whatever the chart makes of its values, sluice takes.
func TestConfigurationIsValid(t *testing.T) {
	for name, v := range cases(t) {
		if why := refused(t, mustRender(t, v)); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	c := configOf(t, mustRender(t, cases(t)["both"]))
	flow := entries(c["flows"])["shop"]
	if at(flow, "on", "delete") != "mark" || at(flow, "snapshot", "rate") != float64(1000000) ||
		at(c, "search", "body_bytes") != float64(16777217) || at(flow, "fields", "set", "on") != "off" || at(flow, "fields", "set", "source") != "yes" {
		t.Errorf("%v", c)
	}
}

func TestInvalidConfigurationIsSeen(t *testing.T) {
	f := func(file, old, text, want string) {
		t.Helper()
		out, err := render(broken(t, file, old, text), cases(t)["both"])
		if err != nil {
			t.Fatal(err)
		}
		if why := refused(t, out); !strings.Contains(why, want) {
			t.Errorf("%s with %q: %s", file, text, why)
		}
	}
	f("templates/_config.tpl", "probes: {{", "probe: {{", `unknown field "probe"`)
	f("templates/_config.tpl", `if hasKey $flow "true"`, `if hasKey $flow "never"`, "true")
	f("templates/_config.tpl", `"127.0.0.1:%v"`, `"0.0.0.0:%v"`, "http.token")
	f("templates/_config.tpl", `set $c "archive" $rules`, `set $c "archives" $rules`, "archives")
}
