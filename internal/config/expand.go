package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// lookup is where expansions come from; tests give their own.
type lookup struct {
	env  func(string) (string, bool)
	file func(string) ([]byte, error)
}

// maxIncluded is the most that a ${file:…} may hold.
const maxIncluded = 1 << 20

func osLookup() lookup {
	return lookup{env: os.LookupEnv, file: readSmall}
}

// readSmall reads a file of at most maxIncluded bytes.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxIncluded+1))
	if err == nil && len(data) > maxIncluded {
		err = fmt.Errorf("larger than %d bytes", maxIncluded)
	}
	return data, err
}

// expand replaces ${NAME}, ${NAME:-default} and ${file:/path} in text; $${
// stands for ${ itself. from names the last thing that was put in, "" when
// nothing was. What is put in isn't expanded again.
func expand(text string, look lookup) (out, from string, err error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), from, nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return "", "", errors.New("${ without }: write $${ if you mean the characters themselves")
		}
		value, source, err := expandOne(text[i+2:i+end], look)
		if err != nil {
			return "", "", err
		}
		b.WriteString(value)
		from = source
		text = text[i+end+1:]
	}
}

func expandOne(inner string, look lookup) (value, from string, err error) {
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		data, err := look.file(path)
		if err != nil {
			var p *os.PathError
			if errors.As(err, &p) {
				err = p.Err
			}
			return "", "", fmt.Errorf("${file:%s}: %w", path, err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), "file " + path, nil
	}
	name, def, hasDefault := strings.Cut(inner, ":-")
	if !isName(name) {
		return "", "", fmt.Errorf("${%s}: write ${NAME}, ${NAME:-default} or ${file:/path}, or $${ for the characters themselves", name)
	}
	value, ok := look.env(name)
	switch {
	case ok && value != "":
		return value, "env " + name, nil
	case hasDefault:
		return def, "env " + name + " (its default)", nil
	case ok:
		return "", "env " + name, nil
	}
	return "", "", fmt.Errorf("environment variable %s is not set: set it, or write ${%s:-default}", name, name)
}

// isName tells whether s can be the name of an environment variable.
func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
