package config

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// update writes expected messages and generated documentation anew.
func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write expected messages and docs/ anew")
	flag.Parse()
	os.Exit(m.Run())
}

// planted is the value of what no message may hold.
const planted = "pl4nted"

// testLookup is an environment of a few names, and files under /secrets.
func testLookup() lookup {
	env := map[string]string{
		"PLANTED": planted, "PASSWORD": planted, "EMPTY": "", "NUMBER": "8", "TRUE": "true", "HOST": "db1",
		"TRICKY": "a: b\n#c ${PLANTED}",
	}
	files := map[string]string{"/secrets/token": planted + "\n", "/secrets/crlf": planted + "\r\n", "/secrets/two": "a\n\n"}
	return lookup{
		env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		file: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}
}

// least is the least that works.
const least = `mongodb:
  uri: mongodb://127.0.0.1:27017/?replicaSet=rs0
search:
  urls: [http://127.0.0.1:9200]
flows:
  - name: shop
    namespaces: [shop.orders]
`

func loadText(text string) (*Config, error) {
	return load("sluice.yaml", []byte(text), Overrides{}, testLookup())
}

func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	c, err := loadText(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

func printed(t testing.TB, c *Config) string {
	t.Helper()
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// messages returns what is wrong with a text, one per line.
func messages(t testing.TB, text string) string {
	t.Helper()
	_, err := loadText(text)
	if err == nil {
		return ""
	}
	var errs Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("%T is no Errors: %v", err, err)
	}
	return err.Error() + "\n"
}
