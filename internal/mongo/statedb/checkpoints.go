package statedb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// maxData leaves room in the 16 MB of a document for what stands beside the data.
const maxData = 16<<20 - 64<<10

// Checkpoints keeps the position of one flow in one document, whose _id is the
// flow's name. It is safe from several goroutines and processes.
type Checkpoints struct {
	db   *DB
	flow string
}

var _ checkpoint.Store = (*Checkpoints)(nil)

// checkpointRow is the document.
type checkpointRow struct {
	Flow string `bson:"_id"`
	// Rev is made of chance, not counted: what a restored backup or a second
	// life of the document holds never looks like what somebody knows.
	Rev   string      `bson:"rev"`
	Fence int64       `bson:"fence"`
	Data  bson.Binary `bson:"data"`
	// Saved is for people.
	Saved time.Time `bson:"saved"`
}

// Load reads the record. What it returns is settled: a save of unknown outcome
// that it does not show may only come later, and then makes the next one a
// conflict.
func (s *Checkpoints) Load(ctx context.Context) (checkpoint.Record, error) {
	const op = "load the position of flow"
	var row checkpointRow
	err := s.db.collection(checkpointsColl, latest()).FindOne(ctx, byID(s.flow)).Decode(&row)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return checkpoint.Record{}, nil
	}
	if err != nil {
		return checkpoint.Record{}, s.fault(ctx, op, err, "find")
	}
	if row.Rev == "" {
		return checkpoint.Record{}, &flow.Error{
			Op: op, Object: s.flow, Class: flow.Fatal, Err: fmt.Errorf("its document in %s.%s was not written by sluice", s.db.home.name(), s.db.home.coll(checkpointsColl)),
			Hint: "remove that document; everything is then copied again",
		}
	}
	return checkpoint.Record{Rev: row.Rev, Fence: row.Fence, Data: row.Data.Data}, nil
}

// Save writes the record if the stored one still has the revision r.Rev and no
// higher fencing number, and returns when a majority has it on disk.
func (s *Checkpoints) Save(ctx context.Context, r checkpoint.Record) (checkpoint.Record, error) {
	const op = "save the position of flow"
	if len(r.Data) > maxData {
		return checkpoint.Record{}, &flow.Error{
			Op: op, Object: s.flow, Class: flow.Config, Err: fmt.Errorf("it has %d bytes, and a document of MongoDB at most 16 MB", len(r.Data)),
			Hint: "divide the flow's namespaces between several flows, or use state.store: file or search",
		}
	}
	row := checkpointRow{Flow: s.flow, Rev: rand.Text(), Fence: r.Fence, Data: bson.Binary{Data: r.Data}, Saved: time.Now()}
	save := func() error { return s.replace(ctx, op, row, r.Rev) }
	if r.Rev == "" {
		save = func() error { return s.create(ctx, op, row) }
	}
	if err := save(); err != nil {
		return checkpoint.Record{}, err
	}
	r.Rev = row.Rev
	return r, nil
}

func (s *Checkpoints) create(ctx context.Context, op string, row checkpointRow) error {
	_, err := s.db.collection(checkpointsColl).InsertOne(ctx, row)
	if mongo.IsDuplicateKeyError(err) {
		return s.conflict(op, "it is there by now")
	}
	return s.fault(ctx, op, err, "insert")
}

// replace is an update and no replacement: who follows the whole deployment is
// then sent an event without the position in it.
func (s *Checkpoints) replace(ctx context.Context, op string, row checkpointRow, known string) error {
	res, err := s.db.collection(checkpointsColl).UpdateOne(ctx,
		append(byID(s.flow),
			bson.E{Key: "rev", Value: known},
			bson.E{Key: "fence", Value: bson.D{{Key: "$lte", Value: row.Fence}}}),
		bson.D{{Key: "$set", Value: bson.D{
			{Key: "rev", Value: row.Rev},
			{Key: "fence", Value: row.Fence},
			{Key: "data", Value: row.Data},
			{Key: "saved", Value: row.Saved},
		}}})
	if err != nil {
		return s.fault(ctx, op, err, "update")
	}
	if res.MatchedCount == 0 {
		return s.conflict(op, "its document is not as it was")
	}
	return nil
}

func (s *Checkpoints) conflict(op, why string) error {
	return &flow.Error{
		Op: op, Object: s.flow, Class: flow.Conflict, Err: fmt.Errorf("%s: %w", why, checkpoint.ErrConflict),
		Hint: "another process writes this position, or the document was removed: run one instance per flow, then start again",
	}
}

func (s *Checkpoints) fault(ctx context.Context, op string, err error, actions ...string) error {
	return fault(ctx, op, s.flow, err, right{s.db.home, checkpointsColl, actions})
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }
