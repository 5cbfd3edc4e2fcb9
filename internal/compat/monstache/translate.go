package monstache

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Translation is the same as a sluice.yaml.
type Translation struct {
	// Text is the sluice.yaml, with comments.
	Text string
	// Once says that the process ends after the copies (exit-after-direct-reads).
	Once bool
	// Warnings are what has no equal, or is done otherwise than the user may think.
	Warnings []string
	// Logins says that a login stands in the text in clear, as in the file it is from.
	Logins bool

	keys    [][]string
	from    func(key string) string
	scripts []string
}

// NameScripts puts the tables of the old file in a message where it counts scripts.
func (t *Translation) NameScripts(message string) string {
	for i, name := range t.scripts {
		message = strings.ReplaceAll(message, fmt.Sprintf("scripts[%d]", i), name)
	}
	return message
}

// Translate writes the configuration as a sluice.yaml. What can't be carried out is
// an *Error that names every key concerned.
func (s *Settings) Translate() (*Translation, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	w := &translator{s: s, t: &text{given: s.has}, out: &Translation{Once: s.on("exit-after-direct-reads"), from: s.from}, sel: s.selected()}
	w.heading()
	w.mongodb()
	w.search()
	w.stores()
	w.http()
	w.logs()
	w.stats()
	w.flow()
	w.out.Text, w.out.keys = w.t.String(), w.t.keys
	w.out.Warnings = append(slices.Clone(s.Warnings), w.out.Warnings...)
	return w.out, nil
}

// Blame names the keys, with their places, that line n (from 1) of the text is
// from; "" when it is from none.
func (t *Translation) Blame(n int) string {
	if n < 1 || n > len(t.keys) {
		return ""
	}
	var out []string
	for _, key := range t.keys[n-1] {
		out = append(out, t.from(key))
	}
	return strings.Join(out, ", ")
}

type translator struct {
	s   *Settings
	t   *text
	out *Translation
	sel selection
}

func (w *translator) warn(format string, args ...any) {
	w.out.Warnings = append(w.out.Warnings, fmt.Sprintf(format, args...))
}

func (w *translator) heading() {
	from := "flags and variables"
	if w.s.File != "" {
		from = filepath.Base(w.s.File)
	}
	w.t.comment(0, "From "+from+" of Monstache, by sluice. The comments name Monstache's keys;")
	w.t.comment(0, "docs/migrating-from-monstache.md tells what becomes of each.")
	if w.out.Once {
		w.t.comment(0, "exit-after-direct-reads: start it as sluice run --once.")
	}
}

func (w *translator) mongodb() {
	w.t.section(0, "mongodb")
	v := w.s.get("mongo-url")
	w.t.put(1, "uri", secret(v), "mongo-url")
	w.out.Logins = w.out.Logins || strings.Contains(v.Text, "@") && v.From.Env == ""
	if w.s.writesState() {
		w.t.put(1, "own_database", quote(w.s.text("config-database-name")), "config-database-name")
	}
}

// stores keeps positions where nothing new has to be allowed: with resume, or
// stateful copies, Monstache writes to its database, and else to the cluster alone.
func (w *translator) stores() {
	store, why := "search", ""
	switch {
	case w.s.on("resume"):
		store, why = "mongodb", "resume"
	case w.s.writesState():
		store, why = "mongodb", "direct-read-stateful"
	}
	for _, name := range []string{"state", "dead_letters"} {
		w.t.section(0, name)
		if why != "" {
			w.t.put(1, "store", store, why)
		} else {
			w.t.put(1, "store", store)
		}
	}
}

// writesState tells whether Monstache itself writes to MongoDB.
func (s *Settings) writesState() bool { return s.on("resume") || s.on("direct-read-stateful") }

func (w *translator) http() {
	w.t.section(0, "http")
	w.t.comment(1, "Another process of the same kind may run beside this one; 127.0.0.1:9630 shows sluice's own /status and /metrics.")
	w.t.put(1, "listen", "off")
	if !w.s.on("enable-http-server") {
		return
	}
	w.t.section(1, "monstache")
	w.t.put(2, "listen", quote(w.s.text("http-server-addr")), "enable-http-server", "http-server-addr")
	if w.s.on("pprof") {
		w.t.put(2, "pprof", "true", "pprof")
	}
}

func (w *translator) logs() {
	w.t.section(0, "logs")
	w.t.put(1, "style", "monstache")
	for _, level := range []string{"info", "warn", "error", "trace", "stats"} {
		if path := w.s.text("logs." + level); path != "" {
			w.t.put(1, level, quote(path), "logs."+level)
		}
	}
	w.rotate()
}

// rotate says when log files are put aside.
func (w *translator) rotate() {
	keys := []string{"log-rotate.max-size", "log-rotate.max-age", "log-rotate.max-backups", "log-rotate.localtime", "log-rotate.compress"}
	if !slices.ContainsFunc([]string{"info", "warn", "error", "trace", "stats"}, func(level string) bool { return w.s.has("logs." + level) }) {
		for _, key := range keys {
			if w.s.has(key) {
				w.warn("%s has no effect: no log goes to a file", w.s.from(key))
			}
		}
		return
	}
	w.t.section(1, "rotate")
	if w.s.has(keys[0]) {
		w.t.put(2, "max_size", whole(w.clamp(keys[0], 1, 1<<20))+"MiB", keys[0])
	}
	if w.s.has(keys[1]) {
		w.t.put(2, "max_age", whole(w.clamp(keys[1], 0, 3650))+"d", keys[1])
	}
	if w.s.has(keys[2]) {
		w.t.put(2, "max_backups", whole(w.clamp(keys[2], 0, 10000)), keys[2])
	}
	if w.s.on(keys[3]) {
		w.t.put(2, "local_time", "true", keys[3])
	}
	if w.s.on(keys[4]) {
		w.t.put(2, "compress", "true", keys[4])
	}
}

func (w *translator) stats() {
	if !w.s.on("stats") {
		if w.s.on("index-stats") {
			w.warn("%s has no effect without stats", w.s.from("index-stats"))
		}
		return
	}
	w.t.section(0, "stats")
	w.t.put(1, "interval", quote(w.s.text("stats-duration")), "stats-duration")
	w.t.put(1, "log", "true", "stats")
	if w.s.on("index-stats") {
		w.t.put(1, "index", quote(w.s.text("stats-index-format")), "index-stats", "stats-index-format")
	}
}

// flowName is what the flow, and so its position, is called.
func (w *translator) flowName() string {
	raw := w.s.text("resume-name")
	name := regexp.MustCompile(`[^a-z0-9_-]+`).ReplaceAllString(strings.ToLower(raw), "-")
	name = strings.TrimLeft(name, "-_")
	name = name[:min(len(name), 48)]
	switch {
	case !w.s.writesState():
		// Without resume many processes share the name, and Monstache has no position:
		// what each of them does keeps theirs apart.
		if name == "" {
			name = "default"
		}
		all := strings.Join(slices.Concat(w.s.list("elasticsearch-urls"), w.sel.namespaces, w.sel.streamInclude, w.sel.snapshotInclude), "\x00")
		name += fmt.Sprintf("-%x", sha256.Sum256([]byte(raw+"\x00"+all)))[:9]
	case name != raw:
		name = strings.Trim(name, "-") + fmt.Sprintf("-%x", sha256.Sum256([]byte(raw)))[:9]
		name = strings.TrimLeft(name, "-")
	}
	return name
}
