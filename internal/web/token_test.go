package web

import (
	"net/http"
	"testing"
)

// TestTokenRotated: a new token takes the place of the old one at once, none opens
// the server to this machine, and one closes it again.
func TestTokenRotated(t *testing.T) {
	s := start(t, Options{Token: "first-token"})
	f := func(auth string, want int) {
		t.Helper()
		if got, _, _ := ask(t, s, request{path: "/status", auth: auth}); got != want {
			t.Errorf("%q: %d, want %d", auth, got, want)
		}
	}
	f("Bearer first-token", http.StatusOK)
	s.SetToken("second-token")
	f("Bearer first-token", http.StatusUnauthorized)
	f("Bearer second-token", http.StatusOK)
	s.SetToken("")
	f("", http.StatusOK)
	s.SetToken("third-token")
	f("", http.StatusUnauthorized)
}
