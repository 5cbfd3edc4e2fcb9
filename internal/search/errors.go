package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/internal/flow"
)

// maxReason is how much of the engine's words an error keeps.
const maxReason = 1000

// apiError is an answer that says no.
type apiError struct {
	Status int
	Type   string
	Reason string
	// Cause is the innermost cause, "type: reason"; often the telling part.
	Cause string
}

// Error tells status, type, reason and cause.
func (e *apiError) Error() string {
	s := fmt.Sprintf("status %d", e.Status)
	if e.Type != "" {
		s += " " + e.Type
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Cause != "" && !strings.Contains(e.Reason, e.Cause) {
		s += " (" + e.Cause + ")"
	}
	return s
}

// errorBody is the error object of both products.
type errorBody struct {
	Type     string     `json:"type"`
	Reason   string     `json:"reason"`
	CausedBy *errorBody `json:"caused_by"`
}

func (b *errorBody) apiError(status int) *apiError {
	e := &apiError{Status: status, Type: b.Type, Reason: cut(b.Reason)}
	for in := b.CausedBy; in != nil; in = in.CausedBy {
		e.Cause = cut(in.Type + ": " + in.Reason)
	}
	return e
}

// parseError makes an apiError of whatever body came with a bad status.
func parseError(ans *answer) *apiError {
	var whole struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(ans.body, &whole) == nil && len(whole.Error) > 0 {
		var b errorBody
		if json.Unmarshal(whole.Error, &b) == nil {
			return b.apiError(ans.status)
		}
		var text string
		if json.Unmarshal(whole.Error, &text) == nil {
			return &apiError{Status: ans.status, Reason: cut(text)}
		}
	}
	if whole.Message != "" {
		return &apiError{Status: ans.status, Reason: cut(whole.Message)}
	}
	return &apiError{Status: ans.status, Reason: cut(string(bytes.TrimSpace(ans.body)))}
}

// cut bounds a text, at the border of a character.
func cut(s string) string {
	if len(s) <= maxReason {
		return s
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// apiErrorOf returns the engine's answer inside err, or an empty one.
func apiErrorOf(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{}
}

// failure wraps an answer that says no, with its class and the cure.
func failure(op, object string, e *apiError) error {
	f := &flow.Error{Op: op, Object: object, Err: e, Class: flow.Fatal}
	switch {
	case e.Status == http.StatusUnauthorized:
		f.Class, f.Hint = flow.Auth, "the cluster does not know this user, password or API key: check search.auth"
	case e.Type == "index_closed_exception":
		f.Class, f.Hint = flow.Transient, hintClosed
	case e.Type == "cluster_block_exception":
		f.Class, f.Hint = flow.Transient, hintBlocked(e)
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout, e.Status >= 500:
		f.Class = flow.Transient
	case e.Status == http.StatusForbidden:
		f.Class, f.Hint = flow.Auth, missingPrivilege(e.Reason)
	case e.Status >= 300 && e.Status < 400:
		f.Class, f.Hint = flow.Config, "the URL is redirected; give the URL of the cluster itself in search.urls"
	}
	return f
}

// hintBlocked tells how a block ends.
func hintBlocked(e *apiError) string {
	switch {
	case strings.Contains(e.Reason, "/12/"):
		return hintDiskFull
	case strings.Contains(e.Reason, "/4/index closed"):
		return hintClosed
	case e.Status == http.StatusForbidden:
		return hintReadOnly
	}
	return ""
}

// missingPrivilege names what a 403 says is missing.
func missingPrivilege(reason string) string {
	if cure := hintAWS(reason); cure != "" {
		return cure
	}
	action := ""
	for _, prefix := range []string{"indices:", "cluster:"} {
		if i := strings.Index(reason, "["+prefix); i >= 0 {
			action, _, _ = strings.Cut(reason[i+1:], "]")
			break
		}
	}
	if action == "" {
		return "the user lacks a right: ask who runs the cluster for read, write and manage on the indexes, and monitor on the cluster"
	}
	hint := "the user lacks the privilege " + action
	if i := strings.Index(reason, "privileges ["); i >= 0 {
		anyOf, _, _ := strings.Cut(reason[i+len("privileges ["):], "]")
		hint += "; any one of these grants it: " + strings.ReplaceAll(anyOf, ",", ", ")
	}
	return hint
}

// notSent tells whether a request certainly has not reached the node.
func notSent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || (errors.As(err, &op) && op.Op == "dial")
}

// unreachable explains why there was no answer: URL, cause and cure, and never
// a header or a user.
func unreachable(base string, r *request, err error, timeout time.Duration) error {
	var u *url.Error
	if errors.As(err, &u) { // it would repeat the URL
		err = u.Err
	}
	path, _, _ := strings.Cut(r.path, "?")
	f := &flow.Error{Op: r.method, Object: base + path, Class: flow.Transient, Err: err}
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.Err = fmt.Errorf("no answer within %s", timeout)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		f.Class, f.Hint = flow.Config, "the cluster speaks plain http here: write http:// in search.urls"
	case strings.Contains(text, "malformed HTTP response") && strings.Contains(text, `\x15\x03`):
		f.Err = errors.New("the answer is TLS, not http")
		f.Class, f.Hint = flow.Config, "the cluster speaks TLS here: write https:// in search.urls"
	case strings.Contains(text, "x509: certificate signed by unknown authority"):
		f.Class, f.Hint = flow.Config, "name the cluster's CA certificate in search.tls.ca_file"
	case strings.Contains(text, "x509: certificate has expired"):
		f.Class, f.Hint = flow.Config, "the certificate of the cluster is not valid at this time: have it renewed, and see that the clock of this machine is right; search.tls stays as it is"
	case strings.Contains(text, "x509: certificate is valid for"), strings.Contains(text, "x509: cannot validate certificate for"),
		strings.Contains(text, "x509: certificate is not valid for any names"):
		f.Class, f.Hint = flow.Config, "the certificate of the cluster is for another host name: write one that it holds in search.urls"
	case strings.Contains(text, "x509:"):
		f.Class, f.Hint = flow.Config, "the certificate does not fit this URL: use a name and a time for which it is valid"
	case strings.Contains(text, "tls: "):
		f.Class, f.Hint = flow.Config, "the TLS handshake failed: if the cluster asks for a client certificate, name it in search.tls.cert_file and key_file"
	case strings.HasPrefix(base, "https://") && (strings.HasSuffix(text, "EOF") || strings.Contains(text, "connection reset")):
		f.Hint = "the connection was closed without an answer: if the cluster asks for a client certificate, name it in search.tls.cert_file and key_file"
	case notSent(err):
		f.Hint = "is the cluster up, and is this its address? Check search.urls, and what lies between"
	case strings.HasPrefix(base, "http://") && strings.HasSuffix(text, "EOF"):
		f.Hint = "the connection was closed without an answer: if the cluster speaks TLS here, write https:// in search.urls"
	}
	return f
}
