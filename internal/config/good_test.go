package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestGood loads every file testdata/*.good.yaml and holds the printed
// effective configuration against the file beside it.
func TestGood(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".good.yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c := mustLoad(t, string(text))
			got := printed(t, c)
			if strings.Contains(got, planted) || strings.Contains(got, "p%40ss") {
				t.Errorf("a secret is printed:\n%s", got)
			}
			expected := strings.TrimSuffix(path, ".yaml") + ".txt"
			if update() {
				if err := os.WriteFile(expected, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			roundTrip(t, c, got)
		})
	}
}

// roundTrip loads what Print wrote and compares.
func roundTrip(t *testing.T, c *Config, text string) {
	t.Helper()
	// A hidden token is shorter than a token may be.
	loadable := strings.ReplaceAll(text, `token: "***"`, `token: "***hidden***"`)
	again, err := loadText(loadable)
	if err != nil {
		t.Fatalf("what Print wrote doesn't load: %v\n%s", err, loadable)
	}
	if a, b := masked(c), masked(again); !reflect.DeepEqual(a, b) {
		t.Errorf("printed and loaded again it is another configuration:\n%+v\n%+v", a, b)
	}
}

// masked is a configuration without what may differ: secrets and places.
func masked(c *Config) Config {
	m := *c
	m.File, m.places = "", nil
	m.MongoDB.URI = Secret(m.MongoDB.Redacted())
	m.Search.Auth.Password = Secret(m.Search.Auth.Password.String())
	m.Search.Auth.APIKey = Secret(m.Search.Auth.APIKey.String())
	m.S3.AccessKey, m.S3.SecretKey = Secret(m.S3.AccessKey.String()), Secret(m.S3.SecretKey.String())
	m.S3.SessionToken = Secret(m.S3.SessionToken.String())
	m.HTTP.Token = Secret(m.HTTP.Token.String())
	return m
}

// TestEverythingIsSet: the file everything.good.yaml changes every field that it can.
func TestEverythingIsSet(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := printed(t, mustLoad(t, string(text)))
	flows, rest, _ := strings.Cut(out, "- name: orders")
	_, rules, _ := strings.Cut(rest, "\narchive:")
	rule, second, _ := strings.Cut(rules, "- name: second")
	for _, want := range []string{"profile: monstache", "write: update"} {
		if !strings.Contains(rest, want) {
			t.Errorf("%s isn't set", want)
		}
	}
	for line := range strings.SplitSeq(flows+rule, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		// What has no effect beside the rest, or can't be, so that another flow or rule sets it.
		if strings.HasSuffix(line, "# default") && !slices.Contains([]string{"soak", "shadow", "profile", "write"}, name) {
			t.Errorf("still at its default: %s", line)
		}
	}
	each("archive", archiveSpec(new(Archive)), func(path string, f field) {
		if f.Into.fields == nil && !strings.Contains(rule+second, " "+f.Name+": ") {
			t.Errorf("%s isn't set", path)
		}
	})
}
