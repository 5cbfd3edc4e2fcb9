//go:build integration

package search

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// What a real engine with security on says to a stranger, and to one who may
// look and not write. For the wide run: it starts engines of its own.
func TestLogin(t *testing.T) {
	if wide, _ := strconv.ParseBool(os.Getenv("SLUICE_SOAK")); !wide {
		return
	}
	// Nested, because testkit writes the dotted form of the first, with false.
	start := func(settings ...string) string {
		s, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{
			Own: true, Product: testkit.Elasticsearch, Version: "8.19.21",
			Settings: append([]string{
				"xpack.security: {enabled: true}", "xpack.security.http.ssl.enabled: false",
				"xpack.security.transport.ssl.enabled: false",
			}, settings...),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Stop() })
		return s.URL()
	}
	check := func(err error, parts ...string) {
		t.Helper()
		if flow.ClassOf(err) != flow.Auth {
			t.Errorf("%s: %v", flow.ClassOf(err), err)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err, p)
			}
		}
	}
	url := start("xpack.security.authc.anonymous.username: guest", "xpack.security.authc.anonymous.roles: remote_monitoring_agent")
	check(openError(t, Options{URLs: []string{url}, Auth: Auth{Username: "elastic", Password: "wrong"}}), "status 401", "search.auth")
	check(openError(t, Options{URLs: []string{url}, Auth: Auth{APIKey: "d3Jvbmc6d3Jvbmc="}}), "status 401")
	g := newRig(t, url, Route{}, nil)
	check(g.sink.Prepare(t.Context(), g.ns), "status 403", "indices:admin/get", "grants it:")
}

func openError(t *testing.T, o Options) error {
	t.Helper()
	c, err := Open(t.Context(), o)
	if err == nil {
		c.Close()
	}
	return err
}
