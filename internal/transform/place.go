package transform

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// The bounds of places, in bytes. Behind the name of an index an engine takes
// 255, and we append a number.
const (
	maxPlaceIndex   = 240
	maxPlaceID      = 512
	maxPlaceRouting = 512
)

// hashedPlace is how an id begins that is only the hash of a longer one; a
// shorter one that begins so is hashed too, so that no two texts meet.
const hashedPlace = "$place-sha256:"

// Templates are those of a flow, as its configuration has them; "" for none.
type Templates struct {
	Index, ID, Routing string
	// Join, if set, gives documents a join field, and children the routing of their
	// parents. It must not change.
	Join *Join
}

// Places says where documents lie: under which index, id and routing. It does
// not change, and is safe from several goroutines.
type Places struct {
	of             Templates
	index          []part
	id             []part
	routing        []part
	indexByContent bool
}

// Place is where a document lies.
type Place struct {
	Index string // "" where no template says it
	ID    string
	// Routing is "" for none.
	Routing string
	// Field is the value of the join field, as JSON; "" without a join.
	Field string
}

// CompilePlaces reads the templates of a flow; nil where none of them is one.
// An error names the template, and the position of what is wrong in it.
func CompilePlaces(t Templates) (*Places, error) {
	p := &Places{of: t}
	var err error
	if isTemplate(t.Index) {
		if p.index, err = compileIndex(t.Index); err != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
		for _, one := range p.index {
			p.indexByContent = p.indexByContent || one.kind == partField
		}
	}
	if t.ID != "" {
		if p.id, err = compileID(t.ID); err != nil {
			return nil, fmt.Errorf("id: %w", err)
		}
	}
	if t.Routing != "" {
		if p.routing, err = parseTemplate(t.Routing); err != nil {
			return nil, fmt.Errorf("routing: %w", err)
		}
		if !isTemplate(t.Routing) {
			return nil, errors.New("routing: this is the same for all documents; a template knows " + templateWords)
		}
	}
	if p.index == nil && p.id == nil && p.routing == nil && t.Join == nil {
		return nil, nil
	}
	if t.Join != nil {
		return p, p.checkJoin()
	}
	return p, nil
}

// compileIndex reads the template of an index name.
func compileIndex(text string) ([]part, error) {
	parts, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	at := 0
	for i := range parts {
		p := &parts[i]
		switch {
		case p.kind == partField && i == 0:
			return nil, errors.New("at position 1: the name begins with a field; " +
				"begin it with text, {db} or {collection}, so that the flow's indexes can be told from others")
		case p.kind == partText && string(appendSafe(nil, p.text)) != p.text:
			return nil, fmt.Errorf("at position %d: %q can't be in the name of an index (lower case, and none of \\ / * ? \" < > | , # : or space)", at+1, p.text)
		case p.kind == partText && i == 0 && strings.ContainsAny(p.text[:1], "-_+."):
			return nil, errors.New("at position 1: the name of an index can't start with - _ + or .")
		case p.hasOtherwise && string(appendSafe(nil, p.otherwise)) != p.otherwise:
			return nil, fmt.Errorf("at position %d: the default %q can't be in the name of an index", at+1, p.otherwise)
		}
		at += len(p.text)
		if p.kind != partText {
			at += 2
		}
	}
	return parts, nil
}

// compileID reads the template of an id, which must tell two keys apart
// whatever the fields hold (rule S10): it has the key once, and each other value
// ends, seen from outside, at a character that it is written without.
func compileID(text string) ([]part, error) {
	parts, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	key := -1
	for i := range parts {
		if parts[i].kind == partField && len(parts[i].path) == 1 && parts[i].path[0] == "_id" && parts[i].date == nil && !parts[i].hasOtherwise {
			if key >= 0 {
				return nil, errors.New("{_id} stands in it twice")
			}
			key = i
			parts[i].kind = partKey
		}
	}
	if key < 0 {
		return nil, errors.New("{_id} has to stand in it: without it two documents could get one id, and each would overwrite the other")
	}
	for i := range parts {
		p := &parts[i]
		if p.kind == partText || p.kind == partKey {
			continue
		}
		j, end := i+1, 0
		if i > key {
			j = i - 1
		}
		if parts[j].kind == partText {
			if i > key {
				end = len(parts[j].text) - 1
			}
			p.stop = parts[j].text[end]
		}
		if !strings.ContainsRune("-._:/~,;!@#&+=|()[]$*' ", rune(p.stop)) || p.stop == 0 {
			return nil, fmt.Errorf("{%s} has to be parted from what stands between it and {_id} by one of - . _ : / ~ and the like, "+
				"so that two keys never get one id", p.text)
		}
	}
	return parts, nil
}

// Scattered tells whether the index depends on the content of a document.
func (p *Places) Scattered() bool { return p.indexByContent }

// IndexNamed tells whether the name of the index comes from a template.
func (p *Places) IndexNamed() bool { return p.index != nil }

// OnlyNames tells whether nothing but the name of a namespace decides: then
// each has one index, as without templates.
func (p *Places) OnlyNames() bool { return !p.indexByContent && p.id == nil && p.routing == nil }

// NamesNamespace tells whether the template of the id, or that of the index,
// holds both database and collection.
func (p *Places) NamesNamespace() (inID, inIndex bool) { return both(p.id), both(p.index) }

func both(parts []part) bool {
	db, coll := false, false
	for _, p := range parts {
		db, coll = db || p.kind == partDB, coll || p.kind == partColl
	}
	return db && coll
}

// Text sums the templates up: where it is equal, equal documents have equal places.
func (p *Places) Text() string {
	text := p.of.Index + "\n" + p.of.ID + "\n" + p.of.Routing
	if p.of.Join != nil {
		text += p.of.Join.text()
	}
	return text
}

// Join returns that of the templates; nil for none.
func (p *Places) Join() *Join { return p.of.Join }

// Prefix is what the names of all indexes of ns begin with.
func (p *Places) Prefix(ns flow.Namespace) string {
	var b []byte
	for i := range p.index {
		one := &p.index[i]
		if one.kind == partField {
			break
		}
		b = appendSafe(b, one.fixed(ns))
	}
	return start(b)
}

// start makes that a name begins with what a name may begin with.
func start(name []byte) string {
	if len(name) > 0 && strings.IndexByte("-_+.", name[0]) >= 0 {
		return "x" + string(name)
	}
	return string(name)
}

// Of returns the place of a document of ns; id is its _id. An error says that it
// has none, and why; it quotes no value. doc is not needed where OnlyNames.
func (p *Places) Of(ns flow.Namespace, id bson.RawValue, doc bson.Raw) (Place, error) {
	var at Place
	var buf []byte
	if p.index != nil {
		var err error
		for i := range p.index {
			if buf, err = p.index[i].append(buf, ns, doc, appendSafe); err != nil {
				return at, fmt.Errorf("index: %w", err)
			}
		}
		at.Index = start(buf)
		if len(at.Index) > maxPlaceIndex {
			return at, fmt.Errorf("index: the name has %d bytes, at most %d are taken", len(at.Index), maxPlaceIndex)
		}
	}
	var err error
	if at.ID, err = p.idOf(buf[:0], ns, id, doc); err != nil {
		return at, fmt.Errorf("id: %w", err)
	}
	if p.of.Join != nil {
		return at, p.relate(&at, ns, doc)
	}
	if p.routing == nil {
		return at, nil
	}
	buf = buf[:0]
	plain := func(dst []byte, text string) []byte { return append(dst, text...) }
	for i := range p.routing {
		if buf, err = p.routing[i].append(buf, ns, doc, plain); err != nil {
			return at, fmt.Errorf("routing: %w", err)
		}
	}
	if at.Routing = string(buf); len(buf) > maxPlaceRouting {
		return at, fmt.Errorf("routing: it has %d bytes, at most %d are taken", len(buf), maxPlaceRouting)
	}
	return at, nil
}

// idOf writes the id.
func (p *Places) idOf(buf []byte, ns flow.Namespace, id bson.RawValue, doc bson.Raw) (string, error) {
	if p.id == nil {
		return string(transcode.AppendID(buf, id)), nil
	}
	var err error
	for i := range p.id {
		one := &p.id[i]
		if one.kind == partKey {
			buf = transcode.AppendID(buf, id)
			continue
		}
		escape := func(dst []byte, text string) []byte {
			if one.kind == partText {
				return append(dst, text...)
			}
			return appendWithout(dst, text, one.stop)
		}
		if buf, err = one.append(buf, ns, doc, escape); err != nil {
			return "", err
		}
	}
	if len(buf) <= maxPlaceID && !strings.HasPrefix(string(buf), hashedPlace) {
		return string(buf), nil
	}
	sum := sha256.Sum256(buf)
	return hashedPlace + hex.EncodeToString(sum[:]), nil
}

// appendWithout appends text with % and stop written as %XX.
func appendWithout(dst []byte, text string, stop byte) []byte {
	for i := range len(text) {
		if c := text[i]; c == '%' || c == stop {
			dst = fmt.Appendf(dst, "%%%02X", c)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendSafe appends text as the name of an index takes it (T33): in lower case,
// with _ for what engines refuse.
func appendSafe(dst []byte, text string) []byte {
	for _, r := range text {
		low := unicode.ToLower(r)
		switch {
		case r < utf8.RuneSelf && strings.ContainsRune("\\/*?\"<>| ,#:{}", r), unicode.IsControl(r):
			low = '_'
		case r >= utf8.RuneSelf && (!unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.ToLower(low) != low || unicode.IsUpper(low) || unicode.IsTitle(low)):
			low = '_'
		}
		dst = utf8.AppendRune(dst, low)
	}
	return dst
}

// fixed is the text of a part that asks no document.
func (p *part) fixed(ns flow.Namespace) string {
	switch p.kind {
	case partDB:
		return ns.DB
	case partColl:
		return ns.Coll
	}
	return p.text
}

// append appends the value of the part, written by write.
func (p *part) append(dst []byte, ns flow.Namespace, doc bson.Raw, write func([]byte, string) []byte) ([]byte, error) {
	if p.kind != partField {
		return write(dst, p.fixed(ns)), nil
	}
	text, err := p.value(doc)
	if err != nil {
		if !p.hasOtherwise {
			return dst, err
		}
		text = p.otherwise
	}
	return write(dst, text), nil
}
