package monstache

import (
	"regexp"
	"slices"
	"strings"
)

// flow writes the one flow.
func (w *translator) flow() {
	s, t := w.s, w.t
	w.t.section(0, "flows")
	t.item(2, "name", quote(w.flowName()), "resume-name")
	t.put(2, "profile", "monstache")
	t.put(2, "namespaces", quoteList(w.sel.namespaces), "change-stream-namespaces", "direct-read-namespaces")
	if len(w.sel.exclude) > 0 {
		keys := []string{"config-database-name"}
		if discovers(s.list("direct-read-namespaces")) {
			keys = append(keys, "namespace-exclude-regex")
		}
		t.put(2, "exclude", quoteList(w.sel.exclude), keys...)
	}
	w.takeover()
	w.snapshot()
	w.stream()
	w.indexes()
	if s.on("index-as-update") {
		t.put(2, "write", "update", "index-as-update")
	}
	w.t.section(2, "render")
	if s.on("prune-invalid-json") {
		t.put(3, "non_finite", "remove", "prune-invalid-json")
	} else {
		t.put(3, "non_finite", "reject", "prune-invalid-json")
	}
	w.scripts()
	w.files()
	w.on()
}

// takeover says where Monstache's position lies, unless another key says where the
// changes begin.
func (w *translator) takeover() {
	s := w.s
	if !s.writesState() || !w.sel.stream || s.startsElsewhere() {
		if s.Mirror {
			w.warn("-mirror has no effect: it needs resume, and neither replay nor resume-from-timestamp")
		}
		return
	}
	w.t.section(2, "takeover")
	w.t.put(3, "from", "monstache", "resume")
	w.t.put(3, "database", quote(s.text("config-database-name")), "config-database-name")
	w.t.put(3, "name", quote(s.text("resume-name")), "resume-name")
	strategy := "timestamp"
	if s.number("resume-strategy") == 1 {
		strategy = "token"
	}
	w.t.put(3, "strategy", strategy, "resume-strategy")
	if s.on("direct-read-stateful") {
		w.t.put(3, "copied", "listed", "direct-read-stateful")
	}
	if s.Mirror {
		w.t.put(3, "mirror", "true")
	} else {
		w.t.comment(3, "mirror: true keeps Monstache's positions up to date, so that one can go back.")
	}
}

// startsElsewhere tells whether the changes begin at a time that is given.
func (s *Settings) startsElsewhere() bool {
	return s.on("replay") || s.number("resume-from-timestamp") > 0
}

func (w *translator) snapshot() {
	s, t := w.s, w.t
	t.section(2, "snapshot")
	if !w.sel.snapshot {
		t.put(3, "enabled", "false", "direct-read-namespaces")
		return
	}
	if len(w.sel.snapshotInclude) > 0 {
		t.put(3, "include", quoteList(w.sel.snapshotInclude), "direct-read-namespaces", "direct-read-dynamic-include-regex")
	}
	if len(w.sel.snapshotExclude) > 0 {
		t.put(3, "exclude", quoteList(w.sel.snapshotExclude), "direct-read-dynamic-exclude-regex")
	}
	repeat := "always"
	if s.on("direct-read-stateful") {
		repeat = "once"
	}
	t.put(3, "repeat", repeat, "direct-read-stateful")
	switch n := s.number("direct-read-split-max"); {
	case !s.has("direct-read-split-max"):
	case n < 0:
		t.put(3, "parallel", "1", "direct-read-split-max")
	default:
		t.put(3, "parallel", whole(w.clamp("direct-read-split-max", 1, 63)+1), "direct-read-split-max")
	}
}

func (w *translator) stream() {
	s, t := w.s, w.t
	for _, ns := range w.sel.passedOver {
		w.warn("change-stream-namespaces: %s has no effect: namespace-regex or namespace-exclude-regex keeps it out", ns)
	}
	t.section(2, "stream")
	if !w.sel.stream {
		t.put(3, "enabled", "false", "disable-change-events")
		return
	}
	put := func(name string, list []string, keys ...string) {
		if len(list) > 0 {
			t.put(3, name, quoteList(list), keys...)
		}
	}
	put("include", w.sel.streamInclude, "namespace-regex", "change-stream-namespaces")
	put("exclude", w.sel.streamExclude, "namespace-exclude-regex", "change-stream-namespaces", "direct-read-namespaces")
	if s.dropsCount() {
		put("drops_include", w.sel.dropsInclude, "namespace-drop-regex")
		put("drops_exclude", w.sel.dropsExclude, "namespace-drop-exclude-regex")
	}
	switch {
	case s.on("replay"):
		t.put(3, "start_at", "earliest", "replay")
	case s.startsElsewhere():
		t.put(3, "start_at", whole(s.number("resume-from-timestamp")), "resume-from-timestamp")
	}
}

// dropsCount tells whether a drop leads to anything.
func (s *Settings) dropsCount() bool { return s.on("dropped-collections") }

