package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/mongo/monstachedb"
)

// former is what the program whose place a flow takes has left.
type former struct {
	// at is how far it had come; listed are the collections that it had copied
	// whole, where it kept a list.
	at     bson.Timestamp
	listed []string
	kept   bool
}

// openFormer connects to the state of the program whose place is taken.
func openFormer(ctx context.Context, cfg *config.Config, t config.Takeover) (*monstachedb.DB, error) {
	return monstachedb.Open(ctx, monstachedb.Options{
		URI: cfg.MongoDB.URI.Reveal(), AppName: "sluice " + Version,
		Database: t.Database, Name: t.Name, Tokens: t.Strategy == config.StrategyToken,
	})
}

// readFormer reads it; nil if there is no position.
func readFormer(ctx context.Context, db *monstachedb.DB, covers func(string) bool) (*former, error) {
	pos, err := db.Position(ctx, covers)
	if err != nil || pos.Time.IsZero() {
		return nil, err
	}
	left := &former{at: pos.Time}
	left.listed, left.kept, err = db.Copied(ctx)
	return left, err
}

// copied tells whether ns, whose index holds so many documents, was copied whole.
func (left *former) copied(by config.CopiedBy, ns flow.Namespace, docs int64) bool {
	listed := slices.Contains(left.listed, ns.String())
	if by == config.CopiedListed || left.kept {
		return listed && docs > 0
	}
	return docs > 0
}

// takeOver opens the state of the program whose place is taken and, at the first
// start, makes a state of ours of it: the changes go on where it was, and what it
// had copied is not copied again.
func (f *flowRun) takeOver(ctx context.Context) error {
	t := f.cfg.Takeover
	if !t.Given() || len(f.saved.Position) > 0 && !t.Mirror {
		return nil
	}
	db, err := openFormer(ctx, f.o.Config, t)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, db.Close)
	if t.Mirror {
		if err := db.Probe(ctx); err != nil {
			return err
		}
		f.mirror = newMirror(f, db)
	}
	if len(f.saved.Position) > 0 {
		return nil
	}
	left, err := readFormer(ctx, db, f.covers)
	if err != nil {
		return err
	}
	if left == nil {
		f.log.Info("there is no position of Monstache to take over; the flow starts anew",
			slog.String("database", t.Database), slog.String("name", t.Name), slog.String("strategy", string(t.Strategy)))
		return nil
	}
	if err := f.source.MayBegin(ctx, "the position of Monstache", left.at); err != nil {
		return err
	}
	return f.adoptFormer(ctx, left)
}

// adoptFormer makes the state of a flow of what Monstache has left.
func (f *flowRun) adoptFormer(ctx context.Context, left *former) error {
	var all, had []flow.Namespace
	for _, c := range f.source.Collections() {
		if c.Refused == nil && f.writes(c.NS) {
			all = append(all, c.NS)
		}
	}
	now, err := f.bind.find(ctx, f.source.Identity(), all)
	if err != nil {
		return err
	}
	f.saved.Source = now.Source
	f.saved.Fingerprints, f.saved.Targets = map[string]string{}, map[string]string{}
	for _, ns := range all {
		name, docs := ns.String(), now.Targets[ns.String()].Docs
		if !f.source.Copies(ns) || !left.copied(f.cfg.Takeover.Copied, ns, docs) {
			continue
		}
		had = append(had, ns)
		f.saved.Fingerprints[name], f.saved.Targets[name] = now.Fingerprints[name], now.Targets[name].UUID
		f.log.Info("taken over from Monstache as it is in the index, and not copied again", slog.String(flow.LogNS, name), slog.Int64(flow.LogCount, docs))
	}
	f.saved.Position = json.RawMessage(mongo.PositionAt(left.at, had))
	f.log.Info("the changes go on where Monstache was", slog.Any(flow.LogTime, left.at))
	return nil
}

// covers tells whether a stream of Monstache brings what the flow follows: "" is
// that of the deployment, else a database or a collection.
func (f *flowRun) covers(stream string) bool {
	if stream == "" {
		return true
	}
	if strings.Contains(stream, ".") {
		return f.cfg.Streams(stream)
	}
	return slices.ContainsFunc(f.cfg.Namespaces, func(p string) bool {
		return strings.HasPrefix(p, "/") || strings.HasPrefix(p, stream+".")
	})
}

// streams are those that Monstache would have for what the flow follows.
func (f *flowRun) streams() []string {
	var out []string
	for _, p := range f.cfg.Namespaces {
		stream := p
		if db, all := strings.CutSuffix(p, ".*"); all {
			stream = db
		} else if strings.HasPrefix(p, "/") {
			stream = ""
		}
		if f.covers(stream) && !slices.Contains(out, stream) {
			out = append(out, stream)
		}
	}
	return out
}
