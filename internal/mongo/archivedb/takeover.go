package archivedb

import (
	"context"
	"log/slog"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// endDeletes ends the sessions in which a silent owner of a lease was deleting.
// A transaction that its death has left open would hold the lease's row and up
// to 1,000 documents until the server gives it up, after a minute; of an owner
// that is only frozen it aborts what that may not do any more. Failing harms
// nothing but the time that this takes.
func (db *DB) endDeletes(ctx context.Context, leaseName string) {
	rule, ns, ok := strings.Cut(strings.TrimPrefix(leaseName, "archive/"), "/")
	if !ok {
		return
	}
	packs, err := db.Packs(ctx, PackQuery{Rule: rule, NS: ns, States: []cold.PackState{cold.PackDeleting}})
	if err != nil || len(packs) == 0 {
		return
	}
	ids := make([]string, len(packs))
	for i := range packs {
		ids[i] = packs[i].ID
	}
	ledger, err := rows[cold.LedgerRow](ctx, db, ledgerColl, "read the ledger", among(bson.D{}, "pack", ids))
	if err != nil {
		return
	}
	var sessions bson.A
	for _, r := range ledger {
		if len(r.Keys) == 0 { // else it is of deletes without transactions
			sessions = append(sessions, bson.D{{Key: "id", Value: r.ID}})
		}
	}
	if len(sessions) == 0 { // none named would mean all of this user
		return
	}
	err = db.client.Database("admin").RunCommand(ctx, bson.D{{Key: "killSessions", Value: sessions}}).Err()
	if err != nil {
		db.log.Warn("the transactions of a silent owner could not be ended; the server does so after a minute",
			"lease", leaseName, slog.Any(flow.LogErr, err))
	}
}
