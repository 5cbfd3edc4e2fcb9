package config

import (
	"errors"
	"strings"
	"time"
)

// LogStyle says how lines of the log look.
type LogStyle string

// The styles of log lines.
const (
	LogSluice    LogStyle = "sluice"
	LogMonstache LogStyle = "monstache"
)

// Logs says how log lines look, and which of them go to files instead of the console.
type Logs struct {
	Style LogStyle
	// Files by level; "" is the console. Several may name the same file.
	Info, Warn, Error, Trace, Stats string
	Rotate                          Rotate
}

// Rotate says when a log file is put aside, and how long that is kept.
type Rotate struct {
	MaxSize Size
	// MaxAge is in whole days; 0 keeps files of any age, as MaxBackups any number.
	MaxAge     time.Duration
	MaxBackups int
	LocalTime  bool
	Compress   bool
}

// Stats says where the counts of what was written are told.
type Stats struct {
	Interval time.Duration
	Log      bool
	// Index is the layout of the name of an index, "" for none; see StatsIndex.
	Index string
}

// On tells whether they are told anywhere.
func (s Stats) On() bool { return s.Log || s.Index != "" }

// Monstache is the server with the paths and answers of Monstache's.
type Monstache struct {
	// Listen is host:port; empty: there is no such server.
	Listen string
	// Pprof: it serves Go's profiles too.
	Pprof bool
}

func logsSpec(l *Logs) []field {
	file := func(name string, p *string, what string) field {
		return field{
			Name: name, Into: text(p), Example: "/var/log/sluice/" + name + ".log",
			Doc:   "File of " + what + "; without it they go to the console.",
			Check: func() error { return notBlank(*p) },
		}
	}
	filed := func() bool { return l.Info+l.Warn+l.Error+l.Trace+l.Stats != "" }
	return []field{
		{
			Name: "style", Into: choice(&l.Style, LogSluice, LogMonstache), Default: "sluice", Example: "monstache",
			Doc: "`sluice`: text on a terminal, JSON elsewhere, on the error output. `monstache`: `LEVEL YYYY/MM/DD HH:MM:SS text` in local time, " +
				"errors on the error output and all else on the output. `--log-format text` or `json` goes before it.",
		},
		file("info", &l.Info, "lines of the levels INFO and DEBUG"),
		file("warn", &l.Warn, "warnings"),
		file("error", &l.Error, "errors"),
		file("trace", &l.Trace, "what `search.trace` shows"),
		file("stats", &l.Stats, "the lines of `stats.log`"),
		{
			Name: "rotate", When: filed, WhenDoc: "a file",
			Doc:  "When a file is put aside as NAME-TIME.EXT and begun anew, and how long that is kept.",
			Into: section(func() []field { return rotateSpec(&l.Rotate) }),
		},
	}
}

func rotateSpec(r *Rotate) []field {
	return []field{
		{
			Name: "max_size", Into: size(&r.MaxSize, 1e6, 1<<40), Default: "500MB", Example: "100MB",
			Doc: "The size at which a file is put aside, rounded up to whole MiB.",
		},
		{
			Name: "max_age", Into: days(&r.MaxAge, 3650*day), Default: "28d", Example: "7d",
			Doc:   "How long files are kept that were put aside, in days; `0` for as long as `max_backups` says.",
			Check: func() error { return wholeDays(r.MaxAge) },
		},
		{
			Name: "max_backups", Into: number(&r.MaxBackups, 0, 10000), Default: "5", Example: "10",
			Doc: "How many are kept; `0` for as many as there are.",
		},
		{
			Name: "local_time", Into: toggle(&r.LocalTime), Default: "false",
			Doc: "The time in their names is local, not UTC.",
		},
		{Name: "compress", Into: toggle(&r.Compress), Default: "false", Doc: "Compress them, with gzip."},
	}
}

func wholeDays(d time.Duration) error {
	if d%day != 0 {
		return errors.New("wants whole days, such as 28d")
	}
	return nil
}

func statsSpec(s *Stats) []field {
	return []field{
		{
			Name: "interval", Into: duration(&s.Interval, time.Second, 24*time.Hour), Default: "30s", Example: "1m",
			When: func() bool { return s.On() }, WhenDoc: "log or index",
			Doc: "How often.",
		},
		{
			Name: "log", Into: toggle(&s.Log), Default: "false",
			Doc: "One line of JSON, at the level STATS.",
		},
		{
			Name: "index", Into: text(&s.Index), Example: "monstache.stats.2006-01-02",
			Doc: "Index that gets a document each time: its name, in which `2006`, `01`, `02`, `15`, `04` and `05` become year, month, day, hour, minute " +
				"and second of the time in UTC. Upper case becomes lower case.",
			Check: func() error { return checkStatsIndex(s.Index) },
		},
	}
}

func monstacheSpec(m *Monstache) []field {
	return []field{
		{
			Name: "listen", Into: listener(&m.Listen), Default: "off", Example: ":8080",
			Doc:   "Address and port, or `off`. It asks for no token and shows no document: whoever reaches it reads counts, host name and times.",
			Check: func() error { return checkListen(m.Listen) },
		},
		{
			Name: "pprof", Into: toggle(&m.Pprof), Default: "false",
			When: func() bool { return m.Listen != "" }, WhenDoc: "listen",
			Doc: "Go's profiles below `/debug/pprof/`. Taking one costs processor time.",
		},
	}
}

// StatsIndex returns the name of the index of statistics at a time.
func StatsIndex(layout string, at time.Time) string {
	r := strings.NewReplacer("2006", at.Format("2006"), "01", at.Format("01"), "02", at.Format("02"),
		"15", at.Format("15"), "04", at.Format("04"), "05", at.Format("05"))
	return strings.ToLower(r.Replace(layout))
}

// checkStatsIndex wants a name that means the same as a layout of Go and as text
// with the elements that are documented: in others, letters of a name ("Mon",
// "pm", the 2 of "app2") would become parts of a date unasked.
func checkStatsIndex(layout string) error {
	for _, at := range []time.Time{
		time.Date(2031, 10, 29, 23, 58, 47, 987654321, time.UTC),
		time.Date(1999, 7, 8, 3, 6, 9, 0, time.FixedZone("XYZ", 5400)),
	} {
		name := StatsIndex(layout, at)
		if name != strings.ToLower(at.Format(layout)) {
			return errors.New("holds what Go's time layouts take for part of a date beside 2006, 01, 02, 15, 04 and 05, such as a lone digit, Mon, Jan or pm: write it otherwise")
		}
		if err := CheckIndexName(name); err != nil {
			return err
		}
	}
	return nil
}

// crossOperation checks what statistics need of others.
func (c *Config) crossOperation(d *decoder) {
	if c.Stats.Index != "" && len(c.Flows) == 0 {
		d.fail(d.places["stats.index"], "stats.index", "applies only with flows: who archives alone has no search engine")
	}
}

// operationRestart tells what of all this can't change while it runs.
func (c *Config) operationRestart(next *Config, tell func(path, why string)) {
	if !alike(c.Logs, next.Logs) {
		tell("logs", "the files are opened once")
	}
	if !alike(c.Stats, next.Stats) {
		tell("stats", "they are begun once")
	}
	if !alike(c.HTTP.Monstache, next.HTTP.Monstache) {
		tell("http.monstache", "the address is taken once")
	}
}
