package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// ScriptKind is what a script is for.
type ScriptKind string

// The kinds of scripts.
const (
	ScriptMap    ScriptKind = "map"
	ScriptFilter ScriptKind = "filter"
)

// ScriptMode is whose types and rules a script sees.
type ScriptMode string

// The modes of scripts.
const (
	ScriptNative    ScriptMode = "native"
	ScriptMonstache ScriptMode = "monstache"
)

// ScriptState is whether the calls of a script share a runtime.
type ScriptState string

// The states of scripts.
const (
	ScriptPooled ScriptState = "pooled"
	ScriptShared ScriptState = "shared"
)

// Script is a program in JavaScript that documents go through.
type Script struct {
	// Namespace is "db.collection", "" for every one.
	Namespace string
	// Path names a file; without it the script is Code. See Source.
	Path, Code string
	Kind       ScriptKind
	Mode       ScriptMode
	State      ScriptState
	Timeout    time.Duration

	// text is what was in the file.
	text string
}

// Source is the script itself, wherever it came from.
func (s *Script) Source() string {
	if s.Path != "" {
		return s.text
	}
	return s.Code
}

// With returns s with text as what is in its file.
func (s Script) With(text string) Script {
	s.text = text
	return s
}

// ScriptTexts returns what of the scripts shapes documents, in order, for a fingerprint.
func (f *Flow) ScriptTexts() []string {
	out := make([]string, len(f.Scripts))
	for i := range f.Scripts {
		s := &f.Scripts[i]
		out[i] = strings.Join([]string{s.Namespace, string(s.Kind), string(s.Mode), s.Source()}, "\n")
	}
	return out
}

// scriptSpec declares the fields of one script.
func scriptSpec(s *Script) []field {
	return []field{
		{
			Name: "namespace", Into: text(&s.Namespace), Example: "shop.orders",
			Doc:   "The collection, `db.collection`, whose documents go through it. Without it: those of every one.",
			Check: func() error { return checkCollection(s.Namespace) },
		},
		{
			Name: "path", Into: text(&s.Path), Example: "scripts/orders.js",
			Doc: "The file with the script. A relative path starts at the directory that sluice was started in. A change of the file is a change of the configuration.",
		},
		{
			Name: "code", Into: text(&s.Code), Example: `"module.exports = function (doc) { return doc }"`,
			Doc: "The script itself, instead of `path`. As everywhere in this file, `$${` stands for `${`.",
		},
		{
			Name: "kind", Into: choice(&s.Kind, ScriptMap, ScriptFilter), Default: "map", Example: "filter",
			Doc: "`map` returns what is to be indexed: the document, another object, or `false` if it does not belong into the index. " +
				"`filter` only tells whether it does.",
		},
		{
			Name: "mode", Into: choice(&s.Mode, ScriptNative, ScriptMonstache), Default: "native", Example: "monstache",
			Doc: "`monstache` shows values, and takes what is returned, as Monstache 6 does, for scripts that were written for it.",
		},
		{
			Name: "state", Into: choice(&s.State, ScriptPooled, ScriptShared), Default: "pooled", Example: "shared",
			Doc: "What the script keeps in its variables: `pooled` has a runtime for each call that runs at a time, so scripts use all cores, " +
				"and variables are not the same for all calls; `shared` has one runtime, which one call at a time has.",
		},
		{
			Name: "timeout", Into: duration(&s.Timeout, time.Millisecond, time.Minute), Default: "1s", Example: "5s",
			Doc: "How long the call for one document may take; then it is cut, and the document is a dead letter.",
		},
	}
}

// scriptsSpec declares the scripts of a flow.
func scriptsSpec(f *Flow) field {
	return field{
		Name: "scripts", Into: sections(&f.Scripts, scriptSpec), Example: "scripts: [{namespace: shop.orders, path: orders.js}]",
		Doc: "Programs in JavaScript that documents go through before `fields`: first the filters, then the maps; of each, those of every namespace first. " +
			"See [scripts.md](scripts.md).",
	}
}

// crossScripts looks at what is missing, or there twice, or leads nowhere.
func (d *decoder) crossScripts(f *Flow, path string) {
	for i := range f.Scripts {
		s := &f.Scripts[i]
		at := fmt.Sprintf("%s.scripts[%d]", path, i)
		switch {
		case s.Path == "" && s.Code == "":
			d.fail(d.places[at], at, "give path or code")
		case s.Path != "" && s.Code != "":
			d.fail(d.places[at+".code"], at+".code", "give path or code, not both")
		}
		allPlain := !slices.ContainsFunc(f.Namespaces, func(p string) bool { return !isPlain(p) })
		if s.Namespace != "" && isPlain(s.Namespace) && allPlain && !f.Follows(s.Namespace) {
			d.fail(d.places[at+".namespace"], at+".namespace", "this flow doesn't follow %s%s", d.shown(at+".namespace", s.Namespace), didYouMean(s.Namespace, f.Namespaces))
		}
	}
}

// readScripts reads the files of scripts.
func (c *Config) readScripts(read func(path string) ([]byte, error)) Errors {
	d := &decoder{places: c.places}
	for i := range c.Flows {
		for k := range c.Flows[i].Scripts {
			s := &c.Flows[i].Scripts[k]
			if s.Path == "" {
				continue
			}
			text, err := read(s.Path)
			if err != nil {
				at := fmt.Sprintf("flows[%d].scripts[%d].path", i, k)
				var p *fs.PathError
				if errors.As(err, &p) { // it names the path again
					err = p.Err
				}
				d.fail(d.places[at], at, "%s: %v", d.shown(at, s.Path), err)
				continue
			}
			s.text = string(text)
		}
	}
	return d.errs
}
