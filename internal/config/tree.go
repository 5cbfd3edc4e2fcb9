package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is how deep sections and lists may nest.
const maxDepth = 64

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeText
	nodeInt
	nodeFloat
	nodeBool
	nodeMapping
	nodeSequence
	// nodeBroken has been told of already; nothing more is said about it.
	nodeBroken
)

// String names the kind as messages do.
func (k nodeKind) String() string {
	return [...]string{"nothing", "text", "a number", "a number", "true or false", "a section", "a list", "unreadable"}[k]
}

// node is one value of the file, after expansion.
type node struct {
	kind nodeKind
	// text is that of a scalar.
	text string
	// written is how a message may quote the scalar: before expansion.
	written string
	entries []entry
	items   []*node
	at      place
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    place
	value *node
}

// find returns the value of a key, nil without it.
func (n *node) find(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// put sets or replaces a key.
func (n *node) put(key string, v *node) {
	for i := range n.entries {
		if n.entries[i].key == key {
			n.entries[i] = entry{key: key, at: v.at, value: v}
			return
		}
	}
	n.entries = append(n.entries, entry{key: key, at: v.at, value: v})
}

// reader turns YAML into nodes and collects what is wrong with it.
type reader struct {
	file   string
	lookup lookup
	errs   Errors
}

// read parses the file; nil when it is no YAML at all.
func (r *reader) read(text []byte) *node {
	root := place{file: r.file, line: 1, col: 1}
	if e, bad := unreadable(text); bad {
		e.File = r.file
		r.errs = append(r.errs, e)
		return nil
	}
	file, err := parse(text)
	if err != nil {
		r.errs = append(r.errs, r.syntax(err, text))
		return nil
	}
	var body ast.Node
	for i, doc := range file.Docs {
		if _, ok := doc.Body.(*ast.DirectiveNode); ok || doc.Body == nil {
			continue
		}
		if body != nil {
			r.fail(doc.Body, "document %d: one file holds one configuration; remove the line --- before it", i+1)
			continue
		}
		body = doc.Body
	}
	if body == nil {
		return &node{kind: nodeNull, at: root}
	}
	return r.node(body, 0)
}

// unreadable looks for what no configuration holds, before the parser sees
// it: that would take minutes, or all memory, over deep nesting.
func unreadable(text []byte) (e Error, bad bool) {
	var dashes, open int
	p := place{line: 1}
	starts := true // only spaces and dashes so far in this line
	for len(text) > 0 {
		c, size := utf8.DecodeRune(text)
		text = text[size:]
		p.col++
		switch c {
		case '\n':
			p.line, p.col, dashes, starts = p.line+1, 0, 0, true
		case utf8.RuneError, 0:
			if size <= 1 {
				return p.fault("the file isn't UTF-8 text"), true
			}
			starts = false
		case '[', '{':
			open++
			starts = false
		case ']', '}':
			open = max(0, open-1)
			starts = false
		case '-', '?':
			if starts {
				dashes++
			}
		case ' ', '\t':
		default:
			starts = false
		}
		if open > 4*maxDepth || dashes > maxDepth && len(text) > 0 && text[0] == ' ' {
			return p.fault("nested deeper than %d levels", maxDepth), true
		}
	}
	return Error{}, false
}

// parse calls the library; a panic of it is an error like any other.
func parse(text []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("this isn't readable as YAML")
		}
	}()
	return parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
}

// syntax keeps place and words of a parser's error, but not the piece of the
// file that it shows: that may hold a secret.
func (r *reader) syntax(err error, text []byte) Error {
	p := place{file: r.file, line: 1, col: 1}
	var y yaml.Error
	if !errors.As(err, &y) {
		return p.fault("this isn't readable as YAML")
	}
	if t := y.GetToken(); t != nil && t.Position != nil {
		p.line, p.col = t.Position.Line, t.Position.Column
	}
	msg := y.GetMessage()
	if cut := strings.IndexByte(msg, '"'); cut >= 0 {
		msg = strings.TrimSpace(msg[:cut])
	}
	if lines := strings.Split(string(text), "\n"); p.line <= len(lines) && strings.Contains(lines[p.line-1], "${") {
		msg += "; inside [ ] and { } a value with ${…} needs quotes"
	}
	return p.fault("no valid YAML: %s", msg)
}

func (r *reader) at(t *token.Token) place {
	p := place{file: r.file, line: 1, col: 1}
	if t != nil && t.Position != nil {
		p.line, p.col = t.Position.Line, t.Position.Column
	}
	return p
}

