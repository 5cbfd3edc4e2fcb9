package monstache

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is the most bytes that a file may have; scripts stand in it.
const maxFile = 16 << 20

// file is what the TOML file says.
type file struct {
	given  values
	tables map[string][]values
	// has are the tables that are there, such as "logs".
	has map[string]bool
	// warnings are about keys that Monstache would refuse.
	warnings []string
}

// readFile reads, expands and checks the TOML file.
func readFile(path string, text []byte, tpl bool, vars map[string]string) (*file, error) {
	if len(text) > maxFile {
		return nil, fault(1, "%s is larger than 16 MiB: is it a configuration at all?", path)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if tpl {
		var err error
		if text, err = expand(path, text, vars); err != nil {
			return nil, err
		}
	}
	var any map[string]any
	if err := toml.Unmarshal(text, &any); err != nil {
		return nil, syntaxFault(path, text, tpl, err)
	}
	f := &file{given: values{}, tables: map[string][]values{}, has: map[string]bool{}}
	r := &tomlReader{path: path, text: text, keys: newIndex(), out: f}
	return f, r.read()
}

// expand carries out the template over the environment.
func expand(path string, text []byte, vars map[string]string) ([]byte, error) {
	t, err := template.New(path).Parse(string(text))
	if err != nil {
		return nil, fault(2, "%s: the template can't be read: %s", path, strings.TrimPrefix(err.Error(), "template: "))
	}
	var b bytes.Buffer
	if err := t.Execute(&b, vars); err != nil {
		// What the template was doing may show a value of the environment.
		return nil, fault(2, "%s: the template can't be carried out: %s", path, templatePlace(err))
	}
	return b.Bytes(), nil
}

func templatePlace(err error) string {
	msg := strings.TrimPrefix(err.Error(), "template: ")
	if m := regexp.MustCompile(`:(\d+):`).FindStringSubmatch(msg); m != nil {
		return "line " + m[1] + " fails"
	}
	return "it fails"
}

// syntaxFault makes one message of what is no TOML. A line of the file is shown
// only by its key, as its value may be a secret.
func syntaxFault(path string, text []byte, tpl bool, err error) error {
	var d *toml.DecodeError
	if !errors.As(err, &d) {
		return fault(1, "%s: %s", path, err.Error())
	}
	line, col := d.Position()
	lines := strings.Split(string(text), "\n")
	key, value := "", ""
	if line >= 1 && line <= len(lines) {
		key, value, _ = strings.Cut(lines[line-1], "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	}
	at := fmt.Sprintf("%s:%d:%d", path, line, col)
	msg := strings.TrimPrefix(d.Error(), "toml: ")
	switch {
	case strings.Contains(msg, "already") || strings.Contains(msg, "duplicate") || strings.Contains(msg, "redefin"):
		if strings.HasPrefix(key, "[") {
			return fault(1, "%s: the table %s is there twice: write its keys together", at, key)
		}
		return fault(1, "%s: %s is there twice in its table: keep one", at, key)
	case value != "" && regexp.MustCompile(`^[A-Za-z_/.:][^"'\[\]{}]*$`).MatchString(value) && value != "true" && value != "false":
		if slices.Contains([]string{"True", "False", "TRUE", "FALSE"}, value) {
			return fault(1, "%s: %s wants true or false, in lower case", at, key)
		}
		return fault(1, "%s: %s: text needs quotes: %s = \"…\"", at, key, key)
	case strings.Contains(string(text), "{{") && !tpl:
		return fault(1, "%s: %s; there is a {{ in the file: start with -tpl if it is a template", at, msg)
	}
	return fault(1, "%s: no valid TOML: %s", at, msg)
}

// undecoded is Monstache's message about unknown keys, with the places and the
// nearest names.
func (r *tomlReader) undecoded() error {
	if len(r.unknown) == 0 {
		return nil
	}
	names := make([]string, len(r.unknown))
	lines := make([]string, len(r.unknown))
	for i, u := range r.unknown {
		names[i] = u.name
		lines[i] = fmt.Sprintf("  %s: %s is no key of Monstache%s", u.at, u.name, didYouMean(u.name, r.near(u.name)))
	}
	return fault(1, "Config file contains undecoded keys: %q\n%s", names, strings.Join(lines, "\n"))
}

// near are the names that a key at this level may have.
func (r *tomlReader) near(name string) []string {
	table, _, inTable := strings.Cut(strings.ToLower(name), ".")
	var names []string
	for n, k := range r.keys {
		if k.FlagOnly || k.State == Warned || k.State == Idle && k.Kind == Any {
			continue
		}
		if t := k.tableOf(); t == "" && !inTable || inTable && t == table {
			names = append(names, n)
		} else if !inTable && !slices.Contains(names, t) {
			names = append(names, t)
		} else if inTable && t != "" && !r.keys.isTable(table) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}
