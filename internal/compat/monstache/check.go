package monstache

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check refuses what Monstache refuses, and what is not yet carried out. It tells
// everything that it finds.
func (s *Settings) check() error {
	if err := s.checkExpressions(); err != nil {
		return err
	}
	var faults []string
	for _, one := range []func() []string{
		s.checkSource, s.checkDurations, s.checkSearch, s.checkAWS, s.checkScripts, s.checkMappings, s.checkNamespaces,
	} {
		faults = append(faults, one()...)
	}
	if len(faults) > 0 {
		return fault(1, "%s", strings.Join(faults, "\n"))
	}
	return s.checkLater()
}

func (s *Settings) checkSource() []string {
	if s.on("disable-change-events") && len(s.list("direct-read-namespaces")) == 0 {
		return []string{s.from("disable-change-events") + ": leaves nothing to do: give direct-read-namespaces, or remove it"}
	}
	return nil
}

func (s *Settings) checkDurations() []string {
	var out []string
	for _, key := range []string{"stats-duration", "gtm-settings.buffer-duration", "gtm-settings.max-await-time"} {
		text := s.text(key)
		if text == "" {
			continue
		}
		if d, err := time.ParseDuration(text); err != nil || d <= 0 {
			out = append(out, fmt.Sprintf("%s wants a duration with its unit, such as 30s or 1m, not %q", s.from(key), text))
		}
	}
	return out
}

func (s *Settings) checkSearch() []string {
	var out []string
	for _, raw := range s.list("elasticsearch-urls") {
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			out = append(out, s.from("elasticsearch-urls")+": an address is no URL (characters such as @ : / % in a password must be percent-encoded)")
		case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			out = append(out, s.from("elasticsearch-urls")+": an address wants its scheme and host, such as http://localhost:9200"+manyInOne(raw))
		}
	}
	if (s.text("elasticsearch-pki-auth.cert-file") == "") != (s.text("elasticsearch-pki-auth.key-file") == "") {
		out = append(out, "elasticsearch-pki-auth: cert-file and key-file come together")
	}
	if s.has("elasticsearch-user") && !s.has("elasticsearch-password") && !s.has("elasticsearch-api-key") {
		out = append(out, s.from("elasticsearch-user")+" without elasticsearch-password: give both")
	}
	if s.has("elasticsearch-version") {
		major, _, _ := strings.Cut(s.text("elasticsearch-version"), ".")
		if n, err := strconv.Atoi(major); err != nil || n == 0 {
			out = append(out, s.from("elasticsearch-version")+" wants a version, such as 7.17")
		}
	}
	return out
}

// manyInOne helps who wrote a list as one text.
func manyInOne(raw string) string {
	if strings.Contains(raw, ",") {
		return "; one entry holds one address: [\"…\", \"…\"]"
	}
	return ""
}

func (s *Settings) checkAWS() []string {
	if !s.signs() {
		return nil
	}
	var out []string
	if n := s.number("aws-connect.strategy"); n < 0 || n > 5 {
		out = append(out, s.from("aws-connect.strategy")+" wants a number from 0 to 5")
	}
	if s.text("aws-connect.region") == "" {
		out = append(out, "aws-connect.region is missing")
	}
	if s.has("aws-connect.access-key") != s.has("aws-connect.secret-key") {
		out = append(out, "aws-connect: access-key and secret-key come together")
	}
	return out
}

// checkScripts looks at the tables of scripts, as far as that needs no engine.
func (s *Settings) checkScripts() []string {
	var out []string
	for _, table := range []string{"script", "filter"} {
		seen := map[string]bool{}
		for _, row := range s.tables[table] {
			ns, code, path := row[table+".namespace"].Text, row[table+".script"], row[table+".path"]
			name, at := "[["+table+"]]", anyPlace(row)
			if ns != "" {
				name += " of " + ns
			}
			switch {
			case code.Text != "" && path.Text != "":
				out = append(out, at+name+" has both script and path: keep one")
			case code.Text == "" && path.Text == "":
				out = append(out, at+name+" has neither script nor path")
			}
			if seen[ns] {
				out = append(out, at+name+" is there twice: make one of them")
			}
			seen[ns] = true
		}
	}
	return out
}

