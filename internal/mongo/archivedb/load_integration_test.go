//go:build integration

package archivedb

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

func TestA7LoadOfASetOfOne(t *testing.T) {
	db := openDB(t)
	l, err := db.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !l.LagKnown || l.Lag != 0 || !l.WindowKnown || l.Window < 0 || !l.LoadKnown || l.FlowControlled || l.Queued < 0 || len(l.Missing) != 0 {
		t.Errorf("%+v", l)
	}
	if l.Dirty < 0 || l.Dirty > 1 {
		t.Errorf("%v of the cache is dirty", l.Dirty)
	}
}

func TestA7LagOfAMemberThatStandsStill(t *testing.T) {
	m, err := testkit.StartMongo(context.Background(), testkit.MongoOptions{Nodes: 3, FailPoints: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	db := openAt(t, m.URI())
	ctx := context.Background()
	ns := freshNS(t, db)
	primary, err := m.Primary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	slow := (primary + 1) % 3
	client, err := mongo.Connect(options.Client().ApplyURI(m.DirectURI(slow)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(ctx) })
	stop := func(mode string) {
		t.Helper()
		cmd := bson.D{{Key: "configureFailPoint", Value: "rsSyncApplyStop"}, {Key: "mode", Value: mode}}
		if err := client.Database("admin").RunCommand(ctx, cmd).Err(); err != nil {
			t.Fatal(err)
		}
	}
	stop("alwaysOn")
	testkit.Eventually(t, time.Minute, func() error {
		insert(t, db, ns, bson.D{{Key: "at", Value: day(1)}})
		l, err := db.Load(ctx)
		switch {
		case err != nil:
			return err
		case !l.LagKnown || l.Lag < 3*time.Second:
			return errLag
		}
		return nil
	})
	stop("off")
	testkit.Eventually(t, time.Minute, func() error {
		if l, err := db.Load(ctx); err != nil || !l.LagKnown || l.Lag > 2*time.Second {
			return errLag
		}
		return nil
	})
}

type lagError string

func (e lagError) Error() string { return string(e) }

const errLag = lagError("the lag is not as it should be")
