package monstache

import (
	"net/url"
	"slices"
	"strings"
)

// search says how the cluster is reached.
func (w *translator) search() {
	w.t.section(0, "search")
	urls, user, password := w.addresses()
	w.t.put(1, "urls", quoteList(urls), "elasticsearch-urls")
	w.auth(user, password)
	w.aws()
	w.tls(urls)
	if w.s.on("gzip") {
		w.t.put(1, "gzip", "true", "gzip")
	}
	if w.s.has("elasticsearch-max-conns") {
		w.t.put(1, "in_flight", whole(w.clamp("elasticsearch-max-conns", 1, 64)), "elasticsearch-max-conns")
	}
	if w.s.has("elasticsearch-max-bytes") {
		w.bodyBytes()
	}
	if w.s.has("elasticsearch-client-timeout") {
		w.t.put(1, "timeout", whole(w.clamp("elasticsearch-client-timeout", 1, 3600))+"s", "elasticsearch-client-timeout")
	}
	w.t.put(1, "startup_timeout", whole(w.clamp("elasticsearch-healthcheck-timeout-startup", 1, 86400))+"s", "elasticsearch-healthcheck-timeout-startup")
	if w.s.on("verbose") {
		w.t.put(1, "trace", "true", "verbose")
	}
}

// addresses are the URLs without logins, and the login of the first that has one.
func (w *translator) addresses() (urls []string, user, password string) {
	for _, raw := range w.s.list("elasticsearch-urls") {
		u, err := url.Parse(raw)
		if err != nil || u.User == nil {
			if !slices.Contains(urls, raw) {
				urls = append(urls, raw)
			}
			continue
		}
		if user == "" {
			user = u.User.Username()
			password, _ = u.User.Password()
		}
		u.User = nil
		if plain := u.String(); !slices.Contains(urls, plain) {
			urls = append(urls, plain)
		}
	}
	return urls, user, password
}

func (w *translator) auth(user, password string) {
	w.t.section(1, "auth")
	clear := func(key string) bool { return w.s.has(key) && w.s.get(key).From.Env == "" }
	switch {
	case w.s.has("elasticsearch-api-key"):
		w.t.put(2, "api_key", secret(w.s.get("elasticsearch-api-key")), "elasticsearch-api-key")
		w.out.Logins = w.out.Logins || clear("elasticsearch-api-key")
		if w.s.has("elasticsearch-user") {
			w.warn("%s has no effect beside elasticsearch-api-key", w.s.from("elasticsearch-user"))
		}
	case w.s.has("elasticsearch-user"):
		w.t.put(2, "username", secret(w.s.get("elasticsearch-user")), "elasticsearch-user")
		w.t.put(2, "password", secret(w.s.get("elasticsearch-password")), "elasticsearch-password")
		w.out.Logins = w.out.Logins || clear("elasticsearch-password")
	case user != "":
		w.t.put(2, "username", quote(user), "elasticsearch-urls")
		w.t.put(2, "password", quote(password), "elasticsearch-urls")
		w.out.Logins = true
	}
	if w.s.has("elasticsearch-password") && !w.s.has("elasticsearch-user") {
		w.warn("%s has no effect without elasticsearch-user", w.s.from("elasticsearch-password"))
	}
}

// signs tells whether requests are signed for AWS.
func (s *Settings) signs() bool {
	return s.number("aws-connect.strategy") != 0 || s.has("aws-connect.access-key") || s.has("aws-connect.secret-key")
}

func (w *translator) aws() {
	if !w.s.signs() {
		return
	}
	w.t.section(1, "aws")
	w.t.put(2, "region", quote(w.s.text("aws-connect.region")), "aws-connect.strategy", "aws-connect.region")
}

func (w *translator) tls(urls []string) {
	https := func(u string) bool { return strings.HasPrefix(strings.ToLower(u), "https:") }
	keys := []string{"elasticsearch-pem-file", "elasticsearch-pki-auth.cert-file", "elasticsearch-pki-auth.key-file"}
	if !slices.ContainsFunc(urls, https) {
		if !w.s.on("elasticsearch-validate-pem-file") {
			keys = append(keys, "elasticsearch-validate-pem-file")
		}
		for _, key := range keys {
			if w.s.has(key) {
				w.warn("%s has no effect: no URL in elasticsearch-urls starts with https://", w.s.from(key))
			}
		}
		return
	}
	w.t.section(1, "tls")
	for i, name := range []string{"ca_file", "cert_file", "key_file"} {
		if w.s.has(keys[i]) {
			w.t.put(2, name, quote(w.s.text(keys[i])), keys[i])
		}
	}
	if !w.s.on("elasticsearch-validate-pem-file") {
		w.t.put(2, "insecure_skip_verify", "true", "elasticsearch-validate-pem-file")
	}
}

// clamp keeps a number between two others, with a warning.
func (w *translator) clamp(key string, lo, hi int64) int64 {
	n := w.s.number(key)
	got := min(max(n, lo), hi)
	if got != n {
		w.warn("%s: %d is taken as %d", w.s.from(key), n, got)
	}
	return got
}

func (w *translator) bodyBytes() {
	const key = "elasticsearch-max-bytes"
	if w.s.number(key) < 0 {
		w.t.put(1, "body_bytes", "90MB", key) // no limit; clusters refuse more than 100 MB
		return
	}
	w.t.put(1, "body_bytes", whole(w.clamp(key, 1e3, 90e6)), key)
}
