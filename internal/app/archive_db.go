package app

import (
	"context"

	"sluice/internal/archive"
	"sluice/internal/cold"
	"sluice/internal/mongo/archivedb"
)

// archiveDB is MongoDB's side as the archive wants it: where a type of its own
// stands for one of archivedb's, it is turned into that.
type archiveDB struct{ *archivedb.DB }

var _ archive.Database = archiveDB{}

// Read opens a cursor over what is old.
func (d archiveDB) Read(ctx context.Context, sel cold.Selection, b cold.Bounds, o archive.ReadOptions) (archive.Cursor, error) {
	c, err := d.DB.Read(ctx, sel, b, archivedb.ReadOptions{BatchDocs: o.BatchDocs, BatchBytes: o.BatchBytes})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Runs reads runs of the journal.
func (d archiveDB) Runs(ctx context.Context, q archive.RunQuery) ([]cold.Run, error) {
	return d.DB.Runs(ctx, archivedb.RunQuery(q))
}

// Packs reads packs of the journal.
func (d archiveDB) Packs(ctx context.Context, q archive.PackQuery) ([]cold.Pack, error) {
	return d.DB.Packs(ctx, archivedb.PackQuery(q))
}

// Begin begins the deletion of a pack.
func (d archiveDB) Begin(ctx context.Context, g cold.Guard) (archive.Deletion, error) {
	del, err := d.DB.Begin(ctx, g)
	if err != nil {
		return nil, err
	}
	return del, nil
}
