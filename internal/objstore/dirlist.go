package objstore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// errStop ends a walk whose listener has heard enough.
var errStop = errors.New("stop")

// List walks the folders that the prefix can match.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(Info{}, err)
			return
		}
		start := parent(prefix)
		err := d.walk(ctx, start, prefix, func(name string, e fs.DirEntry) error {
			if isTemp(e) || !e.Type().IsRegular() || !strings.HasPrefix(name, prefix) {
				return nil
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) { // deleted since
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(Info{Key: name, Size: info.Size(), Modified: info.ModTime()}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Info{}, d.fail("list objects", prefix, err))
		}
	}
}

// walk calls fn for each file below dir in the order of the keys, without the
// folders that no key with the prefix can be in.
func (d *Dir) walk(ctx context.Context, dir, prefix string, fn func(name string, e fs.DirEntry) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	entries, err := d.readDir(dir)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortName(a), sortName(b)) })
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case !e.IsDir():
			err = fn(name, e)
		case strings.HasPrefix(name+"/", prefix) || strings.HasPrefix(prefix, name+"/"):
			err = d.walk(ctx, name, prefix, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readDir reads a folder; one that is not there, or is a file, is empty.
func (d *Dir) readDir(dir string) ([]fs.DirEntry, error) {
	info, err := d.root.Stat(filepath.FromSlash(dir))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	f, err := d.root.Open(filepath.FromSlash(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}

// sortName makes "a/x" come after "a.b", as the bytes of whole keys do.
func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func isTemp(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), tempPrefix) }