// indexes writes the names that mappings give, of namespaces that are followed.
// Of two for one namespace the last counts.
func (w *translator) indexes() {
	last := map[string]values{}
	var order []string
	for _, row := range w.s.tables["mapping"] {
		ns := row["mapping.namespace"].Text
		if !w.reads(ns) {
			w.warn("%smapping of %s has no effect: nothing of it is read", anyPlace(row), ns)
			continue
		}
		if last[ns] == nil {
			order = append(order, ns)
		}
		last[ns] = row
	}
	pairs, pipeline := make([]string, len(order)), ""
	for i, ns := range order {
		pairs[i] = quote(ns) + ": " + quote(strings.ToLower(last[ns]["mapping.index"].Text))
		pipeline = last[ns]["mapping.pipeline"].Text // all have the same, or none
	}
	if len(pairs) > 0 {
		w.t.put(2, "indexes", "{"+strings.Join(pairs, ", ")+"}", "mapping.namespace", "mapping.index")
	}
	if pipeline != "" {
		w.t.put(2, "pipeline", quote(pipeline), "mapping.pipeline")
	}
}

// scripts writes the tables of scripts, in the order in which they run.
func (w *translator) scripts() {
	t := w.t
	t.section(2, "scripts")
	for _, one := range [][2]string{{"filter", "filter"}, {"script", "map"}} {
		table, kind := one[0], one[1]
		for _, row := range w.rows(table) {
			w.out.scripts = append(w.out.scripts, anyPlace(row)+"[["+table+"]]")
			if ns := row[table+".namespace"]; ns.Text != "" {
				t.item(4, "namespace", quote(ns.Text), table+".namespace")
				t.put(4, "kind", kind)
			} else {
				t.item(4, "kind", kind)
			}
			t.put(4, "mode", "monstache")
			if path := row[table+".path"]; path.Text != "" {
				t.put(4, "path", quote(path.Text), table+".path")
			} else {
				t.block(4, "code", row[table+".script"].Text, table+".script")
			}
		}
	}
}

// reads tells whether a namespace may be copied or followed.
func (w *translator) reads(ns string) bool {
	return slices.ContainsFunc(w.sel.namespaces, func(p string) bool {
		if re, ok := strings.CutPrefix(p, "/"); ok {
			found, err := regexp.MatchString(strings.TrimSuffix(re, "/"), ns)
			return err == nil && found
		}
		return covers(p, ns)
	})
}

// rows are the tables of a kind, the one for all namespaces first.
func (w *translator) rows(table string) []values {
	var global, own []values
	for _, row := range w.s.tables[table] {
		switch ns := row[table+".namespace"].Text; {
		case ns == "":
			global = append(global, row)
		case !w.reads(ns):
			w.warn("%s[[%s]] of %s has no effect: nothing of it is read", anyPlace(row), table, ns)
		default:
			own = append(own, row)
		}
	}
	return append(global, own...)
}

func (w *translator) files() {
	s, t := w.s, w.t
	if !s.on("index-files") {
		if s.has("file-namespaces") {
			w.warn("%s has no effect without index-files", s.from("file-namespaces"))
		}
		return
	}
	namespaces := slices.DeleteFunc(s.fileNamespaces(), func(ns string) bool {
		if w.reads(ns) {
			return false
		}
		w.warn("%s: %s has no effect: nothing of it is read", s.from("file-namespaces"), ns)
		return true
	})
	if len(namespaces) == 0 {
		if !s.has("file-namespaces") {
			w.warn("%s has no effect: there is no file-namespaces, and none of the namespaces that are listed ends in .files", s.from("index-files"))
		}
		return
	}
	t.section(2, "files")
	t.put(3, "namespaces", quoteList(namespaces), "index-files", "file-namespaces")
	if s.has("max-file-size") {
		t.put(3, "max_size", whole(s.number("max-file-size")), "max-file-size")
	}
	if s.has("file-downloaders") {
		t.put(3, "downloaders", whole(w.clamp("file-downloaders", 1, 256)), "file-downloaders")
	}
	t.put(3, "pipeline", "attachment")
	t.put(3, "put_pipeline", boolean(!s.on("disable-file-pipeline-put")), "disable-file-pipeline-put")
	t.put(3, "field", "file")
}

// fileNamespaces are those given, or what among the plain ones looks like one.
func (s *Settings) fileNamespaces() []string {
	if given := s.list("file-namespaces"); len(given) > 0 {
		return given
	}
	var out []string
	for _, ns := range slices.Concat(s.list("direct-read-namespaces"), s.list("change-stream-namespaces")) {
		if strings.Contains(ns, ".") && strings.HasSuffix(ns, ".files") && !slices.Contains(out, ns) {
			out = append(out, ns)
		}
	}
	return out
}

func (w *translator) on() {
	s, t := w.s, w.t
	t.section(2, "on")
	switch n := s.number("delete-strategy"); n {
	case 0, 1:
		t.put(3, "delete", "remove", "delete-strategy")
	default:
		t.put(3, "delete", "keep", "delete-strategy")
		if n != 2 {
			w.warn("%s: %d is no strategy: nothing is deleted, as in Monstache", s.from("delete-strategy"), n)
		}
	}
	databases := s.on("dropped-databases")
	if s.dropsCount() {
		t.put(3, "drop", "delete_index", "dropped-collections", "dropped-databases")
		if !databases {
			w.warn("%s: a dropped database drops its collections, whose indexes go, as dropped-collections is true", s.from("dropped-databases"))
		}
		return
	}
	t.put(3, "drop", "ignore", "dropped-collections", "dropped-databases")
	if databases {
		w.warn("%s: the indexes of a dropped database stay as well", s.from("dropped-collections"))
	}
}
