package transcode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// paths are Fields with their paths taken apart, those of maps in order.
type paths struct {
	include, exclude []pattern
	rename           []renaming
	acts             []acting
	places           []placement
}

type renaming struct{ path, to pattern }

type acting struct {
	what string // the rule's name, for messages
	path pattern
	act  action
}

// placement is a constant, or a copy of what is at from, that goes to path.
type placement struct {
	what     string
	path     pattern
	constant []byte
	from     []string
}

// shared is how many parts path and from have in common, apart from the last
// one of each: up to there they speak of the same object.
func (s *placement) shared() int {
	n := 0
	for n < len(s.path.parts)-1 && n < len(s.from)-1 && s.path.parts[n] == s.from[n] {
		n++
	}
	return n
}

// paths takes everything apart and looks at each entry alone.
func (f Fields) paths() (p paths, err error) {
	if p.include, err = splitAll("include", f.Include); err != nil {
		return p, err
	}
	if p.exclude, err = splitAll("exclude", f.Exclude); err != nil {
		return p, err
	}
	if err := f.renamePaths(&p); err != nil {
		return p, err
	}
	if err := f.actPaths(&p); err != nil {
		return p, err
	}
	return p, f.placePaths(&p)
}

func splitAll(what string, texts []string) ([]pattern, error) {
	var out []pattern
	for _, text := range texts {
		one, err := split(what, text, true)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (f Fields) renamePaths(p *paths) error {
	for _, from := range sortedKeys(f.Rename) {
		path, err := split("rename", from, false)
		if err != nil {
			return err
		}
		to := f.Rename[from]
		if err := checkNewName(from, to); err != nil {
			return err
		}
		p.rename = append(p.rename, renaming{path: path, to: pattern{text: to, parts: strings.Split(to, ".")}})
	}
	return nil
}

func (f Fields) actPaths(p *paths) error {
	switch f.OnError {
	case "", OnErrorReject, OnErrorNull, OnErrorKeep:
	default:
		return fmt.Errorf("on_error: %q is neither null, keep nor reject", f.OnError)
	}
	for _, text := range sortedKeys(f.Cast) {
		path, err := split("cast", text, false)
		if err != nil {
			return err
		}
		act := actionOf(f.Cast[text])
		if act == actNone {
			return fmt.Errorf("cast: %s can't be %q: the types are string, long, double, boolean and date", text, f.Cast[text])
		}
		p.acts = append(p.acts, acting{"cast", path, act})
	}
	for i, text := range f.Flatten {
		path, err := split("flatten", text, false)
		if err != nil {
			return err
		}
		if slices.Contains(f.Flatten[:i], text) {
			return fmt.Errorf("flatten: %s is there twice", text)
		}
		if _, both := f.Cast[text]; both {
			return fmt.Errorf("flatten: %s is in cast, too", text)
		}
		p.acts = append(p.acts, acting{"flatten", path, actFlatten})
	}
	return nil
}

func (f Fields) placePaths(p *paths) error {
	for _, text := range sortedKeys(f.Set) {
		path, err := splitTarget("set", text)
		if err != nil {
			return err
		}
		var constant bytes.Buffer
		if err := json.Compact(&constant, f.Set[text]); err != nil {
			return fmt.Errorf("set: what %s is to be is no JSON value: %w", text, err)
		}
		p.places = append(p.places, placement{what: "set", path: path, constant: constant.Bytes()})
	}
	for _, from := range sortedKeys(f.Copy) {
		if first, _, _ := strings.Cut(from, "."); first != "_id" {
			if _, err := split("copy", from, false); err != nil {
				return err
			}
		} else if slices.Contains(strings.Split(from, "."), "") {
			return fmt.Errorf("copy: %q is no path such as author.name", from)
		}
		path, err := splitTarget("copy", f.Copy[from])
		if err != nil {
			return err
		}
		if path.text == from {
			return fmt.Errorf("copy: %s is copied onto itself", from)
		}
		p.places = append(p.places, placement{what: "copy", path: path, from: strings.Split(from, ".")})
	}
	slices.SortStableFunc(p.places, func(a, b placement) int { return strings.Compare(a.path.text, b.path.text) })
	return nil
}

// splitTarget is split for a path that is written.
func splitTarget(what, text string) (pattern, error) {
	path, err := split(what, text, false)
	if err != nil {
		return path, err
	}
	for i, part := range path.parts {
		if oddName([]byte(part), i == 0) {
			return path, fmt.Errorf("%s: %s can't be written: search engines refuse the name %q", what, text, part)
		}
	}
	return path, nil
}

// check refuses what contradicts itself, in words for who wrote it.
func (p *paths) check() error {
	for _, check := range []func() error{p.checkInclude, p.checkExclude, p.checkRename, p.checkActs, p.checkPlaces} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *paths) checkInclude() error {
	for i, path := range p.include {
		for _, other := range p.include[:i] {
			switch {
			case other.text == path.text, other.isLiteral() && path.isLiteral() && path.holds(other):
				return fmt.Errorf("include: %s is there twice, or together with a field below it", path.text)
			case path.isLiteral():
				if took, _ := other.follow(path.parts); took > 0 {
					return fmt.Errorf("include: %s is there already by %s", path.text, other.text)
				}
			}
		}
	}
	return nil
}

func (p *paths) checkExclude() error {
	for i, path := range p.exclude {
		for _, in := range p.include {
			if in.text == path.text {
				return fmt.Errorf("exclude: %s is in include, too", path.text)
			}
			if in.isLiteral() {
				if took, _ := path.follow(in.parts); took == len(in.parts) {
					return fmt.Errorf("exclude: %s would leave out %s of include", path.text, in.text)
				} else if took > 0 {
					return fmt.Errorf("exclude: %s would leave out what include names below it, as %s", path.text, in.text)
				}
			}
		}
		if path.isLiteral() && !p.included(path) {
			return fmt.Errorf("exclude: %s is not among the fields of include, so it is left out anyhow", path.text)
		}
		for _, other := range p.exclude[:i] {
			switch {
			case other.isLiteral() && path.isLiteral() && path.holds(other):
				return fmt.Errorf("exclude: %s is there together with a field below it", path.text)
			case other.text == path.text:
				return fmt.Errorf("exclude: %s is left out already by %s", path.text, other.text)
			case path.isLiteral():
				if took, _ := other.follow(path.parts); took > 0 {
					return fmt.Errorf("exclude: %s is left out already by %s", path.text, other.text)
				}
			}
		}
	}
	return nil
}

// included tells whether a path without stars, or something below it, may be
// among the fields of include.
func (p *paths) included(path pattern) bool {
	return len(p.include) == 0 || slices.ContainsFunc(p.include, func(in pattern) bool {
		took, alive := in.follow(path.parts)
		return took > 0 || alive
	})
}

// excluded returns what leaves out a path without stars, "" for nothing.
func (p *paths) excluded(path pattern) string {
	for _, x := range p.exclude {
		if took, _ := x.follow(path.parts); took > 0 {
			return x.text
		}
	}
	return ""
}

// written refuses a rule for a field that isn't there to have it.
func (p *paths) written(what string, path pattern) error {
	if !p.included(path) {
		return fmt.Errorf("%s: %s is not among the fields of include", what, path.text)
	}
	if by := p.excluded(path); by != "" {
		return fmt.Errorf("%s: %s is left out by exclude%s", what, path.text, byWhat(path.text, by))
	}
	return nil
}

// byWhat names the entry that is the reason, if it isn't the path itself.
func byWhat(path, by string) string {
	if by == path {
		return ""
	}
	return ": " + by
}

func (p *paths) checkRename() error {
	targets := map[string]string{}
	for _, r := range p.rename {
		if other, ok := targets[r.to.text]; ok {
			return fmt.Errorf("rename: %s and %s would both be %s", other, r.path.text, r.to.text)
		}
		targets[r.to.text] = r.path.text
		if err := p.written("rename", r.path); err != nil {
			return err
		}
	}
	for _, r := range p.rename {
		if p.renamed(r.to.text) || p.excluded(r.to) != "" {
			continue
		}
		if p.named(r.to) {
			return fmt.Errorf("rename: %s would be %s, and so would the field %s itself, which has a rule of its own",
				r.path.text, r.to.text, r.to.text)
		}
	}
	return nil
}

func (p *paths) renamed(path string) bool {
	return slices.ContainsFunc(p.rename, func(r renaming) bool { return r.path.text == path })
}

// named tells whether a rule names path, or something below it.
func (p *paths) named(path pattern) bool {
	names := func(other pattern) bool { return other.text == path.text || other.isLiteral() && path.holds(other) }
	return slices.ContainsFunc(p.include, names) || slices.ContainsFunc(p.exclude, names) ||
		slices.ContainsFunc(p.rename, func(r renaming) bool { return names(r.path) }) ||
		slices.ContainsFunc(p.acts, func(a acting) bool { return names(a.path) })
}

func (p *paths) checkActs() error {
	for _, a := range p.acts {
		i := slices.IndexFunc(p.places, func(s placement) bool { return s.path.text == a.path.text })
		switch {
		case i >= 0 && p.places[i].from == nil:
			return fmt.Errorf("%s: %s is a constant of set: write it there as it is to be", a.what, a.path.text)
		case i >= 0:
			continue
		}
		if err := p.written(a.what, a.path); err != nil {
			return err
		}
		if a.act == actFlatten {
			continue
		}
		for _, below := range p.lower() {
			if below.isLiteral() && a.path.holds(below) {
				return fmt.Errorf("cast: %s is cast, and %s below it has a rule of its own: a value that is cast has no fields",
					a.path.text, below.text)
			}
		}
	}
	return nil
}

// lower are all paths that say something of fields, but where copies come from.
func (p *paths) lower() []pattern {
	all := slices.Concat(p.include, p.exclude)
	for _, r := range p.rename {
		all = append(all, r.path)
	}
	for _, a := range p.acts {
		all = append(all, a.path)
	}
	for _, s := range p.places {
		all = append(all, s.path)
	}
	return all
}

func (p *paths) checkPlaces() error {
	for i, s := range p.places {
		for _, other := range p.places[:i] {
			switch {
			case other.path.text == s.path.text:
				return fmt.Errorf("%s: %s is written by %s, too", s.what, s.path.text, other.what)
			case other.path.holds(s.path):
				return fmt.Errorf("%s: %s lies in %s, which %s writes as a whole", s.what, s.path.text, other.path.text, other.what)
			}
		}
		if by := p.excluded(s.path); by != "" {
			return fmt.Errorf("%s: %s is left out by exclude%s; what is written there replaces the document's own field anyhow",
				s.what, s.path.text, byWhat(s.path.text, by))
		}
		if err := p.checkPlace(&s); err != nil {
			return err
		}
	}
	return nil
}

// checkPlace refuses a target that other rules speak of.
func (p *paths) checkPlace(s *placement) error {
	for _, r := range p.rename {
		switch {
		case r.to.text == s.path.text:
			return fmt.Errorf("%s: %s is also what rename makes of %s", s.what, s.path.text, r.path.text)
		case r.path.text == s.path.text, r.path.holds(s.path), r.to.holds(s.path), s.path.holds(r.path):
			return fmt.Errorf("%s: %s and %s, which rename speaks of, can't go together: one lies in the other", s.what, s.path.text, r.path.text)
		}
	}
	for _, a := range p.acts {
		if a.path.holds(s.path) {
			return fmt.Errorf("%s: %s lies in %s, of which %s makes one value", s.what, s.path.text, a.path.text, a.what)
		}
		if s.path.holds(a.path) {
			return fmt.Errorf("%s: %s lies in %s, which %s writes as a whole", a.what, a.path.text, s.path.text, s.what)
		}
	}
	for _, path := range slices.Concat(p.include, p.exclude) {
		if path.isLiteral() && s.path.holds(path) {
			return fmt.Errorf("%s: %s is written as a whole, and %s below it is in include or exclude", s.what, s.path.text, path.text)
		}
	}
	return nil
}

// checkNewName looks at the new path of a field, which may differ from the old
// one in its last part alone.
func checkNewName(from, to string) error {
	cut := strings.LastIndexByte(from, '.') + 1
	name, ok := strings.CutPrefix(to, from[:cut])
	switch {
	case !ok || strings.Contains(name, "."):
		return fmt.Errorf("rename: %s can't be %s: a field stays where it is, only the last part of its path "+
			"can change; write %s and the new name, or use copy and exclude", from, to, from[:cut])
	case to == from:
		return fmt.Errorf("rename: %s has that name already", from)
	case oddName([]byte(name), cut == 0):
		return fmt.Errorf("rename: %s can't be %q: search engines refuse that name", from, to)
	}
	return nil
}
