package statedb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/deadletter"
	"sluice/internal/flow"
)

// maxRows is how many rows one request writes: at most 1,000 letters of some
// 4 KB, far below what a request may hold.
const maxRows = 1000

// DeadLetters keeps the dead letters of one flow, one document per namespace
// and key. One goroutine uses it at a time.
type DeadLetters struct {
	db   *DB
	flow string
}

var _ deadletter.Store = (*DeadLetters)(nil)

// letterRow is a letter as it is kept: with fields that people can ask for.
type letterRow struct {
	ID      string         `bson:"_id"`
	Flow    string         `bson:"flow"`
	DB      string         `bson:"db"`
	Coll    string         `bson:"coll"`
	Key     string         `bson:"key"`
	RawID   string         `bson:"raw_id"`
	Op      string         `bson:"op"`
	Version int64          `bson:"version"`
	Time    bson.Timestamp `bson:"cluster_time"`
	Reason  string         `bson:"reason"`
	Error   string         `bson:"error,omitempty"`
	At      time.Time      `bson:"at"` // in milliseconds
}

func (s *DeadLetters) row(l *deadletter.Letter) letterRow {
	return letterRow{
		ID: s.id(l.Key), Flow: s.flow, DB: l.NS.DB, Coll: l.NS.Coll, Key: l.ID, RawID: l.RawID, Op: l.Op,
		Version: l.Version, Time: l.Time, Reason: l.Reason, Error: l.Error, At: l.At,
	}
}

func (r *letterRow) letter() deadletter.Letter {
	return deadletter.Letter{
		Key:   deadletter.Key{NS: flow.Namespace{DB: r.DB, Coll: r.Coll}, ID: r.Key},
		RawID: r.RawID, Op: r.Op, Version: r.Version, Time: r.Time, Reason: r.Reason, Error: r.Error, At: r.At.UTC(),
	}
}

// id is the flow and what stands for the key, which may be long. Names of flows
// have no slash.
func (s *DeadLetters) id(k deadletter.Key) string { return s.flow + "/" + k.Hash() }

// all finds the rows of the flow by the index of _id alone; 0 follows the slash.
func (s *DeadLetters) all() bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: s.flow + "/"}, {Key: "$lt", Value: s.flow + "0"}}}}
}

// Put writes letters; each replaces the one of its key. When it returns nil, a
// majority has them on disk.
func (s *DeadLetters) Put(ctx context.Context, letters []deadletter.Letter) error {
	models := make([]mongo.WriteModel, len(letters))
	for i := range letters {
		row := s.row(&letters[i])
		models[i] = mongo.NewReplaceOneModel().SetFilter(byID(row.ID)).SetReplacement(row).SetUpsert(true)
	}
	return s.write(ctx, "write dead letters of flow", models, "insert", "update")
}

// Remove takes the letters of keys away; keys without one are no error.
func (s *DeadLetters) Remove(ctx context.Context, keys []deadletter.Key) error {
	models := make([]mongo.WriteModel, len(keys))
	for i, k := range keys {
		// One by one, and not by $in: such a write the driver repeats by itself
		// when the primary goes.
		models[i] = mongo.NewDeleteOneModel().SetFilter(byID(s.id(k)))
	}
	return s.write(ctx, "remove dead letters of flow", models, "remove")
}

func (s *DeadLetters) write(ctx context.Context, op string, models []mongo.WriteModel, actions ...string) error {
	for len(models) > 0 {
		n := min(len(models), maxRows)
		if err := s.writeSome(ctx, models[:n]); err != nil {
			return s.fault(ctx, op, err, actions...)
		}
		models = models[n:]
	}
	return nil
}

func (s *DeadLetters) writeSome(ctx context.Context, models []mongo.WriteModel) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := s.db.collection(deadLettersColl).BulkWrite(ctx, models)
	return err
}

// Load calls f with every letter of the flow, in no order, until f returns an
// error, which it returns. It sees every Put that has returned, also one
// before an election.
func (s *DeadLetters) Load(ctx context.Context, f func(deadletter.Letter) error) error {
	const op = "load dead letters of flow"
	// Within a session the second question can't be answered with a past that
	// is older than the answer to the first.
	session, err := s.db.client.StartSession(options.Session().SetCausalConsistency(true))
	if err != nil {
		return s.fault(ctx, op, err, "find")
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	ctx = mongo.NewSessionContext(ctx, session)
	if err := s.barrier(ctx); err != nil {
		return s.fault(ctx, op, err, "find")
	}
	cur, err := s.db.collection(deadLettersColl).Find(ctx, s.all())
	if err != nil {
		return s.fault(ctx, op, err, "find")
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	for cur.Next(ctx) {
		var row letterRow
		if err := cur.Decode(&row); err != nil {
			return &flow.Error{
				Op: op, Object: s.flow, Class: flow.Fatal, Err: fmt.Errorf("the document %s of %s.%s is no letter: %w", cur.Current.Lookup("_id"), s.db.home.name(), s.db.home.coll(deadLettersColl), err),
				Hint: "remove that document",
			}
		}
		if err := f(row.letter()); err != nil {
			return err
		}
	}
	return s.fault(ctx, op, cur.Err(), "find")
}

// barrier returns when a majority has all that the primary has.
func (s *DeadLetters) barrier(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := s.db.collection(deadLettersColl, latest()).FindOne(ctx, byID(s.flow+"/")).Err()
	if errors.Is(err, mongo.ErrNoDocuments) { // there never is one
		return nil
	}
	return err
}

// Probe writes a row that is no letter and removes it, so that a missing right
// shows at the start and not with the first dead letter.
func (s *DeadLetters) Probe(ctx context.Context) error {
	id := byID(".probe/" + s.flow)
	put := mongo.NewReplaceOneModel().SetFilter(id).SetReplacement(id).SetUpsert(true)
	if err := s.write(ctx, "try to write dead letters of flow", []mongo.WriteModel{put}, "insert", "update"); err != nil {
		return err
	}
	remove := mongo.NewDeleteOneModel().SetFilter(id)
	return s.write(ctx, "try to remove dead letters of flow", []mongo.WriteModel{remove}, "remove")
}

func (s *DeadLetters) fault(ctx context.Context, op string, err error, actions ...string) error {
	return fault(ctx, op, s.flow, err, right{s.db.home, deadLettersColl, actions})
}
