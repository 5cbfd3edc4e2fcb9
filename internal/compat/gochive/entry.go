package gochive

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Entry is one rule, as go-chive's flags or one entry of a list tell it. The
// values are as they were written.
type Entry struct {
	// Where names the entry in messages; "" for the flags.
	Where                              string
	Name, Host, Database, Collection   string
	Field, AgeLimit, Bucket            string
	CheckInterval, UploadInterval, Max string

	days, check, upload, limit int
}

// Flags of a process, which entries share.
type shared struct {
	hostTemplate, endpoint, region, listen string
	once, collscan                         bool
}

// spelling is how a value is called in an entry: the flag, or the key of a list.
func (e *Entry) spelling(flagName string) string {
	for _, k := range Keys() {
		if k.Flag != flagName {
			continue
		}
		if e.Where == "" {
			return "-" + k.Flag
		}
		return e.Where + ": " + k.List
	}
	return flagName
}

// defaults fills in what go-chive takes for a number that is not given. An age
// that nobody has said deletes nothing here: it has to be said.
func (e *Entry) defaults() {
	e.CheckInterval = cmp.Or(e.CheckInterval, "60")
	e.UploadInterval = cmp.Or(e.UploadInterval, "120")
	e.Max = cmp.Or(e.Max, "100")
}

// read reads the values, and returns what is wrong with them.
func (e *Entry) read(s shared) []string {
	e.defaults()
	var bad []string
	add := func(flagName, format string, args ...any) {
		bad = append(bad, e.spelling(flagName)+" "+fmt.Sprintf(format, args...))
	}
	for _, one := range []struct{ flag, value string }{
		{"host", e.Host},
		{"database", e.Database},
		{"collection", e.Collection},
		{"archive-field", e.Field},
		{"age-limit", e.AgeLimit},
		{"s3-bucket-uri", e.Bucket},
	} {
		if one.value == "" {
			add(one.flag, "is missing")
		}
	}
	var why string
	var err error
	if e.days, why = days(e.AgeLimit); why != "" {
		add("age-limit", "%s", why)
	}
	if e.check, why = seconds(e.CheckInterval, 3_600_000); why != "" {
		add("archive-check-interval", "%s", why)
	}
	if e.upload, why = seconds(e.UploadInterval, 86_400); why != "" {
		add("s3-upload-interval", "%s", why)
	}
	if e.limit, err = strconv.Atoi(e.Max); err != nil || e.limit < 1 || e.limit > maxLimit {
		add("query-limit", "wants a whole number from 1 to %d, not %q", maxLimit, e.Max)
	}
	if e.Bucket != "" && e.to() == "" {
		add("s3-bucket-uri", "wants bucket/prefix, such as archive-prod/shop/orders/, not %q", e.Bucket)
	}
	if word(e.Host) && s.hostTemplate == "" && e.Where != "" && !strings.ContainsAny(e.Host, ".:") && e.Host != "localhost" {
		add("host", "is the word %q: say by -host-template what connection string it stands for, such as 'mongodb://sluice:${MONGODB_PASSWORD}@{hostAddress}-0.example:27017/?replicaSet=rs0'", e.Host)
	}
	return bad
}

// maxLimit is the most that the reader takes at once.
const maxLimit = 100_000

var (
	wholeDays = regexp.MustCompile(`^[0-9]{1,6}d$`)
	bareCount = regexp.MustCompile(`^[0-9]+$`)
)

// days reads an age.
func days(s string) (n int, why string) {
	switch {
	case s == "":
		return 0, ""
	case wholeDays.MatchString(s):
		n, _ = strconv.Atoi(strings.TrimSuffix(s, "d")) // six digits
		if n > 0 {
			return n, ""
		}
		return 0, `of 0d would archive everything at once; the least is "1d"`
	case bareCount.MatchString(s):
		return 0, fmt.Sprintf("wants its unit: %q, if days are meant", s+"d")
	case strings.HasPrefix(s, "-"):
		return 0, fmt.Sprintf("is negative (%q): the cutoff would lie in the future, and everything would go", s)
	}
	return 0, fmt.Sprintf("wants whole days, such as 92d, not %q; a sluice.yaml knows hours, months and years as well", s)
}

// seconds reads an interval.
func seconds(s string, most int) (n int, why string) {
	if s == "" {
		return 0, ""
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		if short, ok := strings.CutSuffix(s, "s"); ok && bareCount.MatchString(short) {
			return 0, fmt.Sprintf("is in seconds, without the unit: %s, not %q", short, s)
		}
		return 0, fmt.Sprintf("wants a whole number of seconds, not %q", s)
	}
	if n < 1 || n > most {
		return 0, fmt.Sprintf("wants a number of seconds from 1 to %d, not %d", most, n)
	}
	return n, ""
}

// word tells whether a host is no connection string and no list of hosts.
func word(host string) bool { return !strings.Contains(host, "://") }

// uri is the connection string of the entry.
func (e *Entry) uri(s shared) string {
	switch {
	case !word(e.Host):
		return e.Host
	case s.hostTemplate != "":
		return strings.ReplaceAll(s.hostTemplate, "{hostAddress}", e.Host)
	}
	return "mongodb://" + strings.TrimSuffix(e.Host, "/") + "/"
}

// to is the place of the packs; "" if the bucket can't be told.
func (e *Entry) to() string {
	path := strings.Trim(strings.TrimPrefix(e.Bucket, "s3://"), "/")
	if path == "" || strings.Contains(path, "://") || strings.Contains(path, "//") {
		return ""
	}
	return "s3://" + path
}

var notOfName = regexp.MustCompile(`[^a-z0-9_-]+`)

// rule is the name of the rule.
func (e *Entry) rule() string {
	name := e.Name
	if name == "" {
		name = e.Database + "-" + e.Collection
	}
	return strings.Trim(notOfName.ReplaceAllString(strings.ToLower(name), "-"), "-_")
}

// perDay is the most documents that the numbers let through in a day.
func (e *Entry) perDay() int64 { return int64(e.limit) * 86_400 / int64(e.check) }

// doubles lists names that several entries have.
func doubles(all []*Entry) []string {
	var names, out []string
	for _, e := range all {
		name := e.rule()
		if slices.Contains(names, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
		names = append(names, name)
	}
	return out
}
