package config

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"slices"
)

// Files are the files that a configuration was read from, with what was in them:
// its own, those of ${file:…}, and the PEM files that it names. It is a value
// that never changes, safe from several goroutines.
type Files struct {
	sums map[string]sum
}

// sum stands for what is in a file, or for why it can't be read.
type sum [sha256.Size]byte

func sumOf(data []byte, err error) sum {
	if err != nil {
		text := err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			text = "not there"
		}
		return sha256.Sum256([]byte("error: " + text))
	}
	return sha256.Sum256(append([]byte("file: "), data...))
}

// LoadFiles is Load that also tells what was read, after an error too. A file
// that is missing is one of them: it may come.
func LoadFiles(path string, over Overrides) (*Config, Files, error) {
	f := Files{sums: map[string]sum{}}
	path, text, err := open(path)
	if path != "" {
		f.sums[path] = sumOf(readSmall(path))
	}
	if err != nil {
		return nil, f, err
	}
	f.sums[path] = sumOf(text, nil)
	look := osLookup()
	read := look.file
	look.file = func(path string) ([]byte, error) {
		data, err := read(path)
		f.sums[path] = sumOf(data, err)
		return data, err
	}
	c, err := load(path, text, over, look)
	if err != nil {
		return nil, f, err
	}
	for _, pem := range c.pemFiles() {
		_, _ = look.file(pem) // who needs it says what is wrong with it
	}
	c.files = f
	return c, f, nil
}

// pemFiles are those that are read when a connection is opened.
func (c *Config) pemFiles() []string {
	t := c.Search.TLS
	return slices.DeleteFunc([]string{t.CAFile, t.CertFile, t.KeyFile, c.S3.CAFile}, func(p string) bool { return p == "" })
}

// Now reads the same files again.
func (f Files) Now() Files {
	now := Files{sums: make(map[string]sum, len(f.sums))}
	for path := range f.sums {
		now.sums[path] = sumOf(readSmall(path))
	}
	return now
}

// Equal tells whether the same is in the same files.
func (f Files) Equal(g Files) bool { return maps.Equal(f.sums, g.sums) }

// Names are the paths, sorted.
func (f Files) Names() []string { return slices.Sorted(maps.Keys(f.sums)) }

// sameContent tells whether the same is in the named files.
func (f Files) sameContent(g Files, paths ...string) bool {
	return !slices.ContainsFunc(paths, func(p string) bool { return p != "" && f.sums[p] != g.sums[p] })
}
