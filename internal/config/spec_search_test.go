package config

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestCloudURL(t *testing.T) {
	f := func(decoded, want string) {
		t.Helper()
		id := "name:" + base64.StdEncoding.EncodeToString([]byte(decoded))
		got, err := cloudURL(id)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s (%v)", decoded, got, want, err)
		}
	}
	f("eu-central-1.aws.cloud.es.io$0a1b$kib", "https://0a1b.eu-central-1.aws.cloud.es.io:443")
	f("eu.found.io:9243$0a1b$kib", "https://0a1b.eu.found.io:9243")
	f("eu.found.io:9243$0a1b:9244$kib", "https://0a1b.eu.found.io:9244")
	f("eu.found.io$0a1b", "https://0a1b.eu.found.io:443")
	f("eu.found.io$0a1b$", "https://0a1b.eu.found.io:443")
	f("eu.found.io$", "error")
	f("eu.found.io", "error")
	f("$0a1b", "error")
	f("eu.found.io:x$0a1b", "error")
	f("u:p@evil/x$0a1b", "error")
	for _, bad := range []string{"", "name:", "name:!!!", "name"} {
		if _, err := cloudURL(bad); err == nil || strings.Contains(err.Error(), "!!!") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	raw := "name:" + base64.RawStdEncoding.EncodeToString([]byte("eu.found.io$0a1bc"))
	if u, err := cloudURL(raw); err != nil || u != "https://0a1bc.eu.found.io:443" {
		t.Error(u, err)
	}
}

func TestAddresses(t *testing.T) {
	s := Search{URLs: []string{"http://a"}}
	if got := strings.Join(s.Addresses(), " "); got != "http://a" {
		t.Error(got)
	}
	s = Search{CloudID: "n:" + base64.StdEncoding.EncodeToString([]byte("h.io$e"))}
	if got := strings.Join(s.Addresses(), " "); got != "https://e.h.io:443" {
		t.Error(got)
	}
}
