package search

import (
	"bytes"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/transcode"
)

// appendQuoted appends an id as a JSON string; almost all need no escape.
func appendQuoted(dst, id []byte) []byte {
	for _, c := range id {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return transcode.AppendString(dst, string(id))
		}
	}
	dst = append(dst, '"')
	dst = append(dst, id...)
	return append(dst, '"')
}

// hashTag is how the text of a hashed key begins; no other text does.
const hashTag = "$sha256:"

// isHashed tells whether the text is only a hash of its key.
func isHashed(text []byte) bool {
	if !bytes.HasPrefix(text, []byte(hashTag)) {
		return false
	}
	_, ok := transcode.ParseID(string(text))
	return !ok
}

// appendKey puts the key of a document whose id is a hash into its body, as
// canonical extended JSON {"_id": …} in a string (rule S10). buf ends with the
// document, which begins at start.
func appendKey(buf []byte, start int, id bson.RawValue) ([]byte, error) {
	text, err := bson.MarshalExtJSON(bson.D{{Key: "_id", Value: id}}, true, false)
	if err != nil {
		return buf, fmt.Errorf("extended JSON of the _id: %w", err)
	}
	buf = buf[:len(buf)-1]
	if len(buf)-start > 1 {
		buf = append(buf, ',')
	}
	buf = append(buf, `"`+keyField+`":`...)
	return append(transcode.AppendString(buf, string(text)), '}'), nil
}
