package deploy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
)

// bases answers for the images that a Dockerfile starts from, without a registry.
type bases struct{}

// ResolveImageConfig returns the configuration of an image with nothing in it.
func (bases) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, digest.FromString(ref), []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers"}}`), nil
}

// lintDockerfile is what `docker build --check` finds: it translates the file into
// what BuildKit would run, by which it is parsed, and warns on the way.
func lintDockerfile(t *testing.T, text string) []string {
	t.Helper()
	found, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(text), dockerfile2llb.ConvertOpt{
		MetaResolver: bases{}, SourceMap: &llb.SourceMap{Filename: "Dockerfile", Data: []byte(text), Definition: &llb.Definition{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	for _, w := range found.Warnings {
		bad = append(bad, w.RuleName+": "+w.Detail)
	}
	if found.Error != nil {
		bad = append(bad, found.Error.Message)
	}
	return bad
}

func TestDockerfileIsLinted(t *testing.T) {
	if bad := lintDockerfile(t, read(t, root+"/Dockerfile")); len(bad) > 0 {
		t.Errorf("%v", bad)
	}
}

func TestDockerfileLintSeesWhatIsBroken(t *testing.T) {
	f := func(old, text, want string) {
		t.Helper()
		if bad := fmt.Sprint(lintDockerfile(t, changed(t, old, text))); !strings.Contains(bad, want) {
			t.Errorf("%q: %s", text, bad)
		}
	}
	f("WORKDIR /src", "WORKDIRECTORY /src", "unknown instruction")
	f("AS build", "as build", "FromAsCasing")
	f("COPY --from=build /out/sluice", "COPY --from=builder", "COPY requires at least two arguments")
	f("WORKDIR /src", "WORKDIR src", "WorkdirRelativePath")
	f(`ENTRYPOINT ["/sluice"]`, "ENTRYPOINT /sluice", "JSONArgsRecommended")
	f("golang:${GO_VERSION}", "golang:${GOVERSION}", "UndefinedArgInFrom")
	f(`version="$VERSION"`, `version="$VERSON"`, "UndefinedVar")
	f("ARG VERSION=dev\nLABEL", "ARG VERSION=dev\nMAINTAINER me\nLABEL", "MaintainerDeprecated")
	f("EXPOSE 9630 9631", "ENV S3_SECRET_KEY=x", "SecretsUsedInArgOrEnv")
}

// changed is the Dockerfile in which old is replaced by text.
func changed(t *testing.T, old, text string) string {
	t.Helper()
	was := read(t, root+"/Dockerfile")
	if strings.Count(was, old) != 1 {
		t.Fatalf("%q is not once in the Dockerfile", old)
	}
	return strings.Replace(was, old, text, 1)
}

func stages(t *testing.T, text string) []instructions.Stage {
	t.Helper()
	file, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compileCommand is the text of the RUN that compiles.
func compileCommand(t *testing.T, text string) string {
	t.Helper()
	for _, stage := range stages(t, text) {
		for _, c := range stage.Commands {
			if run, ok := c.(*instructions.RunCommand); ok && strings.Contains(strings.Join(run.CmdLine, " "), "go build") {
				return strings.Join(run.CmdLine, " ")
			}
		}
	}
	t.Fatal("nothing compiles")
	return ""
}

// image tells what of the image is not as it must be: nothing to start from but the
// program, no shell that runs anything, not root, certificates; compiled on the
// machine that builds.
func image(t *testing.T, text string) (bad []string) {
	t.Helper()
	all := stages(t, text)
	if len(all) != 2 {
		return []string{"it has not two stages"}
	}
	if all[0].Platform != "$BUILDPLATFORM" {
		bad = append(bad, "the compiler is emulated")
	}
	last := all[1]
	if last.BaseName != "scratch" {
		bad = append(bad, "it starts from "+last.BaseName)
	}
	user, entry, certificates := "", false, false
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.RunCommand:
			bad = append(bad, "it runs something")
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entry = !c.PrependShell && slices.Equal(c.CmdLine, []string{"/sluice"})
		case *instructions.CmdCommand:
			if c.PrependShell {
				bad = append(bad, "its command wants a shell")
			}
		case *instructions.CopyCommand:
			certificates = certificates || c.DestPath == "/etc/ssl/certs/ca-certificates.crt"
		}
	}
	if uid, _, _ := strings.Cut(user, ":"); uid == "" || strings.Trim(uid, "0123456789") != "" || strings.Trim(uid, "0") == "" {
		bad = append(bad, "its user is not a number, or is root")
	}
	if !entry {
		bad = append(bad, "it does not begin with the program")
	}
	if !certificates {
		bad = append(bad, "it has no certificates")
	}
	return bad
}

func TestImage(t *testing.T) {
	if bad := image(t, read(t, root+"/Dockerfile")); len(bad) > 0 {
		t.Errorf("%v", bad)
	}
	f := func(old, text, want string) {
		t.Helper()
		if bad := image(t, changed(t, old, text)); !slices.Contains(bad, want) {
			t.Errorf("%q: %v", text, bad)
		}
	}
	f("--platform=$BUILDPLATFORM ", "", "the compiler is emulated")
	f("FROM scratch", "FROM debian", "it starts from debian")
	f("USER 65532:65532", "USER 0:0", "its user is not a number, or is root")
	f("USER 65532:65532", "USER nobody", "its user is not a number, or is root")
	f("USER 65532:65532", "RUN id", "it runs something")
	f("EXPOSE", "CMD sluice\nEXPOSE", "its command wants a shell")
	f(`ENTRYPOINT ["/sluice"]`, `ENTRYPOINT ["sh"]`, "it does not begin with the program")
	f("ca-certificates.crt /etc/ssl/certs/ca-certificates.crt", "ca-certificates.crt /etc/ca", "it has no certificates")
}

// sent tells what of the context is wrong: what the Dockerfile copies must be there
// and go to the engine, and nothing else needs to.
func sent(t *testing.T, dockerfile, ignore string) (bad []string) {
	t.Helper()
	patterns, err := ignorefile.ReadAll(bytes.NewBufferString(ignore))
	if err != nil {
		t.Fatal(err)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	goes := func(path string) bool {
		out, err := m.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(root, path))
		return !out && err == nil
	}
	for _, stage := range stages(t, dockerfile) {
		for _, c := range stage.Commands {
			if c, ok := c.(*instructions.CopyCommand); ok && c.From == "" {
				for _, path := range c.SourcePaths {
					if !goes(path) {
						bad = append(bad, path+" does not go to the engine")
					}
				}
			}
		}
	}
	if !goes("cmd/sluice/main.go") || !goes("internal/app/app.go") {
		bad = append(bad, "the code does not go to the engine")
	}
	for _, path := range []string{".git", "docs", "tools", "deploy", "cmd/sluice/main_test.go", "internal/config/testdata"} {
		if goes(path) {
			bad = append(bad, path+" goes to the engine")
		}
	}
	return bad
}

func TestContext(t *testing.T) {
	dockerfile, ignore := read(t, root+"/Dockerfile"), read(t, root+"/.dockerignore")
	if bad := sent(t, dockerfile, ignore); len(bad) > 0 {
		t.Errorf("%v", bad)
	}
	f := func(dockerfile, ignore, want string) {
		t.Helper()
		if bad := sent(t, dockerfile, ignore); !slices.Contains(bad, want) {
			t.Errorf("%v, want %q", bad, want)
		}
	}
	f(changed(t, "COPY LICENSE /LICENSE", "COPY NOTICE /NOTICE"), ignore, "NOTICE does not go to the engine")
	f(dockerfile, strings.Replace(ignore, "!internal\n", "", 1), "internal does not go to the engine")
	f(dockerfile, ignore+"**/app\n", "the code does not go to the engine")
	f(dockerfile, "", "docs goes to the engine")
}
