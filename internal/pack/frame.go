package pack

import (
	"encoding/binary"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Frame is one independent piece of a pack. Documents never cross its ends.
type Frame struct {
	// Offset and Bytes place it in the object.
	Offset, Bytes int64
	// RawOffset and RawBytes place what it holds in the BSON stream.
	RawOffset, RawBytes int64
}

// docLen returns the length of the first document of b, by its first four
// bytes; it fails if b does not hold that much, or no document ends there.
func docLen(b []byte) (int, error) {
	if len(b) < minDoc {
		return 0, fmt.Errorf("%d bytes hold no BSON document", len(b))
	}
	n := int64(binary.LittleEndian.Uint32(b))
	switch {
	case n < minDoc || n > maxDoc:
		return 0, fmt.Errorf("a BSON document of %d bytes is told", n)
	case n > int64(len(b)):
		return 0, fmt.Errorf("a BSON document of %d bytes is told, and %d are there", n, len(b))
	case b[n-1] != 0:
		return 0, fmt.Errorf("a BSON document of %d bytes ends with 0x%02x, not with 0x00", n, b[n-1])
	}
	return int(n), nil
}

// checkDocs fails unless raw is whole documents.
func checkDocs(raw []byte) error {
	for at := 0; at < len(raw); {
		n, err := docLen(raw[at:])
		if err != nil {
			return fmt.Errorf("at byte %d of the frame: %w", at, err)
		}
		at += n
	}
	return nil
}

// idOf returns the _id of a document.
func idOf(doc bson.Raw) (bson.RawValue, error) {
	v, err := doc.LookupErr("_id")
	if err != nil {
		return bson.RawValue{}, fmt.Errorf("_id: %w", err)
	}
	return v, nil
}
