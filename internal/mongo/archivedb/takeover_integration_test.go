//go:build integration

package archivedb

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/lease"
)

// An owner that was killed inside a delete transaction holds up neither who
// takes over nor the users of its documents.
func TestA2TakeoverEndsTheDeletesOfADeadOwner(t *testing.T) {
	db := openDB(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const name = "archive/old/shop.orders"
	was := lease.Row{Name: name, Owner: "dead", Fence: 1, Beat: 1, TTL: time.Second}
	if err := db.Leases().Save(ctx, lease.Row{}, was); err != nil {
		t.Fatal(err)
	}
	p := cold.Pack{ID: "p1", Run: "r1", Rule: "old", NS: "shop.orders", State: cold.PackDeleting, Fence: 1}
	if err := db.PutPack(ctx, p, ""); err != nil {
		t.Fatal(err)
	}
	s, err := db.client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	subtype, id, _ := s.ID().Lookup("id").BinaryOK()
	if err := db.putLedger(ctx, cold.LedgerRow{ID: bson.Binary{Subtype: subtype, Data: id}, NS: p.NS, Rule: p.Rule, Pack: p.ID}); err != nil {
		t.Fatal(err)
	}
	d := Deletion{db: db, session: s, guard: cold.Guard{Pack: p, Fence: cold.Fence{Lease: name, Owner: "dead", Number: 1}}}
	if err := s.StartTransaction(snapshotMajority()); err != nil {
		t.Fatal(err)
	}
	if err := d.beat(mongo.NewSessionContext(ctx, s)); err != nil {
		t.Fatal(err)
	}
	// Here it dies.
	start := time.Now()
	next := lease.Row{Name: name, Owner: "heir", Fence: 2, Beat: 2, TTL: time.Second}
	if err := db.Leases().Save(ctx, was, next); err != nil {
		t.Fatalf("after %v: %v", time.Since(start), err)
	}
	if err := s.CommitTransaction(ctx); err == nil {
		t.Error("the dead owner's transaction was committed")
	}
}
