package monstache

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlReader walks a file that is known to be TOML, for the sake of the places of
// its keys.
type tomlReader struct {
	path string
	text []byte
	keys index
	out  *file

	parser unstable.Parser
	// table is that of the lines now read; row is where its keys go.
	table string
	row   values
	// at is the place of the expression, for what has none of its own.
	at      Origin
	unknown []unknownKey
	faults  []string
}

type unknownKey struct {
	name string
	at   Origin
}

// read walks the whole file. The error tells everything that is wrong.
func (r *tomlReader) read() error {
	r.row = r.out.given
	r.parser.Reset(r.text)
	for r.parser.NextExpression() {
		n := r.parser.Expression()
		switch n.Kind {
		case unstable.Table, unstable.ArrayTable:
			r.header(n)
		case unstable.KeyValue:
			r.pair(r.table, r.row, n)
		}
	}
	if err := r.parser.Error(); err != nil {
		return fault(1, "%s: %s", r.path, err.Error())
	}
	if err := r.undecoded(); err != nil {
		return err
	}
	if len(r.faults) > 0 {
		return fault(1, "%s", strings.Join(r.faults, "\n"))
	}
	return nil
}

// header begins a table.
func (r *tomlReader) header(n *unstable.Node) {
	name, at := r.name(n)
	list := slices.Contains(lists(), strings.ToLower(name))
	r.table, r.row = name, values{}
	switch {
	case strings.Contains(name, ".") || !r.keys.isTable(name):
		if k, ok := r.keys.find(name); ok && k.Kind != Any {
			r.fail(at, "%s wants %s, not a table", name, k.Kind)
			return
		}
		if _, ok := r.keys.find(name + ".x"); !ok {
			r.unknown = append(r.unknown, unknownKey{name, at})
			r.table = ""
			r.row = nil
		}
	case list && n.Kind == unstable.Table:
		r.fail(at, "there may be several of [%s]: write it with two brackets, [[%s]]", name, name)
	case !list && n.Kind == unstable.ArrayTable:
		r.fail(at, "there is one table %s: write it with one bracket, [%s]", name, name)
	case list:
		r.addRow(name, r.row)
	default:
		r.out.has[strings.ToLower(name)] = true
		r.row = r.out.given
	}
}

func (r *tomlReader) addRow(table string, row values) {
	table = strings.ToLower(table)
	r.out.tables[table] = append(r.out.tables[table], row)
}

// pair reads "key = value" into row.
func (r *tomlReader) pair(table string, row values, n *unstable.Node) {
	name, at := r.name(n)
	full := name
	if table != "" {
		full = table + "." + name
	}
	if row == nil {
		return // of a table that is unknown, and told
	}
	value := n.Value()
	if r.keys.isTable(full) && !strings.Contains(full, ".") {
		r.inline(full, at, value)
		return
	}
	if head, rest, ok := strings.Cut(full, "."); ok && table == "" && !strings.Contains(rest, ".") && !slices.Contains(lists(), strings.ToLower(head)) {
		r.out.has[strings.ToLower(head)] = true // logs.info = "…"
	}
	k, ok := r.keys.find(full)
	if !ok {
		r.unknown = append(r.unknown, unknownKey{full, at})
		return
	}
	if _, dup := row[k.Name]; dup && k.Kind != Any {
		r.fail(at, "%s is there twice, once in other letters", full)
		return
	}
	v, err := r.value(k, value)
	if err != nil {
		r.fail(at, "%s %s", full, err.Error())
		return
	}
	v.From = at
	row[k.Name] = v
	if k.State == Warned || k.Kind == Any {
		r.out.warnings = append(r.out.warnings, fmt.Sprintf("%s: %s: %s", at, full, k.Does))
	}
}

// inline reads a table that is written as a value.
func (r *tomlReader) inline(table string, at Origin, value *unstable.Node) {
	list := slices.Contains(lists(), strings.ToLower(table))
	switch {
	case value.Kind == unstable.InlineTable && !list:
		r.out.has[strings.ToLower(table)] = true
		r.children(table, r.out.given, value)
	case value.Kind == unstable.Array && list:
		it := value.Children()
		for it.Next() {
			if it.Node().Kind != unstable.InlineTable {
				r.fail(at, "%s wants tables", table)
				return
			}
			row := values{}
			r.addRow(table, row)
			r.children(table, row, it.Node())
		}
	case list:
		r.fail(at, "%s is a list of tables: write [[%s]] above its keys", table, table)
	default:
		r.fail(at, "%s is a table: write [%s] above its keys", table, table)
	}
}

func (r *tomlReader) children(table string, row values, n *unstable.Node) {
	it := n.Children()
	for it.Next() {
		if it.Node().Kind == unstable.KeyValue {
			r.pair(table, row, it.Node())
		}
	}
}

// value reads a value of the key's type.
func (r *tomlReader) value(k Key, n *unstable.Node) (Value, error) {
	v := Value{Kind: k.Kind}
	data := string(n.Data)
	switch {
	case k.Kind == Any:
	case k.Kind == Text && n.Kind == unstable.String:
		v.Text = data
	case k.Kind == Boolean && n.Kind == unstable.Bool:
		v.On = data == "true"
	case k.Kind == Number && n.Kind == unstable.Integer:
		i, err := strconv.ParseInt(data, 0, 64)
		if err != nil {
			return v, fmt.Errorf("is too large a number")
		}
		v.Int = i
	case k.Kind == List && n.Kind == unstable.Array:
		it := n.Children()
		for it.Next() {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			if it.Node().Kind != unstable.String {
				return v, fmt.Errorf("wants a list of text, such as [\"a\", \"b\"]")
			}
			v.List = append(v.List, string(it.Node().Data))
		}
	default:
		return v, typeFault(k, n)
	}
	return v, nil
}

// typeFault says what was wanted. The value itself is not shown.
func typeFault(k Key, n *unstable.Node) error {
	got := map[unstable.Kind]string{
		unstable.String: "text", unstable.Bool: "true or false", unstable.Integer: "a number", unstable.Float: "a number with a point",
		unstable.Array: "a list", unstable.InlineTable: "a table",
	}[n.Kind]
	if got == "" {
		got = "a date"
	}
	tail := ""
	switch {
	case n.Kind == unstable.String && k.Kind == List:
		tail = ": put it in brackets, [\"…\"]"
	case n.Kind == unstable.String:
		tail = ": take the quotes off"
	case k.Kind == Text:
		tail = ": put it in quotes"
	}
	return fmt.Errorf("wants %s, not %s%s", k.Kind, got, tail)
}

// name returns the dotted key of a table or pair, and its place.
func (r *tomlReader) name(n *unstable.Node) (string, Origin) {
	var parts []string
	at := r.at
	it := n.Key()
	for it.Next() {
		if len(parts) == 0 {
			at = r.origin(it.Node())
		}
		parts = append(parts, string(it.Node().Data))
	}
	r.at = at
	return strings.Join(parts, "."), at
}

func (r *tomlReader) origin(n *unstable.Node) Origin {
	before := r.text[:min(int(n.Raw.Offset), len(r.text))]
	line := bytes.Count(before, []byte("\n"))
	return Origin{File: r.path, Line: line + 1, Col: len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1}
}

func (r *tomlReader) fail(at Origin, format string, args ...any) {
	r.faults = append(r.faults, at.String()+": "+fmt.Sprintf(format, args...))
}
