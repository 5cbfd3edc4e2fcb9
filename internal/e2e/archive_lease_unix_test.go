//go:build integration && unix

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/testkit"
)

// TestA2ArchiveTwoProcesses: of two processes on one rule one works and the
// other waits. The first is frozen past its lease: the second goes on. Woken in
// the middle of that, the first writes, commits and deletes nothing more.
func TestA2ArchiveTwoProcesses(t *testing.T) {
	t.Parallel()
	server := testkit.SharedS3(t)
	proxy, err := testkit.NewS3Proxy(server.Endpoint()) // hears what the first asks for
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	const docs = 3000
	v := newVault(t, vaultOptions{
		S3: server, Endpoint: proxy.Endpoint(),
		Rule: ", pack_size: 1MB, batch: {docs: 100}, limits: {docs_per_second: 300}",
	})
	v.fill(t, docs, 3000)
	before := v.raw(t)

	first := launch(t, "archive", "run", "--once", "-c", v.file)
	first.eventually(t, time.Minute, func() error { return v.fencedBy(t, 1, "pack that is deleted", cold.PackDeleting, cold.PackClosed) })
	second := launch(t, "archive", "run", "--once", "-c", v.variant(t, proxy.Endpoint(), server.Endpoint()))
	was := len(v.packsIn(t, cold.PackClosed))
	first.eventually(t, time.Minute, func() error {
		if n := len(v.packsIn(t, cold.PackClosed)); n < was+2 {
			return fmt.Errorf("%d packs are closed, %d were when the second came", n, was)
		}
		return nil
	})
	first.freeze(t, v)
	frozen := time.Now()
	owner := v.lease(t)
	if owner.Fence != 1 {
		t.Fatalf("while the first works the lease is %+v", owner)
	}
	sessions := v.ledger(t)
	calls := len(proxy.Calls())

	second.eventually(t, 2*time.Minute, func() error { return v.fencedBy(t, 2, "pack of the second") })
	if took := time.Since(frozen); took < 20*time.Second {
		t.Errorf("the lease of 30 s was taken over after %s", took)
	}
	wakeAt := v.now(t)
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code := first.wait(t, time.Minute); code != 1 {
		t.Errorf("the first ends with exit code %d", code)
	}
	select {
	case <-second.done:
		t.Error("the second was done before the first was woken: nothing is proven")
	default:
	}
	wantWords(t, lastWords(first.output()), "lease", v.rule)
	if code := second.wait(t, 2*time.Minute); code != 0 {
		t.Fatalf("the second ends with exit code %d\n%s", code, tail(second.output(), 3000))
	}

	for _, call := range proxy.Calls()[calls:] {
		if strings.HasPrefix(call, "Put") || strings.HasPrefix(call, "Upload") || strings.HasPrefix(call, "Complete") || strings.HasPrefix(call, "Delete") {
			t.Errorf("the first asked for %s after it was woken", call)
		}
	}
	if n := v.deletesBy(t, sessions, bson.Timestamp{}); n == 0 {
		t.Error("the first has deleted nothing at all: nothing is proven")
	}
	if n := v.deletesBy(t, sessions, wakeAt); n != 0 {
		t.Errorf("the first deleted %d times after it was woken", n)
	}
	if l := v.lease(t); l.Fence != 2 || l.Owner != "" {
		t.Errorf("the lease is %+v at the end", l)
	}
	if left := v.packsIn(t, atWork()...); len(left) > 0 {
		t.Errorf("left unfinished: %+v", left)
	}
	if n := v.count(t); n != docs {
		t.Errorf("%d documents are left", n)
	}
	v.must(t, "archive", "verify", "--deep")
	v.must(t, "restore", "--all")
	wantSame(t, v.raw(t), before)
}

// fencedBy is nil when a pack has the fencing number, and one of states if any
// are given.
func (v *vault) fencedBy(t *testing.T, fence int64, what string, states ...cold.PackState) error {
	t.Helper()
	all, err := v.packs(t.Context())
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Fence == fence && (len(states) == 0 || slices.Contains(states, p.State)) {
			return nil
		}
	}
	return fmt.Errorf("there is no %s", what)
}

// leaseRow is the row of a lease.
type leaseRow struct {
	Owner string
	Fence int64
}

func (v *vault) lease(t *testing.T) leaseRow {
	t.Helper()
	var l leaseRow
	if err := v.own("leases").FindOne(t.Context(), bson.D{{Key: "_id", Value: "archive/" + v.rule + "/" + v.ns()}}).Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}

// ledger returns the sessions that have deleted for the rule.
func (v *vault) ledger(t *testing.T) bson.A {
	t.Helper()
	cur, err := v.own("archive_ledger").Find(t.Context(), bson.D{{Key: "rule", Value: v.rule}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []cold.LedgerRow
	if err := cur.All(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	ids := bson.A{}
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

// now is the cluster time.
func (v *vault) now(t *testing.T) bson.Timestamp {
	t.Helper()
	var r struct{ OperationTime bson.Timestamp }
	if err := v.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Decode(&struct{}{}); err != nil {
		t.Fatal(err)
	}
	if err := v.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r.OperationTime
}

// deletesBy counts the transactions of sessions in the oplog after a time.
func (v *vault) deletesBy(t *testing.T, sessions bson.A, after bson.Timestamp) int64 {
	t.Helper()
	n, err := v.client.Database("local").Collection("oplog.rs").CountDocuments(t.Context(), bson.D{
		{Key: "ts", Value: bson.D{{Key: "$gt", Value: after}}}, {Key: "lsid.id", Value: bson.D{{Key: "$in", Value: sessions}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// freeze stops the process at a moment at which it has no transaction open: one
// would hold the row of the lease until the server ends it, a minute later.
func (p *process) freeze(t *testing.T, v *vault) {
	t.Helper()
	p.eventually(t, time.Minute, func() error {
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		cur, err := v.client.Database("admin").Aggregate(t.Context(), mongo.Pipeline{
			{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleSessions", Value: true}}}},
			{{Key: "$match", Value: bson.D{{Key: "transaction", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "lsid.id", Value: bson.D{{Key: "$in", Value: v.ledger(t)}}}}}},
		})
		if err != nil {
			return err
		}
		var open []bson.Raw
		if err := cur.All(t.Context(), &open); err != nil || len(open) == 0 {
			return err
		}
		return errors.Join(fmt.Errorf("%d transactions are open", len(open)), p.cmd.Process.Signal(syscall.SIGCONT))
	})
}
