package monstache

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// mirror is the one flag that Monstache does not have.
const mirror = "mirror"

// flagValue collects what one flag was given.
type flagValue struct {
	key Key
	to  values
}

func (f *flagValue) String() string { return "" }

// IsBoolFlag lets "-gzip" stand for "-gzip=true".
func (f *flagValue) IsBoolFlag() bool { return f.key.Kind == Boolean }

// Set takes one occurrence of the flag.
func (f *flagValue) Set(s string) error {
	v, err := parse(f.key.Kind, s)
	if err != nil {
		return err
	}
	if f.key.Kind == List {
		v.List = append(f.to[f.key.Name].List, v.List...)
	}
	v.From = Origin{Flag: "-" + f.key.Flag}
	f.to[f.key.Name] = v
	return nil
}

// readFlags parses the command line as Go's flag package does: one dash or two,
// up to the first bare word, which is returned with all behind it. help says that
// the usage was asked for; it has been written.
func readFlags(args []string, usage io.Writer) (given values, rest []string, help bool, err error) {
	set := flag.NewFlagSet("monstache", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	given = values{}
	var names []string
	for _, k := range allFlags() {
		set.Var(&flagValue{key: k, to: given}, k.Flag, "")
		names = append(names, k.Flag)
	}
	err = set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		writeUsage(usage)
		return nil, nil, true, nil
	}
	if err != nil {
		return nil, nil, false, flagFault(err, names)
	}
	return given, set.Args(), false, nil
}

// allFlags are those of Monstache, and ours.
func allFlags() []Key {
	var all []Key
	for _, k := range Keys() {
		if k.Flag != "" {
			all = append(all, k)
		}
	}
	return append(all, Key{
		Name: mirror, Kind: Boolean, Flag: mirror, FlagOnly: true, State: Done,
		Does: "Not a flag of Monstache: keep its positions up to date, so that it can take over again.",
	})
}

// flagFault makes one message of what the flag package says.
func flagFault(err error, names []string) error {
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		tail := didYouMean("-"+name, dashed(names))
		for _, k := range Keys() {
			if k.Flag == "" && k.Name == name {
				tail = "; " + name + " is a key of the file alone, and no flag"
			}
			if k.Kind == List && k.Name == name && k.Flag != name {
				tail = "; the flag is -" + k.Flag + ", once for each entry"
			}
		}
		return fault(2, "unknown flag -%s%s", name, tail)
	}
	if name, ok := strings.CutPrefix(msg, "flag needs an argument: -"); ok {
		return fault(2, "-%s has no value: write -%s VALUE", name, name)
	}
	// What was given is left out: it may be a secret. The flag's name comes last.
	head, why, _ := strings.Cut(msg, ": ")
	if i := strings.LastIndex(head, "-"); strings.HasPrefix(head, "invalid") && i >= 0 {
		for _, n := range names {
			if strings.HasSuffix(head, " -"+n) || strings.HasSuffix(head, "-"+n) && head[len(head)-len(n)-2] == ' ' {
				return fault(2, "-%s %s", n, lastPart(why))
			}
		}
	}
	return fault(2, "%s", msg)
}

// lastPart is what stands behind the last colon.
func lastPart(s string) string {
	if i := strings.LastIndex(s, ": "); i >= 0 {
		return s[i+2:]
	}
	return s
}

func dashed(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "-" + n
	}
	return out
}

// writeUsage lists the flags.
func writeUsage(w io.Writer) {
	var b strings.Builder
	b.WriteString("Usage: sluice monstache [-f FILE] [flags]\n\nReads Monstache's flags, its environment variables and its file; docs/migrating-from-monstache.md tells what becomes of each key.\n\n")
	for _, k := range allFlags() {
		arg := " " + map[Kind]string{Text: "TEXT", Number: "N", List: "TEXT"}[k.Kind]
		more := ""
		if k.Kind == List {
			more = " May be repeated."
		}
		if k.State == Later {
			more += " Not yet carried out: the start stops."
		}
		fmt.Fprintf(&b, "  -%s%s\n    \t%s%s\n", k.Flag, strings.TrimRight(arg, " "), k.Does, more)
	}
	_, _ = io.WriteString(w, b.String()) // a terminal that is gone is no reason to fail
}
