package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const statusAddr = "127.0.0.1:9630"

// sluice returns the command that a user would type, and says so.
func (d *demo) sluice(ctx context.Context, args ...string) *exec.Cmd {
	typed := slices.Clone(args)
	for i, a := range typed {
		if strings.ContainsAny(a, ` {"&`) {
			typed[i] = "'" + a + "'"
		}
	}
	d.say("   $ sluice %s", strings.ReplaceAll(strings.Join(typed, " "), d.dir, "DIR"))
	// Not ended by ctx: it drains when we ask it to.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.bin, args...)
	cmd.Stdout = os.Stdout
	logs, err := os.OpenFile(filepath.Join(d.dir, "sluice.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		cmd.Stderr = logs
	}
	return cmd
}

func (d *demo) args(verb string, more ...string) []string {
	return append([]string{
		verb, "--mongodb", d.mongo.URI(), "--search", d.search.URL(),
		"--namespace", "shop.orders", "--state", filepath.Join(d.dir, "state"),
	}, more...)
}

func (d *demo) logTail() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "sluice.log"))
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

func (d *demo) runOnce(ctx context.Context) error {
	d.say("\n3. One copy, then the end")
	cmd := d.sluice(ctx, d.args("sync", "--once", "--listen", "off")...)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sluice sync --once: %w\n%s", err, d.logTail())
	}
	d.say("   done in %.1f s", time.Since(start).Seconds())
	d.say("\n4. Both sides")
	if err := d.compare(ctx); err != nil {
		return err
	}
	stop, err := d.archiving(ctx, 5, "off")
	if err != nil {
		return err
	}
	return stop()
}

func (d *demo) runFollow(ctx context.Context) error {
	d.say("\n3. Copy it and follow it; and because trust is the point: kill -9 in the middle")
	cmd := d.sluice(ctx, d.args("sync", "--listen", statusAddr)...)
	if err := cmd.Start(); err != nil {
		return err
	}
	at, err := d.waitCopied(ctx, int64(d.docs)/3)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, d.logTail())
	}
	d.say("   killed at %d documents; started again with the same command", at)
	cmd = exec.CommandContext(context.WithoutCancel(ctx), d.bin, cmd.Args[1:]...)
	logs, _ := os.OpenFile(filepath.Join(d.dir, "sluice.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	cmd.Stderr = logs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	err = d.follow(ctx, start)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, d.logTail())
	}
	stop, err := d.archiving(ctx, 5, statusAddr)
	if err != nil {
		return err
	}
	d.farewell()
	<-ctx.Done()
	_ = stop() // Ctrl-C has told it already
	return nil
}

// follow waits for the rest of the copy, and looks at what follows it.
func (d *demo) follow(ctx context.Context, start time.Time) error {
	if _, err := d.waitCopied(ctx, int64(d.docs)); err != nil {
		return err
	}
	d.say("   the rest was copied in %.1f s, from where it stood", time.Since(start).Seconds())
	if err := d.compare(ctx); err != nil {
		return err
	}
	return d.changes(ctx)
}

// changes writes to MongoDB and looks for the result in the index.
func (d *demo) changes(ctx context.Context) error {
	d.say("\n4. Follow: each change below was written to MongoDB, then searched for")
	if _, err := d.orders.UpdateByID(ctx, 42, bson.D{{Key: "$set", Value: bson.D{{Key: "note", Value: "giftwrapped"}}}}); err != nil {
		return err
	}
	_, took, err := d.find(ctx, "note:giftwrapped")
	if err != nil {
		return err
	}
	d.say("   updated order 42, found by its new note after %d ms (the engine makes writes visible once a second)", took.Milliseconds())
	if _, err := d.orders.InsertOne(ctx, bson.D{{Key: "_id", Value: "express-1"}, {Key: "status", Value: "express"}}); err != nil {
		return err
	}
	if _, took, err = d.find(ctx, "status:express"); err != nil {
		return err
	}
	d.say("   inserted an order, found after %d ms", took.Milliseconds())
	if _, err := d.orders.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 1000}}}}); err != nil {
		return err
	}
	d.say("   deleted 1000 orders")
	return d.settle(ctx)
}

// settle waits until both sides have equal counts and prints them.
func (d *demo) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		want, err := d.orders.CountDocuments(ctx, bson.D{})
		if err != nil {
			return err
		}
		if have, err := d.count(ctx); err == nil && have == want {
			return d.compare(ctx)
		}
		select {
		case <-ctx.Done():
			return errors.New("the counts did not meet within a minute")
		case <-tick.C:
		}
	}
}

func (d *demo) farewell() {
	d.say("\n9. It goes on following. Try it, from another terminal:")
	d.say("   curl '%s/shop.orders/_search?q=status:paid&size=1&pretty'", d.search.URL())
	d.say("   curl http://%s/status        curl http://%s/metrics", statusAddr, statusAddr)
	d.say("   logs: %s", filepath.Join(d.dir, "sluice.log"))
	d.say("\nCtrl-C ends everything and removes what the demo made.")
}

// waitCopied polls the index until it holds at least n documents.
func (d *demo) waitCopied(ctx context.Context, n int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if have, err := d.count(ctx); err == nil && have >= n {
			return have, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d documents were not copied: %w (status: %s)", n, ctx.Err(), d.status())
		case <-tick.C:
		}
	}
}

// status reads what sluice says of itself, for the message when a step fails.
func (d *demo) status() string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+statusAddr+"/status", nil)
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	var v json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return err.Error()
	}
	return string(v)
}
