package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIndexName is how long a name may be, in bytes: the products take 255,
// and the indexes behind an alias carry its name with a number at the end.
const maxIndexName = 240

// badInIndexNames can't be in the name of an index or alias.
const badInIndexNames = "\\/*?\"<>| ,#:"

// CheckIndexName says why Elasticsearch and OpenSearch would refuse the name
// of an index or alias; nil if they take it.
func CheckIndexName(name string) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case name == "." || name == "..":
		return errors.New("the name of an index can't be . or ..")
	case strings.ContainsAny(name[:1], "-_+"):
		return errors.New("the name of an index can't start with - _ or +")
	case strings.ContainsFunc(name, badInName):
		return errors.New("the name of an index can't hold a space, a control character or any of \\ / * ? \" < > | , # :")
	case strings.ToLower(name) != name:
		return errors.New("the name of an index must be in lower case")
	case len(name) > maxIndexName:
		return fmt.Errorf("the name of an index has at most %d bytes, this one has %d", maxIndexName, len(name))
	}
	return nil
}

func badInName(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || strings.ContainsRune(badInIndexNames, r)
}

// IndexName returns the alias that the flow writes the collection coll of
// database db to: its fixed index, the one named for it, or prefix and namespace in lower case
// with _ for each character that a name can't hold. Two namespaces may get one
// name: the caller refuses that. An error says that no name can be made, and
// what to do.
func IndexName(f Flow, db, coll string) (string, error) {
	if f.Index != "" {
		return f.Index, nil
	}
	if f.DataStream.Name != "" {
		return f.DataStream.Name, nil
	}
	ns := db + "." + coll
	if name, ok := f.Indexes[ns]; ok {
		return name, nil
	}
	var b strings.Builder
	b.WriteString(f.IndexPrefix)
	for _, r := range ns {
		if badInName(r) {
			r = '_'
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	name := b.String()
	if rest := strings.TrimLeft(name, "-_+"); rest != name {
		name = "x" + name
	}
	if err := CheckIndexName(name); err != nil {
		return "", fmt.Errorf("%w; give the collection a flow of its own with index", err)
	}
	return name, nil
}
