package monstache

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layered reads flags, variables and a file.
func layered(t *testing.T, toml string, environ []string, args ...string) *Settings {
	t.Helper()
	if toml != "" {
		path := filepath.Join(t.TempDir(), "monstache.toml")
		if err := os.WriteFile(path, []byte(toml), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"-f", path}, args...)
	}
	s, err := Read(Input{Args: args, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLayers: a flag comes before a variable, a variable before the file; what is
// zero never overrides; lists are taken whole.
func TestLayers(t *testing.T) {
	const toml = "mongo-url = 'file'\ngzip = true\nelasticsearch-max-conns = 7\nchange-stream-namespaces = ['a', 'b']\nresume-name = 'file'\n"
	s := layered(t, toml, []string{"MONSTACHE_MONGO_URL=env", "MONSTACHE_CHANGE_STREAM_NS=c"}, "-mongo-url", "flag", "-gzip=false", "-elasticsearch-max-conns", "0", "--resume-name=")
	for key, want := range map[string]string{"mongo-url": "flag", "resume-name": "file"} {
		if got := s.text(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if !s.on("gzip") || s.number("elasticsearch-max-conns") != 7 || !slices.Equal(s.list("change-stream-namespaces"), []string{"c"}) {
		t.Errorf("gzip %v, conns %d, streams %q", s.on("gzip"), s.number("elasticsearch-max-conns"), s.list("change-stream-namespaces"))
	}
	for _, flag := range []string{"-gzip", "-elasticsearch-max-conns", "-resume-name"} {
		if !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.HasPrefix(w, flag+" has no effect") }) {
			t.Errorf("no warning about %s: %q", flag, s.Warnings)
		}
	}
}

// TestTrueByItself: of the switches that are on by themselves, a false wins in any layer.
func TestTrueByItself(t *testing.T) {
	f := func(key string, want bool, toml string, env []string, args ...string) {
		t.Helper()
		if got := layered(t, toml, env, args...).on(key); got != want {
			t.Errorf("%s %q %q %q: %v, want %v", key, toml, env, args, got, want)
		}
	}
	f("dropped-databases", true, "gzip = true\n", nil)
	f("dropped-databases", false, "dropped-databases = false\n", nil, "-dropped-databases")
	f("dropped-collections", false, "dropped-collections = true\n", nil, "-dropped-collections=false")
	f("elasticsearch-validate-pem-file", true, "", []string{"MONSTACHE_ES_VALIDATE_PEM=true"}, "-elasticsearch-validate-pem-file=false")
	f("elasticsearch-validate-pem-file", false, "elasticsearch-validate-pem-file = false\n", []string{"MONSTACHE_ES_VALIDATE_PEM=true"})
	f("elasticsearch-validate-pem-file", false, "elastic-validate-pem-file = false\n", nil)
}

// TestHiddenTables: variables that hide tables of the file, and one that loses.
func TestHiddenTables(t *testing.T) {
	const toml = "[logs]\ninfo = '/file'\n[elasticsearch-pki-auth]\ncert-file = '/c'\nkey-file = '/k'\n[aws-connect]\nstrategy = 4\nregion = 'file'\n[log-rotate]\nmax-age = 9\n"
	s := layered(t, toml, []string{"MONSTACHE_LOG_DIR=/env/", "MONSTACHE_ES_PKI_CERT=/e", "MONSTACHE_AWS_REGION=env", "MONSTACHE_LOG_MAX_AGE=3"})
	for key, want := range map[string]string{
		"logs.info": "/env/info.log", "elasticsearch-pki-auth.cert-file": "/e", "elasticsearch-pki-auth.key-file": "", "aws-connect.region": "file",
	} {
		if got := s.text(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if s.number("log-rotate.max-age") != 9 || s.number("aws-connect.strategy") != 4 {
		t.Error(s.number("log-rotate.max-age"), s.number("aws-connect.strategy"))
	}
	s = layered(t, toml, []string{"MONSTACHE_AWS_ACCESS_KEY=a", "MONSTACHE_AWS_SECRET_KEY=b", "MONSTACHE_AWS_REGION=env"})
	if s.text("aws-connect.region") != "env" || s.number("aws-connect.strategy") != 0 {
		t.Error("a key in the environment hides the table", s.text("aws-connect.region"), s.number("aws-connect.strategy"))
	}
}

// TestVariablesOfFiles: NAME__FILE comes before NAME, its file loses one line end,
// and what other programs call so is left alone.
func TestVariablesOfFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("mongodb://file/\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := layered(t, "", []string{"MONSTACHE_MONGO_URL=mongodb://env/", "MONSTACHE_MONGO_URL__FILE=" + path, "POSTGRES__FILE=/nowhere", "MONSTACHE_ES_USER__FILE="})
	if got := s.text("mongo-url"); got != "mongodb://file/\n" {
		t.Errorf("%q", got)
	}
	_, err := Read(Input{Environ: []string{"MONSTACHE_MONGO_URL__FILE=/nowhere"}})
	if told := told(t, err); told != "exit 2\n! MONSTACHE_MONGO_URL__FILE: can't read /nowhere: no such file or directory\n" {
		t.Error(told)
	}
}

// TestDelimiter: lists in variables are split as told, and not trimmed.
func TestDelimiter(t *testing.T) {
	s := layered(t, "", []string{"MONSTACHE_CHANGE_STREAM_NS=a,b; c"}, "-env-delimiter", ";")
	if got := s.list("change-stream-namespaces"); !slices.Equal(got, []string{"a,b", " c"}) {
		t.Errorf("%q", got)
	}
}

// TestStrangers: variables that nobody reads are told, but for those of Kubernetes.
func TestStrangers(t *testing.T) {
	s := layered(t, "", []string{"MONSTACHE_MONGO_URI=x", "MONSTACHE_SERVICE_HOST=x", "MONSTACHE_PORT_80_TCP=x", "MONSTACHE_MONGO_PEM=x", "OTHER=x", "MONSTACHE_ES_URLS=http://a:1"})
	if len(s.Warnings) != 2 || !strings.HasPrefix(s.Warnings[0], "MONSTACHE_MONGO_PEM is not read") || !strings.HasSuffix(s.Warnings[1], "did you mean MONSTACHE_MONGO_URL?") {
		t.Errorf("%q", s.Warnings)
	}
}

// TestLettersOfKeys: keys are found in any case.
func TestLettersOfKeys(t *testing.T) {
	s := layered(t, "GZIP = true\nMongo-URL = 'x'\n[GTM-Settings]\nChannel-Size = 3\n[[Script]]\nNamespace = 'a.b'\nScript = 'x'\n", nil)
	if !s.on("gzip") || s.text("mongo-url") != "x" || s.number("gtm-settings.channel-size") != 3 || s.tables["script"][0]["script.namespace"].Text != "a.b" {
		t.Error(s.given, s.tables)
	}
}

// TestInlineTables: tables may be written as values.
func TestInlineTables(t *testing.T) {
	s := layered(t, "logs = {info = '/i'}\nlog-rotate.max-age = 3\nscript = [{namespace = 'a.b', script = 'x'}, {script = 'y'}]\n", nil)
	if s.text("logs.info") != "/i" || s.number("log-rotate.max-age") != 3 || len(s.tables["script"]) != 2 {
		t.Error(s.given, s.tables)
	}
}

// TestPrintConfigOfLists: tables print as in Monstache, markup is escaped.
func TestPrintConfigOfLists(t *testing.T) {
	s := layered(t, "namespace-regex = '<a&b>'\n[[relate]]\nnamespace = 'a.b'\nwith-namespace = 'c.d'\n[[script]]\nscript = 'x'\n", nil, "-print-config", "-workers", "a", "-workers", "b")
	got := outcome(t, Input{Args: []string{"-print-config", "-f", s.File, "-workers", "a", "-workers", "b"}})
	for _, want := range []string{
		`"NsRegex": "\u003ca\u0026b\u003e"`, "\"Workers\": [\n    \"a\",\n    \"b\"\n  ],", `"Script": null`,
		"\"Relate\": [\n    {\n      \"Namespace\": \"a.b\",\n      \"WithNamespace\": \"c.d\",\n      \"SrcField\": \"_id\",",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %s:\n%s", want, got)
		}
	}
}
