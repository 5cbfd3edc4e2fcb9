package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"sluice/internal/flow"
)

// The bounds of an answer to a question on the side.
const (
	askedDocs  = 10_000
	askedBytes = 16 << 20
)

// Question asks for documents of any collection; only Filter must be set.
type Question struct {
	Filter, Projection, Sort bson.Raw
	// Limit is 0 for none.
	Limit int64
}

// Find answers a question as a majority has it now. It has nothing to do with what
// the source follows. An answer of too many documents is an error.
func (s *Source) Find(ctx context.Context, ns flow.Namespace, q Question) ([]bson.Raw, error) {
	filter := q.Filter
	if filter == nil {
		filter = bson.Raw{5, 0, 0, 0, 0}
	}
	o := options.Find().SetLimit(q.Limit)
	if q.Projection != nil {
		o.SetProjection(q.Projection)
	}
	if q.Sort != nil {
		o.SetSort(q.Sort)
	}
	cursor, err := s.asked(ns).Find(ctx, filter, o)
	return s.answer(ctx, ns, cursor, err)
}

// Aggregate is Find by the stages of an aggregation.
func (s *Source) Aggregate(ctx context.Context, ns flow.Namespace, stages []bson.Raw) ([]bson.Raw, error) {
	if stages == nil {
		stages = []bson.Raw{}
	}
	cursor, err := s.asked(ns).Aggregate(ctx, stages)
	return s.answer(ctx, ns, cursor, err)
}

func (s *Source) asked(ns flow.Namespace) *mongo.Collection {
	return s.client.Database(ns.DB).Collection(ns.Coll, options.Collection().SetReadConcern(readconcern.Majority()))
}

func (s *Source) answer(ctx context.Context, ns flow.Namespace, cursor *mongo.Cursor, err error) ([]bson.Raw, error) {
	if err != nil {
		return nil, s.denied(fault("ask for documents of", ns.String(), err))
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	var out []bson.Raw
	size := 0
	for cursor.Next(ctx) {
		doc := append(bson.Raw(nil), cursor.Current...)
		if size += len(doc); size > askedBytes || len(out) >= askedDocs {
			return nil, &flow.Error{
				Op: "ask for documents of", Object: ns.String(), Class: flow.Document,
				Err: errors.New("the answer has more than 10,000 documents, or 16 MB"), Hint: "give a limit, or select fewer fields",
			}
		}
		out = append(out, doc)
	}
	if err := cursor.Err(); err != nil {
		return nil, s.denied(fault("ask for documents of", ns.String(), err))
	}
	return out, nil
}
