package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// What is missing is missing at a time R, by which it may be deleted: the look
// is taken at R, and tells equal numbers to be one key.
func TestS13MissingAtATime(t *testing.T) {
	srv := newScripted(t, withID(1), withID("x"))
	s := openScripted(t, srv, Options{})
	ids := []bson.RawValue{rawID(t, 1.0), rawID(t, 2), rawID(t, "x"), rawID(t, "y")}
	missing, at, err := s.Missing(t.Context(), scriptedNS, ids)
	if err != nil || len(missing) != 2 || missing[0].AsInt64() != 2 || missing[1].StringValue() != "y" {
		t.Fatal(missing, err)
	}
	finds := srv.Commands("find")
	concern := finds[len(finds)-1].Doc.Lookup("readConcern").Document()
	var got bson.Timestamp
	got.T, got.I, _ = concern.Lookup("atClusterTime").TimestampOK()
	if at.IsZero() || got != at {
		t.Errorf("looked with %s, and says %v", concern, at)
	}
}
