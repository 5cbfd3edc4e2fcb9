//go:build integration

package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/testkit"
)

// TestWaitingReplicaIsReady: who waits for the lease of a rule, as the second pod
// does, is ready; and takes over when the first one leaves.
func TestWaitingReplicaIsReady(t *testing.T) {
	s := newColdStage(t, "archive: [{name: RULE, namespace: DB.orders, field: at, older_than: 1y, timezone: UTC, to: 'file://DIR', max_share: 1}]\n")
	s.fill(t, "orders", 10)
	l := s.hold(t)

	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := port.Addr().String()
	_ = port.Close()
	s.o.Config.HTTP.Listen, s.o.Config.HTTP.Probes = "", addr
	a := New(Options{Config: s.o.Config, Logger: s.o.Logger})
	ended, drain := make(chan error, 1), make(chan struct{})
	go func() { ended <- a.Run(t.Context(), drain) }()

	waiting := func() error {
		st := a.archiveStatus()
		if len(st) != 1 || len(st[0].Collections) != 1 || st[0].Collections[0].State != "waiting for the lease" {
			return fmt.Errorf("it does not wait: %+v", st)
		}
		return nil
	}
	testkit.Eventually(t, time.Minute, waiting)
	code, body, err := probe(t.Context(), addr, "/readyz")
	if err != nil || code != http.StatusOK || body != "ready\n" {
		t.Errorf("waiting: %d %q %v", code, body, err)
	}
	if err := waiting(); err != nil || s.count(t, "orders") != 20 {
		t.Errorf("it did not wait: %v", err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, func() error {
		if n := s.count(t, "orders"); n != 10 {
			return fmt.Errorf("%d documents", n)
		}
		return nil
	})
	close(drain)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, _, err := probe(t.Context(), addr, "/healthz"); err == nil {
		t.Error("the probes are still answered")
	}
}

// hold takes the lease of the only rule, as another process.
func (s coldStage) hold(t *testing.T) *lease.Lease {
	t.Helper()
	db, err := s.o.openDB(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDB(context.WithoutCancel(t.Context()), db) })
	rule := archiveRule(&s.o.Config.Archive[0], flow.Namespace{DB: s.db.Name(), Coll: "orders"})
	l, err := lease.Acquire(t.Context(), lease.Options{Store: db.Leases(), Name: rule.LeaseName(), Owner: "the first", Logger: s.o.Logger})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// probe asks as a supervisor does.
func probe(ctx context.Context, addr, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}
