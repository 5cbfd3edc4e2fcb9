package mongo

import (
	"bytes"
	"encoding/hex"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// tokenInfo is what a resume token says of itself.
type tokenInfo struct {
	time bson.Timestamp
	// high: a high-water mark, which stands for a time and no event, and fits
	// every pipeline.
	high bool
}

// readToken reads the text of a resume token: 82, the time, 2B and a version,
// then 29 (zero) for a high-water mark and something else for an event. ok is
// false for what is no token of MongoDB.
func readToken(token bson.Raw) (info tokenInfo, ok bool) {
	text, ok := token.Lookup("_data").StringValueOK()
	if !ok || len(text) < 18 {
		return info, false
	}
	var b [12]byte
	n, err := hex.Decode(b[:], []byte(text[:min(len(text), 24)&^1]))
	if err != nil || b[0] != 0x82 {
		return info, false
	}
	be := func(b []byte) uint32 {
		return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	info.time = bson.Timestamp{T: be(b[1:]), I: be(b[5:])}
	info.high = n == 12 && b[9] == 0x2b && b[11] == 0x29
	return info, true
}

// mark is a place in the stream.
type mark struct {
	// token leads back here; nil says: start at time, inclusive.
	token bson.Raw
	time  bson.Timestamp
	high  bool
	// invalidate: the token is that of an invalidate event, which only
	// startAfter takes.
	invalidate bool
	// passed: every event up to this time, inclusive, lies before the mark.
	passed bson.Timestamp
}

// markAt makes a mark of a token, which it copies: a token is a view into a
// reply. Nothing is known to be passed but what lies before its time.
func markAt(token bson.Raw) (mark, bool) {
	info, ok := readToken(token)
	if !ok {
		return mark{}, false
	}
	return mark{token: bytes.Clone(token), time: info.time, high: info.high, passed: before(info.time)}, true
}

// before returns the time just before t.
func before(t bson.Timestamp) bson.Timestamp {
	if t.I > 0 {
		return bson.Timestamp{T: t.T, I: t.I - 1}
	}
	if t.T == 0 {
		return t
	}
	return bson.Timestamp{T: t.T - 1, I: ^uint32(0)}
}

// later returns the later of two times.
func later(a, b bson.Timestamp) bson.Timestamp {
	if b.After(a) {
		return b
	}
	return a
}
