package app

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo/archivedb"
)

// restoreHolds puts restored keys on hold. A rule with a soak does not look
// below its high-water mark again, so it is told of them, as of documents that
// had changed: it takes them when the hold is over.
type restoreHolds struct {
	*archivedb.DB
	cfg *config.Config
}

// Hold keeps the rules off keys until a time.
func (h restoreHolds) Hold(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, until time.Time) error {
	if err := h.DB.Hold(ctx, ns, ids, until); err != nil {
		return err
	}
	for i := range h.cfg.Archive {
		a := &h.cfg.Archive[i]
		if !a.Delete || a.Shadow || a.Soak == 0 || !a.Covers(ns.String()) {
			continue
		}
		// No pack has such a name; the rows are only to be read again.
		from := cold.Pack{ID: "restored/" + archiveOwner(), Rule: a.Name, NS: ns.String()}
		rows := make([]cold.Exception, len(ids))
		for n, id := range ids {
			rows[n] = cold.Exception{Pack: from.ID, Entry: n, Outcome: cold.Changed, ID: id}
		}
		if err := h.PutExceptions(ctx, from, rows); err != nil {
			return err
		}
	}
	return nil
}
