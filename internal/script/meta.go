package script

import (
	"encoding/binary"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The fields in which a script says something of a document that is not of its body.
const (
	metaField          = "$meta"
	metaFieldMonstache = "_meta_monstache"
)

// meta is what a script said of a document.
type meta struct {
	// skip: nothing is done for this change.
	skip bool
}

// takeMeta cuts what scripts said of a document out of it; nil if nothing is there.
// In the mode of Monstache it counts under its name as well, and also where it simply
// stands in the document.
func takeMeta(doc bson.Raw, mode Mode) (*meta, bson.Raw, error) {
	found, rest, err := cutMeta(doc, mode)
	if err != nil || found.Type == 0 {
		return nil, doc, err
	}
	m := &meta{}
	inner, ok := found.DocumentOK()
	switch {
	case !ok && mode == Monstache:
		return m, rest, nil
	case !ok:
		return nil, nil, fmt.Errorf("%s is no object", metaField)
	}
	elements, err := inner.Elements()
	for _, e := range elements {
		if err := m.read(e.Key(), e.Value(), mode); err != nil {
			return nil, nil, err
		}
	}
	return m, rest, err
}

// cutMeta returns the field of what is said, its type 0 if there is none, and the
// document without it.
func cutMeta(doc bson.Raw, mode Mode) (found bson.RawValue, cut bson.Raw, err error) {
	for b := inside(doc); len(b) > 0; {
		name, v, whole, rest, err := element(b)
		if err != nil {
			return found, nil, err
		}
		if v.Type == 0 {
			break
		}
		isMeta := string(name) == metaField || mode == Monstache && string(name) == metaFieldMonstache
		switch {
		case isMeta:
			if cut == nil {
				cut = append(make([]byte, 0, len(doc)), doc[:len(doc)-len(b)]...)
			}
			found = v
		case cut != nil:
			cut = append(cut, whole...)
		}
		b = rest
	}
	if cut != nil {
		cut = append(cut, 0)
		binary.LittleEndian.PutUint32(cut, uint32(len(cut)))
	}
	return found, cut, nil
}

// read takes one word of what was said.
func (m *meta) read(key string, v bson.RawValue, mode Mode) error {
	switch key {
	case "skip":
		yes, isBool := v.BooleanOK()
		m.skip = m.skip || mode == Monstache || isBool && yes
		return nil
	case "type", "retryOnConflict":
		if mode == Monstache {
			return nil
		}
	}
	return fmt.Errorf("%s.%s: a script can't say this of a document; it knows skip, and places come from the flow's index, id and routing", metaField, key)
}
