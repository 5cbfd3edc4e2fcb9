package archivedb

import (
	"context"

	"sluice/internal/governor"
)

// Load tells how the live database is doing (rule A7), as vitals.Vitals does.
func (db *DB) Load(ctx context.Context) (governor.Load, error) { return db.vitals.Load(ctx) }

// OplogFull tells whether the oplog has reached its size, as vitals.Vitals does.
func (db *DB) OplogFull(ctx context.Context) (bool, error) { return db.vitals.OplogFull(ctx) }
