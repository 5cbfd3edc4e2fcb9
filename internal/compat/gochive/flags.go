package gochive

import (
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
)

// Settings are what the command line says.
type Settings struct {
	Entries []*Entry
	// Help says that the usage was asked for; it has been written.
	Help bool
	// Once says that each rule runs once.
	Once bool

	shared shared
}

// Read reads a command line without the program's name, and the list that it may
// name. The usage goes to out when -h asks for it. The error is an *Error, or one
// of reading the file.
func Read(args []string, out io.Writer) (*Settings, error) {
	set := flag.NewFlagSet("gochive", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	var (
		e      Entry
		s      Settings
		values string
	)
	texts := map[string]*string{
		"host": &e.Host, "database": &e.Database, "collection": &e.Collection, "archive-field": &e.Field,
		"age-limit": &e.AgeLimit, "s3-bucket-uri": &e.Bucket, "archive-check-interval": &e.CheckInterval,
		"s3-upload-interval": &e.UploadInterval, "query-limit": &e.Max, "values": &values,
		"host-template": &s.shared.hostTemplate, "s3-endpoint": &s.shared.endpoint, "s3-region": &s.shared.region, "listen": &s.shared.listen,
	}
	switches := map[string]*bool{"once": &s.shared.once, "allow-collscan": &s.shared.collscan}
	var names []string
	for _, k := range Keys() {
		for _, name := range []string{k.Flag, k.Alias} {
			if name == "" {
				continue
			}
			names = append(names, name)
			if on, ok := switches[k.Flag]; ok {
				set.BoolVar(on, name, false, "")
				continue
			}
			set.StringVar(texts[k.Flag], name, "", "")
		}
	}
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		s.Help = true
		return &s, usage(out)
	}
	if err != nil {
		return nil, flagFault(err, names)
	}
	if rest := set.Args(); len(rest) > 0 {
		return nil, fault("%q is no flag; flags begin with a dash, and those behind a word are not read", rest[0])
	}
	s.Once = s.shared.once
	if values == "" {
		s.Entries = []*Entry{&e}
		return &s, s.check()
	}
	given := 0
	set.Visit(func(f *flag.Flag) {
		if slices.ContainsFunc(Keys(), func(k Key) bool { return (k.Flag == f.Name || k.Alias == f.Name) && !k.Ours }) {
			given++
		}
	})
	if given > 0 {
		return nil, fault("-values names a list of entries; say all of an entry there, and none of it by a flag")
	}
	text, err := os.ReadFile(values) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fault("-values: the list can't be read: %v", err)
	}
	if s.Entries, err = list(text); err != nil {
		return nil, err
	}
	return &s, s.check()
}

// check reads every value; the error tells all that is wrong.
func (s *Settings) check() error {
	var bad []string
	for _, e := range s.Entries {
		bad = append(bad, e.read(s.shared)...)
	}
	if len(bad) == 0 {
		for _, name := range doubles(s.Entries) {
			bad = append(bad, "several entries have the name "+name+": packs and journal go by it, so give each its own")
		}
	}
	if t := s.shared.hostTemplate; t != "" && !strings.Contains(t, "{hostAddress}") {
		bad = append(bad, "-host-template has to hold {hostAddress}, in whose place each entry's comes")
	}
	if len(bad) > 0 {
		return &Error{Lines: bad}
	}
	return nil
}

// flagFault makes one message of what the flag package says.
func flagFault(err error, names []string) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return fault("%s", err.Error())
	}
	dashed := make([]string, len(names))
	for i, n := range names {
		dashed[i] = "-" + n
	}
	return fault("there is no flag -%s; the flags are %s", name, strings.Join(dashed, ", "))
}

// usage lists the flags.
func usage(out io.Writer) error {
	var b strings.Builder
	b.WriteString("Usage: sluice gochive [flags]\n\nArchives as go-chive does, by its flags.\n\n")
	for _, k := range Keys() {
		if k.Flag == "" {
			continue
		}
		b.WriteString("  -" + k.Flag)
		if k.Ours {
			b.WriteString(" (not a flag of go-chive)")
		}
		b.WriteString("\n        " + strings.ReplaceAll(k.Means, "`", "") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
