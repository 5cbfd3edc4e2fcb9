package monstache

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Version is that of the Monstache whose configuration is read.
const Version = "6.7.17"

// Settings are what a run of Monstache is told, its layers put together. It is
// read-only once read.
type Settings struct {
	// Help says that the usage was asked for, and has been written; nothing else is set then.
	Help bool
	// Version and Print say that -v or -print-config was given.
	Version, Print bool
	// Mirror says that Monstache's positions shall be kept up to date.
	Mirror bool
	// File is the path of the TOML file, "" without one.
	File string
	// Template and Delimiter are -tpl and -env-delimiter.
	Template  bool
	Delimiter string
	// Warnings are what the user should know, one sentence each, without secrets.
	Warnings []string

	given  values
	tables map[string][]values
	keys   index
}

// Input is what Read reads.
type Input struct {
	// Args are the command line behind the name of the program.
	Args []string
	// Environ is as os.Environ gives it.
	Environ []string
	// Usage is where -h goes.
	Usage io.Writer
}

// Read puts flags, environment and file together as Monstache does. The error is
// an *Error.
func Read(in Input) (*Settings, error) {
	flags, rest, help, err := readFlags(in.Args, in.Usage)
	if err != nil || help {
		return &Settings{Help: help}, err
	}
	s := &Settings{
		Version: flags["v"].On, Print: flags["print-config"].On, Mirror: flags[mirror].On, File: flags["f"].Text,
		Template: flags["tpl"].On,
		keys:     newIndex(), tables: map[string][]values{},
	}
	if s.Version {
		return s, nil
	}
	if len(rest) > 0 {
		s.warn("the command line is read up to the first bare word, as by Monstache: %d word(s) from %q on count for nothing; a switch is written -gzip or -gzip=true", len(rest), shown(rest[0]))
	}
	if s.Delimiter = flags["env-delimiter"].Text; s.Delimiter == "" {
		s.Delimiter = ","
	}
	e := newEnvironment(in.Environ)
	env, warnings, err := e.readEnvironment(s.Delimiter)
	if err != nil {
		return nil, err
	}
	s.Warnings = append(s.Warnings, warnings...)
	f := &file{given: values{}, tables: map[string][]values{}, has: map[string]bool{}}
	if s.File != "" {
		text, err := os.ReadFile(s.File)
		if err != nil {
			return nil, fault(1, "%s: can't be read: %s", s.File, reason(err))
		}
		if f, err = readFile(s.File, text, s.Template, e.vars); err != nil {
			return nil, err
		}
	} else if s.Template {
		s.warn("-tpl has no effect without -f")
	}
	s.Warnings = append(s.Warnings, f.warnings...)
	s.merge(flags, env, f)
	return s, nil
}

func (s *Settings) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// shown is a bare word as a warning shows it: the first letters tell enough, and
// the rest could be a secret.
func shown(word string) string {
	if len(word) > 12 {
		return word[:12] + "…"
	}
	return word
}

// merge fills what is still zero, from the flags down to the file.
func (s *Settings) merge(flags, env values, f *file) {
	hideTables(env, f)
	s.tables = f.tables
	s.given = values{}
	for _, k := range Keys() {
		if k.FlagOnly || k.Kind == Any {
			continue
		}
		if k.Kind == Boolean && k.Default == "true" {
			s.mergeTrue(k, flags, env, f.given)
			continue
		}
		layers := []values{flags, env, f.given}
		if strings.HasPrefix(k.Name, "log-rotate.") {
			layers = []values{f.given, env}
		}
		for _, layer := range layers {
			v, ok := layer[k.Name]
			if ok && !v.zero() {
				s.given[k.Name] = v
				break
			}
		}
		s.warnZero(k, flags)
	}
	if v, ok := f.given["elastic-validate-pem-file"]; ok && !v.On {
		v.Kind = Boolean
		s.given["elasticsearch-validate-pem-file"] = v
	}
}

// mergeTrue is for switches that are on by themselves: a false wins.
func (s *Settings) mergeTrue(k Key, flags, env, file values) {
	top, ok := flags[k.Name]
	if v, set := env[k.Name]; set {
		top, ok = v, true
	}
	if ok {
		s.given[k.Name] = top
	}
	v, set := file[k.Name]
	if !set {
		return
	}
	if ok && top.On && !v.On {
		s.warn("%s has no effect: %s says false, and false wins", top.From, v.From)
	}
	if !ok || !v.On {
		s.given[k.Name] = v
	}
}

// warnZero tells of a flag that says "none" and is not heard.
func (s *Settings) warnZero(k Key, flags values) {
	v, given := flags[k.Name]
	now, set := s.given[k.Name]
	if given && set && v.zero() && !now.zero() {
		s.warn("%s has no effect: %s says otherwise, and an empty, zero or false flag never overrides (as in Monstache); change it there", v.From, now.From)
	}
}

// hideTables carries out the exceptions by which a variable hides a table.
func hideTables(env values, f *file) {
	drop := func(table string) {
		for name := range f.given {
			if strings.HasPrefix(name, table+".") {
				delete(f.given, name)
			}
		}
	}
	given := func(names ...string) bool {
		for _, n := range names {
			if _, ok := env[n]; ok {
				return true
			}
		}
		return false
	}
	if given("logs.info") {
		drop("logs")
	}
	if given("elasticsearch-pki-auth.cert-file", "elasticsearch-pki-auth.key-file") {
		drop("elasticsearch-pki-auth")
	}
	if given("aws-connect.access-key", "aws-connect.secret-key") {
		drop("aws-connect")
	} else if v, ok := f.given["aws-connect.region"]; ok && !v.zero() {
		delete(env, "aws-connect.region")
	}
}

// get returns the value of a key, or its default.
func (s *Settings) get(name string) Value {
	if v, ok := s.given[name]; ok {
		return v
	}
	return defaultOf(s.keys[name])
}

func (s *Settings) text(name string) string   { return s.get(name).Text }
func (s *Settings) on(name string) bool       { return s.get(name).On }
func (s *Settings) number(name string) int64  { return s.get(name).Int }
func (s *Settings) list(name string) []string { return s.get(name).List }

// has tells whether a key was given a value that is not zero; of a table that
// there may be several of, in any of them.
func (s *Settings) has(name string) bool {
	_, ok := s.given[name]
	return ok || s.inRow(name).From != Origin{}
}

// inRow returns the first value that a table, of which there may be several, has.
func (s *Settings) inRow(name string) Value {
	table, _, _ := strings.Cut(name, ".")
	for _, row := range s.tables[table] {
		if v, ok := row[name]; ok && !v.zero() {
			return v
		}
	}
	return Value{}
}

// from is where a key was given; its name alone for a default.
func (s *Settings) from(name string) string {
	if v, ok := s.given[name]; ok {
		return v.From.String() + ": " + name
	}
	if v := s.inRow(name); v.From != (Origin{}) {
		return v.From.String() + ": " + name
	}
	return name
}
