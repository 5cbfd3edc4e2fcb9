package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is one patch with the test that must fail under it.
type mutant struct {
	name, rule, pkg, test, tags string
	quick                       bool
	edits                       []edit
}

// edit replaces the one place where old occurs in file.
type edit struct {
	file, old, new string
}

// load reads all mutants of dir, sorted by file name.
func load(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.mutant"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	seen := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		m, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if other := seen[m.name]; other != "" {
			return nil, fmt.Errorf("%s: the name %s is taken by %s", f, m.name, other)
		}
		seen[m.name] = f
		all = append(all, m)
	}
	return all, nil
}

// parse reads one mutant; see the package comment for the format.
func parse(text string) (mutant, error) {
	var m mutant
	var file string
	var into *string
	sc := bufio.NewScanner(strings.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		switch {
		case strings.HasPrefix(line, "--- file "):
			file, into = strings.TrimPrefix(line, "--- file "), nil
		case line == "--- old":
			m.edits = append(m.edits, edit{file: file})
			into = &m.edits[len(m.edits)-1].old
		case line == "--- new":
			if len(m.edits) == 0 {
				return mutant{}, fmt.Errorf("line %d: new before old", n)
			}
			into = &m.edits[len(m.edits)-1].new
		case into != nil:
			*into += line + "\n"
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		default:
			if err := m.set(line, &file); err != nil {
				return mutant{}, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	return m, errors.Join(sc.Err(), m.check())
}

func (m *mutant) set(line string, file *string) error {
	key, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || value == "" {
		return fmt.Errorf("%q is not `key: value`", line)
	}
	switch key {
	case "name":
		m.name = value
	case "rule":
		m.rule = value
	case "package":
		m.pkg = value
	case "test":
		m.test = value
	case "tags":
		m.tags = value
	case "file":
		*file = value
	case "quick":
		m.quick = value == "true"
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

var ruleName = regexp.MustCompile(`^[SA][0-9]+$`)

func (m *mutant) check() error {
	switch {
	case m.name == "" || m.pkg == "" || m.test == "":
		return errors.New("name, package and test are needed")
	case !ruleName.MatchString(m.rule):
		return fmt.Errorf("rule %q: S1 or A1 or so is needed", m.rule)
	case len(m.edits) == 0:
		return errors.New("old and new are needed")
	}
	for _, e := range m.edits {
		if e.file == "" || e.old == "" || e.old == e.new {
			return errors.New("each change needs a file, an old text, and a new one that differs")
		}
	}
	_, err := regexp.Compile(m.test)
	return err
}

// apply patches the tree at root and returns what undoes it.
func (m *mutant) apply(root string) (undo func() error, err error) {
	before := map[string][]byte{}
	undo = func() error {
		var errs []error
		for path, text := range before {
			errs = append(errs, os.WriteFile(path, text, 0o600))
		}
		return errors.Join(errs...)
	}
	for _, e := range m.edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		text, err := os.ReadFile(path)
		if err != nil {
			return undo, err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return undo, fmt.Errorf("the old text occurs %d times in %s, not once", n, e.file)
		}
		if _, ok := before[path]; !ok {
			before[path] = text
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			return undo, err
		}
	}
	return undo, nil
}
