package mongo

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TokenTime returns the cluster time that a resume token says of itself; false
// for what is no token of MongoDB 4.2 or newer.
func TokenTime(token bson.Raw) (bson.Timestamp, bool) {
	if token.Validate() != nil {
		return bson.Timestamp{}, false
	}
	info, ok := readToken(token)
	return info.time, ok
}

// TokenAfter returns the text of the resume token of a high-water mark: a change
// stream of any width that resumes after it brings every event that is later than
// t, and none of t.
func TokenAfter(t bson.Timestamp) string {
	next := bson.Timestamp{T: t.T, I: t.I + 1}
	if next.I == 0 {
		next.T++
	}
	// 82: a timestamp; 2B02: version 1; 29 and 29: no event, at no place in a
	// transaction; 6E: not made of an invalidate; 04: the end.
	return fmt.Sprintf("82%08X%08X2B0229296E04", next.T, next.I)
}
