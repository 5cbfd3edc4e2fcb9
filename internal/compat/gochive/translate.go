package gochive

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Config is one process's worth of sluice.yaml: one deployment, with its rules.
type Config struct {
	// Text is the sluice.yaml, with comments.
	Text string
	// URI names the deployment in messages; it may hold a password.
	URI string
}

// Translate says the same as sluice.yaml files, one for each deployment, in the
// order of the entries. notes are for the user: what the numbers amount to.
// spool is the directory where packs are made.
func (s *Settings) Translate(spool string) (all []Config, notes []string, err error) {
	var uris []string
	groups := map[string][]*Entry{}
	for _, e := range s.Entries {
		uri := e.uri(s.shared)
		if _, seen := groups[uri]; !seen {
			uris = append(uris, uri)
		}
		groups[uri] = append(groups[uri], e)
	}
	for i, uri := range uris {
		listen, err := nth(s.shared.listen, i)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, Config{Text: s.text(uri, listen, spool, i, groups[uri]), URI: uri})
	}
	for _, e := range s.Entries {
		notes = append(notes, e.note())
	}
	return all, notes, nil
}

// nth is the address of deployment i: the ports follow each other.
func nth(listen string, i int) (string, error) {
	if listen == "" {
		return "off", nil
	}
	host, port, err := net.SplitHostPort(listen)
	n, convErr := strconv.Atoi(port)
	if err != nil || convErr != nil || n < 1 || n+i > 65_535 {
		return "", fault("-listen wants HOST:PORT, such as 127.0.0.1:9630, not %q", listen)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+i)), nil
}

// note tells the ceiling, which users of go-chive meet when a backlog does not
// get smaller.
func (e *Entry) note() string {
	return fmt.Sprintf("rule %s: at most %d documents in %d s, which is %d a day; if more than that grow old in a day, raise %s or lower %s, or write a sluice.yaml without limits (sluice config convert --from gochive)",
		e.rule(), e.limit, e.check, e.perDay(), e.spelling("query-limit"), e.spelling("archive-check-interval"))
}

func (s *Settings) text(uri, listen, spool string, nr int, entries []*Entry) string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put("# From flags and lists of go-chive, by sluice. The comments name what each is from;")
	put("# docs/migrating-from-go-chive.md tells what becomes of it.")
	put("mongodb:\n  uri: %s  # host", raw(uri))
	put("http:\n  listen: %s", raw(listen))
	put("spool:\n  path: %s", quote(fmt.Sprintf("%s/%d-%s", strings.TrimSuffix(spool, "/"), nr, entries[0].rule())))
	if s.shared.endpoint != "" || s.shared.region != "" {
		put("s3:")
		if s.shared.endpoint != "" {
			put("  endpoint: %s  # s3-endpoint\n  path_style: true", raw(s.shared.endpoint))
		}
		if s.shared.region != "" {
			put("  region: %s  # s3-region", raw(s.shared.region))
		}
	}
	put("archive:")
	for _, e := range entries {
		put("  - name: %s", quote(e.rule()))
		put("    namespace: %s  # database, collection", quote(e.Database+"."+e.Collection))
		put("    field: %s  # archive-field", quote(e.Field))
		put("    older_than: %dd  # age-limit", e.days)
		put("    to: %s  # s3-bucket-uri", quote(e.to()))
		put("    pack_wait: %ds  # s3-upload-interval", e.upload)
		put("    # go-chive takes all that is old, and only what holds a date:")
		put("    max_share: 1\n    mixed_types: skip")
		put("    # Dates before 1971 only stand for \"none\"; they stay. \"none\" archives them too.")
		put("    floor: 1971-01-01")
		if s.shared.collscan {
			put("    collscan: true  # allow-collscan")
		}
		put("    schedule:\n      every: %ds  # archive-check-interval", e.check)
		put("    batch:\n      docs: %d  # query-limit", e.limit)
		put("    limits:\n      docs_per_second: %s  # query-limit / archive-check-interval", perSecond(e.limit, e.check))
	}
	return b.String()
}

// perSecond is a rate in as many digits as it needs.
func perSecond(docs, secs int) string {
	return strconv.FormatFloat(float64(docs)/float64(secs), 'f', -1, 64)
}

// quote writes text so that the loader reads the same.
func quote(s string) string { return raw(strings.ReplaceAll(s, "${", "$${")) }

// raw is quote for text with expansions that are meant.
func raw(s string) string {
	b, _ := json.Marshal(s) // text always encodes
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}
