package transcode

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fields choose and rename fields by dotted paths. A path goes through arrays:
// "lines.sku" is the field sku of each object in the array lines. The zero
// value keeps all fields as they are.
type Fields struct {
	// Include: only these fields, with all below them. Empty: all.
	Include []string
	// Exclude: not these fields, nor anything below them. It is stronger than Include.
	Exclude []string
	// Rename gives fields other names: from a path to the same path with
	// another last part. Include and Exclude speak of the old names.
	Rename map[string]string
}

// compile makes the tree of rules; nil without any.
func (f Fields) compile() (*rule, error) {
	if len(f.Include) == 0 && len(f.Exclude) == 0 && len(f.Rename) == 0 {
		return nil, nil
	}
	root := &rule{only: len(f.Include) > 0}
	if err := f.include(root); err != nil {
		return nil, err
	}
	if err := f.exclude(root); err != nil {
		return nil, err
	}
	if err := f.rename(root); err != nil {
		return nil, err
	}
	return root, nil
}

func (f Fields) include(root *rule) error {
	for _, path := range f.Include {
		parts, err := split("include", path)
		if err != nil {
			return err
		}
		r := root
		for i, part := range parts {
			if !r.only {
				return fmt.Errorf("include: %s is there already by %s", path, strings.Join(parts[:i], "."))
			}
			next := r.children[part]
			if last := i == len(parts)-1; next == nil {
				next = r.add(part)
				next.only = !last
			} else if last {
				return fmt.Errorf("include: %s is there twice, or together with a field below it", path)
			}
			r = next
		}
	}
	return nil
}

func (f Fields) exclude(root *rule) error {
	for _, path := range f.Exclude {
		parts, err := split("exclude", path)
		if err != nil {
			return err
		}
		if slices.Contains(f.Include, path) {
			return fmt.Errorf("exclude: %s is in include, too", path)
		}
		r := root
		for i, part := range parts {
			next := r.children[part]
			switch {
			case next == nil && r.only:
				return fmt.Errorf("exclude: %s is not among the fields of include, so it is left out anyhow", path)
			case next == nil:
				next = r.add(part)
			case next.drop:
				return fmt.Errorf("exclude: %s is left out already by %s", path, strings.Join(parts[:i+1], "."))
			}
			r = next
		}
		if r.only {
			return fmt.Errorf("exclude: %s would leave out what include names below it", path)
		}
		if len(r.children) > 0 {
			return fmt.Errorf("exclude: %s is there together with a field below it", path)
		}
		r.drop = true
	}
	return nil
}

func (f Fields) rename(root *rule) error {
	targets := make(map[string]string)
	for _, from := range slices.Sorted(maps.Keys(f.Rename)) {
		to := f.Rename[from]
		parts, err := split("rename", from)
		if err != nil {
			return err
		}
		name, err := newName(from, to)
		if err != nil {
			return err
		}
		if other, ok := targets[to]; ok {
			return fmt.Errorf("rename: %s and %s would both be %s", other, from, to)
		}
		targets[to] = from
		r := root
		for _, part := range parts {
			next := r.children[part]
			switch {
			case next == nil && r.only:
				return fmt.Errorf("rename: %s is not among the fields of include", from)
			case next == nil:
				next = r.add(part)
			case next.drop:
				return fmt.Errorf("rename: %s is left out by exclude", from)
			}
			r = next
		}
		r.name = name
		r.text = append(AppendString(nil, name), ':')
	}
	return f.renameCollisions(root, targets)
}

// renameCollisions refuses a new name that include lists as a field of its own.
func (f Fields) renameCollisions(root *rule, targets map[string]string) error {
	for _, to := range slices.Sorted(maps.Keys(targets)) {
		r, named := root, true
		for part := range strings.SplitSeq(to, ".") {
			if r = r.children[part]; r == nil {
				named = false
				break
			}
		}
		if named && !r.drop && r.name == "" {
			return fmt.Errorf("rename: %s would be %s, and so would the field %s itself, which has a rule of its own",
				targets[to], to, to)
		}
	}
	return nil
}

func (r *rule) add(part string) *rule {
	if r.children == nil {
		r.children = make(map[string]*rule)
	}
	child := new(rule)
	r.children[part] = child
	return child
}

// split checks a path and takes it apart.
func split(what, path string) ([]string, error) {
	parts := strings.Split(path, ".")
	if slices.Contains(parts, "") || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%s: %q is no path such as author.name", what, path)
	}
	if parts[0] == "_id" {
		return nil, fmt.Errorf("%s: %s: the _id is the id of the document in the index, and no field of it", what, path)
	}
	return parts, nil
}

// newName returns the last part of to, which may differ from from in that alone.
func newName(from, to string) (string, error) {
	cut := strings.LastIndexByte(from, '.') + 1
	name, ok := strings.CutPrefix(to, from[:cut])
	switch {
	case !ok || strings.Contains(name, "."):
		return "", fmt.Errorf("rename: %s can't be %s: a field stays where it is, only the last part of its path "+
			"can change; write %s and the new name", from, to, from[:cut])
	case to == from:
		return "", fmt.Errorf("rename: %s has that name already", from)
	case oddName([]byte(name), cut == 0):
		return "", fmt.Errorf("rename: %s can't be %q: search engines refuse that name", from, to)
	}
	return name, nil
}