// anyPlace is where a table stands, as far as its first key tells.
func anyPlace(row values) string {
	var first Origin
	for _, v := range row {
		if first.Line == 0 || v.From.Line < first.Line {
			first = v.From
		}
	}
	if first.Line == 0 {
		return ""
	}
	return first.String() + ": "
}

func (s *Settings) checkMappings() []string {
	var out []string
	owner := map[string]string{}
	for _, row := range s.tables["mapping"] {
		ns, index := row["mapping.namespace"].Text, strings.ToLower(row["mapping.index"].Text)
		at := anyPlace(row)
		switch {
		case ns == "" || index == "":
			out = append(out, at+"[[mapping]] wants namespace and index")
			continue
		case !strings.Contains(ns, "."):
			out = append(out, at+"[[mapping]]: namespace wants db.collection, not "+strconv.Quote(ns))
		}
		if other, dup := owner[index]; dup && other != ns {
			out = append(out, at+"[[mapping]]: "+other+" and "+ns+" in one index are not yet carried out: their ids could meet, and a drop of one could not tell its documents")
		}
		owner[index] = ns
	}
	return out
}

func (s *Settings) checkNamespaces() []string {
	var out []string
	for _, key := range []string{"direct-read-namespaces", "file-namespaces"} {
		for _, ns := range s.list(key) {
			db, coll, _ := strings.Cut(ns, ".")
			if db != "" && coll != "" || key == "direct-read-namespaces" && discovers(s.list(key)) {
				continue
			}
			out = append(out, fmt.Sprintf("%s wants db.collection, not %q", s.from(key), ns))
		}
	}
	for _, ns := range s.list("change-stream-namespaces") {
		if strings.TrimSpace(ns) != ns || strings.HasPrefix(ns, ".") || strings.HasSuffix(ns, ".") {
			out = append(out, fmt.Sprintf("%s wants \"\", db or db.collection, not %q", s.from("change-stream-namespaces"), ns))
		}
	}
	return out
}

// checkLater names what is in use and not yet carried out.
func (s *Settings) checkLater() error {
	var lines []string
	told := map[string]bool{}
	for _, k := range Keys() {
		if k.State != Later && k.Name != "mapping.pipeline" || !s.uses(k) {
			continue
		}
		if table := k.tableOf(); table == "relate" || table == "pipeline" {
			if told[table] {
				continue
			}
			told[table] = true
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", s.from(k.Name), k.Does))
	}
	lines = append(lines, s.metadata()...)
	if len(lines) == 0 {
		return nil
	}
	return fault(1, "not yet carried out:\n%s", strings.Join(lines, "\n"))
}

// uses tells whether a key that is not carried out would have an effect.
func (s *Settings) uses(k Key) bool {
	table := k.tableOf()
	switch k.Name {
	case "enable-oplog":
		return s.on(k.Name) && !s.has("change-stream-namespaces") && !s.on("disable-change-events")
	case "enable-patches":
		return s.on(k.Name) && s.has("patch-namespaces")
	case "mapping.pipeline":
		return s.pipelinesDiffer()
	}
	if table == "aws-connect" {
		return s.signs() && s.has(k.Name)
	}
	return s.has(k.Name)
}

// pipelinesDiffer tells whether there are pipelines of mappings that a flow, which
// has one for all its documents, can't have.
func (s *Settings) pipelinesDiffer() bool {
	pipelines := map[string]string{}
	for _, row := range s.tables["mapping"] {
		pipelines[row["mapping.namespace"].Text] = row["mapping.pipeline"].Text
	}
	one := ""
	for _, p := range pipelines {
		if p != "" {
			one = p
		}
	}
	if one == "" {
		return false
	}
	return slices.ContainsFunc(s.selected().namespaces, func(ns string) bool { return pipelines[ns] != one })
}
