package archivedb

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

const (
	sampleDocs = 10_000
	// strayDocs bounds how many documents of a wrong type are looked at.
	strayDocs = 20_000
)

// byType groups by the BSON type of the field. Through arrays of embedded
// documents a path gives an array, whatever it finds there.
func (q question) byType() bson.D {
	return bson.D{{Key: "$group", Value: bson.D{
		{Key: "_id", Value: bson.D{{Key: "$type", Value: "$" + q.sel.Field}}},
		{Key: "n", Value: bson.D{{Key: "$sum", Value: 1}}},
	}}}
}

// censusOfAll looks at all documents.
func (q question) censusOfAll(ctx context.Context, s *cold.Survey) error {
	groups, err := q.aggregate(ctx, "count the types in", nil, q.byType())
	if err != nil {
		return err
	}
	enter(s, groups)
	return nil
}

// censusOfSome looks at a sample, and by the index at what sorts outside the
// right type: one wrong value among a billion is found there. Arrays have
// entries of the types in them; that they are there Multikey tells, and an
// index without arrays says that there are none.
func (q question) censusOfSome(ctx context.Context, s *cold.Survey) error {
	groups, err := q.aggregate(ctx, "take a sample of", nil,
		bson.D{{Key: "$sample", Value: bson.D{{Key: "size", Value: q.size}}}}, q.byType())
	if err != nil {
		return err
	}
	enter(s, groups)
	if s.Index == "" {
		return nil
	}
	strays := bson.D{{Key: q.sel.Field, Value: bson.D{{Key: "$type", Value: strange(q.sel.Kind)}}}}
	groups, err = q.aggregate(ctx, "look for other types in", q.hint,
		bson.D{{Key: "$match", Value: strays}}, bson.D{{Key: "$limit", Value: strayDocs}}, q.byType())
	if err != nil {
		return err
	}
	enter(s, groups)
	// Missing ones are in the index as null, unless it is sparse or partial.
	none := bson.D{{Key: q.sel.Field, Value: nil}}
	if q.sparse(s) {
		return nil
	}
	groups, err = q.aggregate(ctx, "look for missing fields in", q.hint,
		bson.D{{Key: "$match", Value: none}}, bson.D{{Key: "$limit", Value: strayDocs}}, q.byType())
	if err != nil {
		return err
	}
	enter(s, groups)
	return nil
}

// sparse tells whether the index of the read leaves out who has no such field.
func (q question) sparse(s *cold.Survey) bool {
	for _, ix := range s.Indexes {
		if name, _ := ix.Lookup("name").StringValueOK(); name == s.Index {
			sparse := ix.Lookup("sparse")
			return sparse.Type != 0 && truthy(sparse) || ix.Lookup("partialFilterExpression").Type != 0
		}
	}
	return true
}

// enter adds a count to the census: of what was seen twice the larger one.
func enter(s *cold.Survey, groups []bson.Raw) {
	if s.Census == nil {
		s.Census = map[string]int64{}
	}
	for _, g := range groups {
		name, _ := g.Lookup("_id").StringValueOK()
		n, _ := g.Lookup("n").AsInt64OK()
		if n > s.Census[name] {
			s.CensusOf += n - s.Census[name]
			s.Census[name] = n
		}
	}
}

// strange are the types that sort outside those of k; null and missing, which
// also stand for each other in an index, are asked for on their own.
func strange(k cold.AgeKind) bson.A {
	right := "number"
	switch k {
	case cold.AgeDate:
		right = "date"
	case cold.AgeObjectID:
		right = "objectId"
	case cold.AgeSeconds, cold.AgeMillis, cold.AgeMicros, cold.AgeNanos:
	}
	types := bson.A{}
	for _, t := range []string{
		"minKey", "number", "string", "symbol", "object", "binData", "objectId", "bool", "date",
		"timestamp", "regex", "dbPointer", "javascript", "javascriptWithScope", "maxKey", "undefined",
	} {
		if t != right {
			types = append(types, t)
		}
	}
	return types
}
