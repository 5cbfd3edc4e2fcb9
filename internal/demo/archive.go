package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// setup is the configuration that the reader sees; the flow is that of the
// command line before, and goes on where it stood.
const setup = `mongodb: {uri: %q}
search:  {urls: [%q]}
state:   {path: %s}
flows:
  - name: sync
    namespaces: [shop.orders]
    on: {archive: mark}    # what is archived stays in the index, marked
archive:
  - name: old-orders
    namespace: shop.orders
    field: placed
    older_than: 365d
    to: file://%s           # or s3://bucket/prefix
    schedule: {cron: "30 2 * * *"}
`

// The order that is followed through the archive; no other one has both.
const (
	oldCustomer = "customer-10"
	oldTotal    = 10.07
)

// archiving starts the flow with a configuration, and shows the archive: away,
// found, and back. The returned function ends the flow.
func (d *demo) archiving(ctx context.Context, step int, listen string) (stop func() error, err error) {
	d.say("\n%d. Archive: orders older than a year are to leave MongoDB. One file says what is synced and what is archived;\n"+
		"   the flow goes on from where the command above has left it", step)
	if err := d.configure(ctx); err != nil {
		return nil, err
	}
	run := d.sluice(ctx, "run", "--config", d.file(), "--listen", listen)
	if err := run.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		_ = run.Process.Signal(syscall.SIGTERM)
		return run.Wait()
	}
	if err := d.awayAndBack(ctx, step+1); err != nil {
		_ = stop()
		return nil, fmt.Errorf("%w\n%s", err, d.logTail())
	}
	return stop, nil
}

func (d *demo) file() string { return filepath.Join(d.dir, "sluice.yaml") }

// configure writes the configuration, shows it, and makes the index that the
// rule reads by.
func (d *demo) configure(ctx context.Context) error {
	text := fmt.Sprintf(setup, d.mongo.URI(), d.search.URL(), filepath.Join(d.dir, "state"), filepath.Join(d.dir, "archive"))
	d.quote(text)
	if err := os.WriteFile(d.file(), []byte(text), 0o600); err != nil {
		return err
	}
	_, err := d.orders.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "placed", Value: 1}, {Key: "_id", Value: 1}}})
	return err
}

// awayAndBack archives, finds and restores, and fails unless everything is then
// as it was.
func (d *demo) awayAndBack(ctx context.Context, step int) error {
	total, before, err := d.fingerprint(ctx)
	if err != nil {
		return err
	}
	old, err := d.orders.CountDocuments(ctx, bson.D{{Key: "placed", Value: bson.D{{Key: "$lt", Value: time.Now().AddDate(0, 0, -365)}}}})
	if err != nil {
		return err
	}
	d.say("\n%d. Away: packed, uploaded, read back and verified, and only then deleted", step)
	if _, err := d.show(ctx, "archive", "plan", "--config", d.file()); err != nil {
		return err
	}
	if _, err := d.show(ctx, "archive", "run", "--once", "--config", d.file()); err != nil {
		return err
	}
	if err := d.sides(ctx, total-old, total, old); err != nil {
		return err
	}
	if err := d.findArchived(ctx, step+1); err != nil {
		return err
	}
	d.say("\n%d. Back: by rule as here, by time, by key or by a query", step+2)
	if _, err := d.show(ctx, "restore", "--rule", "old-orders", "--config", d.file()); err != nil {
		return err
	}
	if err := d.sides(ctx, total, total, 0); err != nil {
		return err
	}
	if _, after, err := d.fingerprint(ctx); err != nil || after != before {
		return errors.Join(fmt.Errorf("the collection is not what it was: SHA-256 %s, then %s", before, after), err)
	}
	d.say("   SHA-256 of all BSON in shop.orders: %s… before and after, bit for bit the same", before[:16])
	return nil
}

