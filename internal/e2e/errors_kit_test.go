//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/app"
)

// result is what a verb that ends by itself left behind.
type result struct {
	code        int
	out, errOut string
}

// verb runs the binary with args, and env on top of ours, to its end.
func verb(t *testing.T, env []string, args ...string) result {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = t.TempDir() // so that no sluice.yaml lies about
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("sluice %v: %v\n%s", args, err, errOut.String())
	}
	return result{code: cmd.ProcessState.ExitCode(), out: out.String(), errOut: errOut.String()}
}

// wantFailure runs a flow that can't work: it has to end by itself with code
// and say all words, and none of the secrets.
func wantFailure(t *testing.T, code int, args, words []string, secrets ...string) {
	t.Helper()
	p := start(t, args...)
	got := p.wait(t, time.Minute)
	text := p.output()
	t.Logf("it says:\n%s", tail(text, 1500))
	if got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	wantWords(t, lastWords(text), words...)
	wantNone(t, text, secrets...)
}

// lastWords is what comes after the last log line: the message of the failure.
func lastWords(text string) string {
	if i := strings.LastIndex(text, "sluice: "); i >= 0 {
		return text[i:]
	}
	return text
}

// wantWords fails for each of words that text lacks.
func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the message lacks %q:\n%s", w, tail(text, 3000))
		}
	}
}

// wantNone fails for each of secrets that text holds.
func wantNone(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the output holds the secret %q:\n%s", s, tail(text, 3000))
		}
	}
}

// logLine is one line of the log in a pipe.
type logLine struct {
	Time   time.Time
	Level  string
	Msg    string
	Flow   string
	Reason string
	Class  string
	Error  string
	Count  int
}

// logLines reads the log; what looks like JSON has to be some.
func logLines(t *testing.T, text string) []logLine {
	t.Helper()
	var all []logLine
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("a log line is no JSON: %v\n%s", err, line)
			continue
		}
		if l.Time.IsZero() || l.Level == "" || l.Msg == "" {
			t.Errorf("a log line lacks time, level or msg: %s", line)
		}
		all = append(all, l)
	}
	return all
}

// wantCalm checks what the log says of a cause that goes on: at least one line
// with all words, and at most one line a second.
func wantCalm(t *testing.T, text, reason string, words ...string) {
	t.Helper()
	var lines []logLine
	for _, l := range logLines(t, text) {
		if l.Reason == reason && l.Msg == "trying again" {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		t.Errorf("no log line has the reason %q:\n%s", reason, tail(text, 3000))
		return
	}
	wantWords(t, lines[0].Error, words...)
	if lines[0].Flow == "" || lines[0].Level != "WARN" {
		t.Errorf("flow %q, level %q", lines[0].Flow, lines[0].Level)
	}
	for i := 1; i < len(lines); i++ {
		// A line is dated a moment after it was let through.
		if gap := lines[i].Time.Sub(lines[i-1].Time); gap < 800*time.Millisecond {
			t.Errorf("two lines about %q within %s", reason, gap)
		}
	}
}

// waits is nil when the flow waits for a reason and says so in its status.
func (p *process) waits(ctx context.Context, reason string) error {
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range st.Flows {
		if (f.Pump.State == "retrying" || f.Pump.State == "blocked_sink") && f.Pump.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("it does not wait for %q: %s", reason, st.Text())
}

// works is nil when the flow waits for nothing.
func (p *process) works(ctx context.Context) error {
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range st.Flows {
		if f.State != "running" || f.Pump.State == "retrying" || f.Pump.State == "blocked_sink" {
			return fmt.Errorf("it still waits: %s", st.Text())
		}
	}
	return nil
}

// following starts args and waits until its snapshots are done.
func following(t *testing.T, args ...string) *process {
	t.Helper()
	p := start(t, args...)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	return p
}

// flowStatus is the status of the only flow.
func (p *process) flowStatus(t *testing.T) app.FlowStatus {
	t.Helper()
	st, err := p.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Flows) != 1 {
		t.Fatalf("%d flows", len(st.Flows))
	}
	return st.Flows[0]
}

// wantDrain asks the process to end, which has to be in order.
func (p *process) wantDrain(t *testing.T) {
	t.Helper()
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// insert inserts documents.
func insert(t *testing.T, coll *mongo.Collection, docs ...bson.D) {
	t.Helper()
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// set updates a field of a document.
func set(t *testing.T, coll *mongo.Collection, id any, field string, value any) {
	t.Helper()
	r, err := coll.UpdateByID(t.Context(), id, bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.MatchedCount != 1 {
		t.Fatalf("no document %v", id)
	}
}

// must sends a request that has to succeed.
func must(t *testing.T, method, url, body string) {
	t.Helper()
	if err := call(t.Context(), method, url, body, nil); err != nil {
		t.Fatal(err)
	}
}
