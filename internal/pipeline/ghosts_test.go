package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

func textOf(v any) string { return string(transcode.AppendID(nil, idOf(v))) }

// TestS13Ghosts: exactly what MongoDB no longer has is deleted, at the version
// of the look-up; what leads to no key is left alone and counted.
func TestS13Ghosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := transcode.AppendID(nil, idOf(strings.Repeat("x", 600)))
		pages := [][]string{{textOf(int32(1)), string(long), textOf(int32(2))}, {}, {string(long)}, {textOf("gone"), textOf(int32(3))}}
		rec := script("ds", "transient", "d")
		lookups := 0
		var log bytes.Buffer
		g := Ghosts{
			Scan: func(_ context.Context, ns flow.Namespace, page func([]string) error) error {
				for _, p := range pages {
					if err := page(p); err != nil {
						return err
					}
				}
				return nil
			},
			Missing: func(_ context.Context, ns flow.Namespace, ids []bson.RawValue) ([]bson.RawValue, bson.Timestamp, error) {
				if lookups++; lookups == 2 {
					return nil, bson.Timestamp{}, transient("no primary")
				}
				var missing []bson.RawValue
				for _, id := range ids {
					if string(transcode.AppendID(nil, id)) != "3" {
						missing = append(missing, id)
					}
				}
				return missing, at(30 + lookups), nil
			},
			Write:  rec,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}
		n, err := g.Remove(t.Context(), shop)
		if n != 3 || err != nil {
			t.Errorf("removed %d, %v; want 3", n, err)
		}
		if got, want := rec.text(), "delete 1@31 delete 2@31 | delete gone@33 | delete gone@33"; got != want {
			t.Fatalf("sent %q, want %q", got, want)
		}
		if c := rec.sends[0][1]; c.Version != versionAt(31) || c.NS != shop || c.Time != at(31) {
			t.Errorf("deleted by %+v, want version %d", c, versionAt(31))
		}
		if !strings.Contains(log.String(), "count=2") {
			t.Errorf("log %q, want two that were left", &log)
		}
	})
}

func TestS13GhostsFail(t *testing.T) {
	bad := errors.New("no rights")
	f := func(scan, missing error, at bson.Timestamp, id bson.RawValue, answer string) {
		t.Helper()
		rec := script(answer)
		g := Ghosts{
			Scan: func(_ context.Context, _ flow.Namespace, page func([]string) error) error {
				if err := page([]string{textOf("a")}); err != nil {
					return err
				}
				return scan
			},
			Missing: func(context.Context, flow.Namespace, []bson.RawValue) ([]bson.RawValue, bson.Timestamp, error) {
				return []bson.RawValue{id}, at, missing
			},
			Write: rec,
		}
		if _, err := g.Remove(t.Context(), shop); err == nil {
			t.Error("no error")
		}
		if len(rec.sends) > 0 && (id.IsZero() || at.T == 0 || missing != nil) {
			t.Errorf("sent %q", rec.text())
		}
	}
	f(bad, nil, at(1), idOf("a"), "d")
	f(nil, &flow.Error{Class: flow.Auth, Err: bad}, at(1), idOf("a"), "d")
	f(nil, nil, bson.Timestamp{}, idOf("a"), "d")
	f(nil, nil, at(1), bson.RawValue{}, "d")
	f(nil, nil, at(1), idOf("a"), "x")
	f(nil, nil, at(1), idOf("a"), "h")
}

// TestS13GhostsOfAmbiguousIDs: an id that may be of several keys is a ghost's only if
// MongoDB has none of them, and the archive knows none.
func TestS13GhostsOfAmbiguousIDs(t *testing.T) {
	there := map[string]bool{textOf(int32(1)): true, textOf("2"): true, textOf(bson.JavaScript("code")): true}
	rec := script("ddd")
	var log bytes.Buffer
	asked := 0
	g := Ghosts{
		Scan: func(_ context.Context, _ flow.Namespace, page func([]string) error) error {
			return page([]string{"1", "2", "3", "map[a:1]", "code", "filed", "gone"})
		},
		Keys: transcode.GoKeys,
		Missing: func(_ context.Context, _ flow.Namespace, ids []bson.RawValue) (missing []bson.RawValue, _ bson.Timestamp, _ error) {
			asked++
			for _, id := range ids {
				if !there[string(transcode.AppendID(nil, id))] {
					missing = append(missing, id)
				}
			}
			return missing, at(30 + asked), nil
		},
		Archived: func(_ context.Context, _ flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error) {
			out := make([]*flow.Archived, len(ids))
			for i, id := range ids {
				if string(transcode.AppendID(nil, id)) == textOf("filed") {
					out[i] = &flow.Archived{Rule: "r"}
				}
			}
			return out, nil
		},
		Write:  rec,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	n, err := g.Remove(t.Context(), shop)
	if n != 2 || err != nil {
		t.Errorf("removed %d, %v; want 2", n, err)
	}
	if len(rec.sends) != 1 || len(rec.sends[0]) != 3 {
		t.Fatal(rec.text())
	}
	for i, want := range []string{"3", "filed", "gone"} {
		c := rec.sends[0][i]
		id, err := transcode.AppendGoID(nil, c.ID)
		if err != nil || string(id) != want || c.Version != versionAt(31) || (c.Archived != nil) != (want == "filed") {
			t.Errorf("%s %+v %v, want %s", id, c, err, want)
		}
	}
	if !strings.Contains(log.String(), "count=1") {
		t.Errorf("log %q, want one that was left", &log)
	}
}