func (r *reader) fail(n ast.Node, format string, args ...any) {
	r.errs = append(r.errs, r.at(n.GetToken()).fault(format, args...))
}

// node converts one value with all below it.
func (r *reader) node(n ast.Node, depth int) *node {
	if n == nil {
		return &node{kind: nodeNull, at: place{file: r.file, line: 1, col: 1}}
	}
	at := r.at(n.GetToken())
	if depth > maxDepth {
		r.fail(n, "nested deeper than %d levels", maxDepth)
		return &node{kind: nodeBroken, at: at}
	}
	switch v := n.(type) {
	case *ast.NullNode:
		return &node{kind: nodeNull, at: at, text: strings.TrimSpace(v.Token.Origin)}
	case *ast.MappingNode:
		return r.mapping(v, depth)
	case *ast.MappingValueNode:
		return r.mapping(&ast.MappingNode{BaseNode: v.BaseNode, Start: v.Start, Values: []*ast.MappingValueNode{v}}, depth)
	case *ast.SequenceNode:
		out := &node{kind: nodeSequence, at: at}
		for _, item := range v.Values {
			out.items = append(out.items, r.node(item, depth+1))
		}
		return out
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		r.fail(n, "anchors (&), aliases (*) and merges (<<) aren't read here: write the value out, or quote it if it is text")
	case *ast.TagNode:
		r.fail(n, "tags (!) aren't read here: quote the value if it is text")
	default:
		return r.scalar(n, at)
	}
	return &node{kind: nodeBroken, at: at}
}

func (r *reader) mapping(m *ast.MappingNode, depth int) *node {
	out := &node{kind: nodeMapping, at: r.at(m.GetToken())}
	first := map[string]place{}
	for i, v := range m.Values {
		at := r.at(v.Key.GetToken())
		if i == 0 && !m.IsFlowStyle {
			out.at = at
		}
		key, ok := keyText(v.Key)
		if !ok {
			r.errs = append(r.errs, at.fault("a key must be plain text here, without anchor, alias, tag or merge"))
			continue
		}
		if p, dup := first[key]; dup {
			r.errs = append(r.errs, at.fault("key %q is there twice, first on line %d", key, p.line))
			continue
		}
		first[key] = at
		value := r.node(v.Value, depth+1)
		if value.kind == nodeNull {
			value.at = at
		}
		out.entries = append(out.entries, entry{key: key, at: at, value: value})
	}
	return out
}

// keyText returns a key as it is written.
func keyText(k ast.MapKeyNode) (string, bool) {
	switch v := k.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// scalar converts a value without parts, and expands it.
func (r *reader) scalar(n ast.Node, at place) *node {
	out := &node{at: at}
	quoted := false
	switch v := n.(type) {
	case *ast.StringNode:
		out.kind, out.text = nodeText, v.Value
		quoted = v.Token.Type != token.StringType
	case *ast.LiteralNode:
		out.kind, out.text, quoted = nodeText, v.Value.Value, true
	case *ast.IntegerNode:
		out.kind, out.text = nodeInt, v.Token.Value
		if !json.Valid([]byte(out.text)) {
			out.text = fmt.Sprint(v.Value)
		}
		out.written = v.Token.Value
		return out
	case *ast.FloatNode:
		out.kind, out.text = nodeFloat, v.Token.Value
		if !json.Valid([]byte(out.text)) {
			out.text = strconv.FormatFloat(v.Value, 'g', -1, 64)
		}
	case *ast.BoolNode:
		out.kind, out.text = nodeBool, strconv.FormatBool(v.Value)
	case *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = nodeFloat, n.GetToken().Value
	default:
		r.fail(n, "this can't be a value")
		return &node{kind: nodeBroken, at: at}
	}
	out.written = out.text
	if out.kind == nodeText {
		r.expand(out, quoted)
	}
	return out
}

// expand replaces ${…}; what was written without quotes takes the kind that
// the expanded text has, as if it had been written so.
func (r *reader) expand(n *node, quoted bool) {
	text, from, err := expand(n.text, r.lookup)
	if err != nil {
		r.errs = append(r.errs, n.at.fault("%s", err))
		n.kind = nodeBroken
		return
	}
	n.text, n.at.from = text, from
	if from == "" || quoted {
		return
	}
	switch _, err := strconv.ParseInt(text, 10, 64); {
	case text == "true" || text == "false":
		n.kind = nodeBool
	case err == nil:
		n.kind = nodeInt
	default:
		if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
			n.kind = nodeFloat
		}
	}
}