// findArchived looks for an archived order in the archive and in the index.
func (d *demo) findArchived(ctx context.Context, step int) error {
	d.say("\n%d. Found: in the archive, without restoring it, and still in the search index, marked", step)
	query := fmt.Sprintf(`{"customer": %q, "total": %.2f}`, oldCustomer, oldTotal)
	found, err := d.show(ctx, "archive", "find", "--config", d.file(), "--relaxed", "--query", query)
	if err != nil {
		return err
	}
	if strings.Count(found, oldCustomer) != 1 {
		return errors.New("archive find did not find the one order")
	}
	hit, err := d.hit(ctx)
	if err != nil {
		return err
	}
	var order struct {
		Archived struct{ At, Rule, Object string }
	}
	if err := json.Unmarshal(hit, &order); err != nil {
		return err
	}
	if order.Archived.At == "" || order.Archived.Rule != "old-orders" || order.Archived.Object == "" {
		return fmt.Errorf("the order in the index is not marked: %s", hit)
	}
	d.say("   $ curl '…/shop.orders/_search?q=%s'", orderQuery())
	d.quote(string(hit))
	return nil
}

// sides waits until both sides have as many documents as they should, and as
// many of the index are marked.
func (d *demo) sides(ctx context.Context, inMongo, inIndex, marked int64) error {
	have, err := d.orders.CountDocuments(ctx, bson.D{})
	if err != nil {
		return err
	}
	if have != inMongo {
		return fmt.Errorf("MongoDB has %d documents, not %d", have, inMongo)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := d.count(ctx)
		var of int64
		if err == nil {
			of, err = d.marked(ctx)
		}
		if err == nil && all == inIndex && of == marked {
			d.say("   MongoDB %d documents · index %d documents, %d of them marked as archived", inMongo, inIndex, marked)
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the index has %d documents, not %d, and %d marked, not %d", all, inIndex, of, marked), err)
		case <-tick.C:
		}
	}
}

// marked counts what is marked as archived in the index.
func (d *demo) marked(ctx context.Context) (int64, error) {
	var answer struct {
		Count int64 `json:"count"`
	}
	err := d.get(ctx, "/shop.orders/_count?q="+url.QueryEscape("archived.rule:old-orders"), &answer)
	return answer.Count, err
}

func orderQuery() string {
	return fmt.Sprintf("customer.keyword:%s AND total:%.2f", oldCustomer, oldTotal)
}

// hit returns the one order from the index.
func (d *demo) hit(ctx context.Context) (json.RawMessage, error) {
	var answer struct {
		Hits struct {
			Hits []struct {
				Source json.RawMessage `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := d.get(ctx, "/shop.orders/_search?q="+url.QueryEscape(orderQuery()), &answer); err != nil {
		return nil, err
	}
	if n := len(answer.Hits.Hits); n != 1 {
		return nil, fmt.Errorf("the index has %d such orders", n)
	}
	return answer.Hits.Hits[0].Source, nil
}

// fingerprint counts and hashes the collection, byte for byte.
func (d *demo) fingerprint(ctx context.Context) (n int64, sum string, err error) {
	cur, err := d.orders.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = cur.Close(ctx) }()
	h := sha256.New()
	for cur.Next(ctx) {
		_, _ = h.Write(cur.Current)
		n++
	}
	return n, fmt.Sprintf("%x", h.Sum(nil)), cur.Err()
}

// show runs a command that a user would type, and prints what it prints.
func (d *demo) show(ctx context.Context, args ...string) (string, error) {
	cmd := d.sluice(ctx, args...)
	cmd.Stdout = nil
	out, err := cmd.Output()
	d.quote(string(out))
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("sluice %s: %w", strings.Join(args[:2], " "), err)
	}
	return string(out), err
}

// quote prints what is not ours, with DIR for the directory of the demo.
func (d *demo) quote(text string) {
	for line := range strings.Lines(strings.ReplaceAll(text, d.dir, "DIR")) {
		d.say("     %s", strings.TrimRight(line, "\n"))
	}
}
