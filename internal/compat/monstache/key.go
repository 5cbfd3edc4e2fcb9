package monstache

import "strings"

// Kind is the type of a value.
type Kind uint8

// The types that Monstache has.
const (
	Text Kind = iota + 1
	Boolean
	Number
	List
	// Any is a value that is not looked at.
	Any
)

// String names the type as messages and the documentation do.
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Boolean:
		return "true or false"
	case Number:
		return "a whole number"
	case List:
		return "a list of text"
	}
	return "anything"
}

// State says what becomes of a key.
type State uint8

// The states of a key.
const (
	// Done: sluice does what Monstache does.
	Done State = iota + 1
	// Differs: carried out, with a difference that the key's sentence tells.
	Differs
	// Idle: has no effect in Monstache either; read, and nothing follows from it.
	Idle
	// Later: not yet carried out; what uses it stops the start.
	Later
	// Warned: Monstache refuses it though it documents it; read, with a warning.
	Warned
)

// String is what the documentation calls the state.
func (s State) String() string {
	switch s {
	case Done:
		return "carried out"
	case Differs:
		return "carried out, with a difference"
	case Idle:
		return "no effect, nor in Monstache"
	case Later:
		return "not yet carried out: the start stops"
	case Warned:
		return "refused by Monstache; read, with a warning"
	}
	return ""
}

// Key is one key of the file, with its flag and its variable.
type Key struct {
	// Name is that of the file; "table.key" in a table, "table.*" for whatever a
	// table holds. For what is a flag alone, Name is the flag's.
	Name string
	Kind Kind
	// Default is the text of Monstache's default; "" for the type's zero.
	Default string
	// Flag is without dashes, "" for none.
	Flag string
	// Env is without MONSTACHE_, "" for none.
	Env   string
	State State
	// Does says what sluice does: full sentences.
	Does string
	// FlagOnly: no key of a file.
	FlagOnly bool
	// Secret: never shown.
	Secret bool
}

// Keys returns all keys in the order of the documentation. Names are unique.
func Keys() []Key {
	var all []Key
	for _, group := range Groups() {
		all = append(all, group.Keys...)
	}
	return all
}

// Group is a chapter of the documentation.
type Group struct {
	Title string
	Keys  []Key
}

// Groups returns the keys by chapter.
func Groups() []Group {
	return []Group{
		{"Command line", commandKeys()},
		{"MongoDB", append(mongoKeys(), positionKeys()...)},
		{"Elasticsearch and OpenSearch", append(searchKeys(), indexKeys()...)},
		{"Scripts, files, history", append(scriptKeys(), fileKeys()...)},
		{"Operation", operationKeys()},
		{"Refused by Monstache though documented, or taken without any effect", append(refusedKeys(), silentKeys()...)},
	}
}

// lists are the tables of which a file may have several.
func lists() []string { return []string{"script", "filter", "pipeline", "mapping", "relate"} }

// tableOf returns the table that a key is in, "" for none.
func (k Key) tableOf() string {
	table, _, ok := strings.Cut(k.Name, ".")
	if !ok {
		return ""
	}
	return table
}

// index finds keys by their name in lower case.
type index map[string]Key

func newIndex() index {
	all := index{}
	for _, k := range Keys() {
		all[k.Name] = k
	}
	return all
}

// find returns the key of that name in a file, written in any case.
func (x index) find(name string) (Key, bool) {
	name = strings.ToLower(name)
	if k, ok := x[name]; ok && !k.FlagOnly {
		return k, true
	}
	switch name {
	case "tpl", "env-delimiter", "print-config":
		return Key{Name: name, Kind: Any, State: Warned, Does: "Has no effect in a file: give it as a flag, -" + name + "."}, true
	}
	table, _, ok := strings.Cut(name, ".")
	if !ok {
		table = name
	}
	k, ok := x[table+".*"]
	return k, ok
}

// isTable tells whether a file may have a table of that name.
func (x index) isTable(name string) bool {
	for _, k := range x {
		if k.tableOf() == strings.ToLower(name) {
			return true
		}
	}
	return false
}
