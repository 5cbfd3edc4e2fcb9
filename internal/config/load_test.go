package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.yaml")
	if err := os.WriteFile(path, []byte("\xef\xbb\xbf"+least), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, Overrides{})
	if err != nil || c.File != path || c.Flows[0].Name != "shop" {
		t.Fatal(c, err)
	}
}

func TestLoadDefaultFile(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Load("", Overrides{})
	var errs Errors
	if !errors.As(err, &errs) || !strings.Contains(err.Error(), "neither ./sluice.yaml nor /etc/sluice/sluice.yaml") {
		t.Fatal(err)
	}
	if err := os.WriteFile("sluice.yaml", []byte(least+"x: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load("", Overrides{}); err == nil || !strings.HasPrefix(err.Error(), "sluice.yaml:8:1: unknown field") {
		t.Fatal(err)
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(path, want string) {
		t.Helper()
		_, err := Load(path, Overrides{})
		var errs Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
	f(filepath.Join(dir, "none.yaml"), "no such file")
	f(dir, "is it a directory?")
	f(big, "larger than 256 KiB")
}

func TestFromFlags(t *testing.T) {
	c, err := FromFlags(Overrides{
		MongoDB: "mongodb://h", Search: []string{"https://u:" + planted + "@h:9200"}, Namespaces: []string{"shop.orders"},
		Index: "orders", State: "/tmp/x", Listen: "127.0.0.1:0", CAFile: "/ca.pem", Insecure: true, SnapshotRate: 1500,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := c.Flows[0]
	if f.Name != "sync" || f.Index != "orders" || c.Search.Auth.Password != planted || c.Search.URLs[0] != "https://h:9200" ||
		!c.Search.TLS.InsecureSkipVerify || c.Search.TLS.CAFile != "/ca.pem" || c.State.Path != "/tmp/x" || c.Limits.Lanes != 4 || f.Snapshot.Rate != 1500 {
		t.Errorf("%+v", c)
	}
	out := printed(t, c)
	for _, want := range []string{"index: orders  # flag --index", "lanes: 4  # default", `password: "***"  # flag --search`} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestFromFlagsErrors(t *testing.T) {
	f := func(over Overrides, want ...string) {
		t.Helper()
		_, err := FromFlags(over)
		var errs Errors
		if !errors.As(err, &errs) {
			t.Fatalf("%T %v", err, err)
		}
		if got := err.Error(); got != strings.Join(want, "\n") {
			t.Errorf("got:\n%s", got)
		}
	}
	good := Overrides{MongoDB: "mongodb://h", Search: []string{"http://h:9200"}, Namespaces: []string{"a.b"}}
	f(Overrides{},
		"flows[0].namespaces: is missing (or --namespace), for example [shop.orders, shop.customers]",
		"mongodb.uri: is missing (or --mongodb), for example mongodb://127.0.0.1:27017/?replicaSet=rs0",
		"search.urls: is missing (or --search, or cloud_id), for example [http://127.0.0.1:9200]")
	over := good
	over.Namespaces = []string{"a.b", "c"}
	f(over, `--namespace: flows[0].namespaces[1]: "c": wants db.collection, db.* or /regular expression/`)
	over = good
	over.MongoDB = "mongodb://u:" + planted
	f(over, "--mongodb: mongodb.uri: the connection string can't be used: a host is not valid (if the password holds : / @ or %, percent-encode it)")
	over = good
	over.Listen = ":9630"
	f(over, "--listen: http.listen: can be reached from other machines: set http.token, or listen on 127.0.0.1")
	over = good
	over.SnapshotRate = -1
	f(over, "--snapshot-rate: flows[0].snapshot.rate: wants a number from 0, not -1")
	over = good
	over.Password = planted
	f(over, "--password: search.auth: password without username")
	// Flags hold no expansions: that is the shell's.
	over = good
	over.State = "${HOST}"
	if c, err := FromFlags(over); err != nil || c.State.Path != "${HOST}" {
		t.Error(c, err)
	}
}

func TestFlagsComeBeforeTheFile(t *testing.T) {
	file := strings.Replace(least, "flows:", "  auth: {api_key: k1234}\nflows:", 1)
	c, err := load("sluice.yaml", []byte(file), Overrides{MongoDB: "mongodb://other", Username: "u", Password: "p", Namespaces: []string{"b.c"}, Name: "n"}, testLookup())
	if err != nil {
		t.Fatal(err)
	}
	if c.MongoDB.URI != "mongodb://other" || c.Search.Auth != (Auth{Username: "u", Password: "p"}) ||
		c.Flows[0].Namespaces[0] != "b.c" || c.Flows[0].Name != "n" || c.Search.URLs[0] != "http://127.0.0.1:9200" {
		t.Errorf("%+v", c)
	}
	// What the file lacks may come from a flag.
	c, err = load("sluice.yaml", []byte(strings.Replace(least, "uri:", "# uri:", 1)), Overrides{MongoDB: "mongodb://h"}, testLookup())
	if err != nil || c.MongoDB.URI != "mongodb://h" {
		t.Error(err)
	}
	// No server at all.
	c, err = load("sluice.yaml", []byte(least), Overrides{Listen: "off"}, testLookup())
	if err != nil || c.HTTP.Listen != "" || !strings.Contains(printed(t, c), "listen: off  # flag --listen") {
		t.Error(err)
	}
	// Which of two flows would --index mean?
	two := least + "  - {name: b, namespaces: [c.d]}\n"
	if _, err = load("sluice.yaml", []byte(two), Overrides{Index: "x"}, testLookup()); err == nil || !strings.Contains(err.Error(), "the only flow") {
		t.Error(err)
	}
}

// TestLoopback: what a listen address without a token may be.
func TestLoopback(t *testing.T) {
	f := func(listen string, want bool) {
		t.Helper()
		if Loopback(listen) != want {
			t.Errorf("%s: %v", listen, !want)
		}
		_, err := loadText(least + "http:\n  listen: \"" + listen + "\"\n")
		if (err == nil) != want {
			t.Errorf("%s: %v", listen, err)
		}
		if _, err = loadText(least + "http:\n  listen: \"" + listen + "\"\n  token: 0123456789\n"); err != nil {
			t.Errorf("%s with a token: %v", listen, err)
		}
	}
	f("127.0.0.1:9630", true)
	f("127.8.8.8:0", true)
	f("[::1]:9630", true)
	f("localhost:9630", true)
	f(":9630", false)
	f("0.0.0.0:9630", false)
	f("[::]:9630", false)
	f("10.0.0.1:9630", false)
	f("localhost.example:9630", false)
}
