package archivedb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/lease"
)

// LeaseStore keeps leases in MongoDB, beside what they guard: a delete
// transaction increments the beat of its row, under its fencing number (rule
// A2). It is safe from several goroutines and processes.
type LeaseStore struct{ db *DB }

// leaseRow is a lease.Row as it is kept.
type leaseRow struct {
	Name  string `bson:"_id"`
	Owner string `bson:"owner"`
	Fence int64  `bson:"fence"`
	Beat  int64  `bson:"beat"`
	TTL   int64  `bson:"ttl_ms"`
}

// Leases returns the store of leases.
func (db *DB) Leases() *LeaseStore { return &LeaseStore{db} }

// Load returns the row, or a Row with only its Name if there is none.
func (s *LeaseStore) Load(ctx context.Context, name string) (lease.Row, error) {
	var row leaseRow
	err := s.db.coll(leasesColl).FindOne(ctx, bson.D{{Key: "_id", Value: name}}).Decode(&row)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return lease.Row{Name: name}, nil
	}
	if err != nil {
		return lease.Row{}, s.db.ownFault("read the lease", leasesColl, err)
	}
	ttl := time.Duration(row.TTL) * time.Millisecond
	return lease.Row{Name: name, Owner: row.Owner, Fence: row.Fence, Beat: row.Beat, TTL: ttl}, nil
}

// Save puts next in the place of old: see lease.Store.
func (s *LeaseStore) Save(ctx context.Context, old, next lease.Row) error {
	const op = "write the lease"
	row := leaseRow{Name: next.Name, Owner: next.Owner, Fence: next.Fence, Beat: next.Beat, TTL: next.TTL.Milliseconds()}
	if old.Owner == "" && old.Fence == 0 && old.Beat == 0 {
		_, err := s.db.coll(leasesColl).InsertOne(ctx, row)
		if mongo.IsDuplicateKeyError(err) {
			return conflict(op, next.Name, lease.ErrConflict, "it is there by now")
		}
		return s.db.ownFault(op, leasesColl, err)
	}
	if old.Owner != "" && next.Fence > old.Fence {
		s.db.endDeletes(ctx, next.Name)
	}
	// A transaction that is going to increment the beat holds the row; this
	// write waits for its end, and then no longer matches.
	res, err := s.db.coll(leasesColl).ReplaceOne(ctx, bson.D{
		{Key: "_id", Value: next.Name},
		{Key: "owner", Value: old.Owner},
		{Key: "fence", Value: old.Fence},
		{Key: "beat", Value: old.Beat},
	}, row)
	if err != nil {
		return s.db.ownFault(op, leasesColl, err)
	}
	if res.MatchedCount == 0 {
		return conflict(op, next.Name, lease.ErrConflict, "its row is not as it was")
	}
	return nil
}
