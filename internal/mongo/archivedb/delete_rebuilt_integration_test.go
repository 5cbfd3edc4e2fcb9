//go:build integration

package archivedb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// The journal was lost while a pack was half deleted, and its row was written
// anew from the bucket: what is gone may have been deleted by us. Were it told to
// be a user's, a restore would never bring it back (rule A8).
func TestA8WhatIsGoneIsUnknownWithoutTheJournal(t *testing.T) {
	for name, scene := range map[string]func(testing.TB, int) *scene{"transactions": sharedScene, "plain": plainScene} {
		t.Run(name, func(t *testing.T) {
			s := scene(t, 4)
			docs := s.orders(4)
			s.update(2, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: 7}}}})
			for _, id := range []int{0, 3} { // by us, before the journal was lost
				if _, err := s.coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
					t.Fatal(err)
				}
			}
			s.guard.Pack.Rebuilt = true
			fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
			s.must(err)
			s.settled(fates, cold.Unknown, cold.Deleted, cold.Changed, cold.Unknown)
		})
	}
}
