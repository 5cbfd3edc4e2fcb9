package search

import (
	"bytes"
	"slices"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// indexStart begins the action line of a write: what is attached goes through a
// pipeline of its own, over any other. It is always an index action, as an update
// passes by all pipelines.
func indexStart(a *flow.Attachment) string {
	const start = `{"index":{`
	if a == nil || a.Pipeline == "" {
		return start
	}
	return start + `"pipeline":` + string(transcode.AppendString(nil, a.Pipeline)) + `,`
}

// appendAttachment puts content into a document, in the place of a field of that
// name. buf ends with the document, which begins at start.
func appendAttachment(buf []byte, start int, a *flow.Attachment) ([]byte, error) {
	buf, err := dropField(buf, start, a.Field)
	if err != nil {
		return buf, err
	}
	buf = slices.Grow(buf, len(a.Text)+len(a.Field)+len(`,"":""}`)+1)
	buf = buf[:len(buf)-1]
	if len(buf)-start > 1 {
		buf = append(buf, ',')
	}
	buf = append(append(append(buf, '"'), a.Field...), `":"`...)
	return append(append(buf, a.Text...), `"}`...), nil
}

// dropField takes a field out of the object that ends buf and begins at start.
func dropField(buf []byte, start int, field string) ([]byte, error) {
	if !bytes.Contains(buf[start:], []byte(`"`+field+`":`)) {
		return buf, nil // almost always
	}
	source := bytes.Clone(buf[start:])
	buf = append(buf[:start], '{')
	s := scanner{b: source}
	err := s.object(func(key []byte) error {
		value := s.skip()
		if string(key) != field {
			buf = append(append(append(buf, '"'), key...), `":`...)
			buf = append(append(buf, value...), ',')
		}
		return nil
	})
	if err != nil {
		return buf[:start], err
	}
	return append(bytes.TrimSuffix(buf, []byte(",")), '}'), nil
}
