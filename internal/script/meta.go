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

// takeMeta cuts what scripts said of a document out of it; nil where they said nothing.
// In the mode of Monstache it counts under its name as well, and also where it simply
// stands in the document.
func takeMeta(doc bson.Raw, mode Mode) (*meta, bson.Raw, error) {
	var found bson.RawValue
	var cut []byte
	for b := inside(doc); len(b) > 0; {
		name, v, whole, rest, err := element(b)
		if err != nil {
			return nil, nil, err
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
	if found.Type == 0 {
		return nil, doc, nil
	}
	cut = append(cut, 0)
	binary.LittleEndian.PutUint32(cut, uint32(len(cut)))
	m := &meta{}
	inner, ok := found.DocumentOK()
	if !ok {
		if mode == Monstache {
			return m, cut, nil
		}
		return nil, nil, fmt.Errorf("%s is no object", metaField)
	}
	elements, err := inner.Elements()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range elements {
		switch key := e.Key(); key {
		case "skip":
			yes, isBool := e.Value().BooleanOK()
			m.skip = m.skip || mode == Monstache || isBool && yes
		case "type", "retryOnConflict":
			if mode == Native {
				return nil, nil, fmt.Errorf("%s.%s is nothing that can be said of a document; it knows skip", metaField, key)
			}
		default:
			return nil, nil, fmt.Errorf("%s.%s: a script can't say this of a document; it knows skip, "+
				"and places come from the flow's index, id and routing", metaField, key)
		}
	}
	return m, cut, nil
}
