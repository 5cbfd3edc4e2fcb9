package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// relatedIndex is an index as listIndexes tells of it.
type relatedIndex struct {
	Name    string   `bson:"name"`
	Key     bson.D   `bson:"key"`
	Partial bson.Raw `bson:"partialFilterExpression"`
	Hidden  bool     `bson:"hidden"`
	// Collation is that of the collection for its index on _id.
	Collation struct {
		Locale    string `bson:"locale"`
		Strength  int    `bson:"strength"`
		CaseLevel bool   `bson:"caseLevel"`
	} `bson:"collation"`
}

// examine looks before the start at what relations need: collections that have
// change events and an index that finds dependants.
func (g *relations) examine(ctx context.Context) error {
	for _, r := range g.all {
		for _, ns := range []flow.Namespace{r.When, r.Rewrite} {
			if err := g.examineKind(ctx, ns); err != nil {
				return err
			}
		}
		if _, err := g.probe(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// examineKind refuses what is no plain collection.
func (g *relations) examineKind(ctx context.Context, ns flow.Namespace) error {
	infos, err := g.s.listInfos(ctx, ns.DB, false)
	if code, _ := codeOf(err); code == 13 {
		return nil // whoever may not know it sees whether events come
	}
	if err != nil {
		return g.s.denied(fault("list collections of", ns.DB, err))
	}
	for _, info := range infos {
		if name, _ := info.Lookup("name").StringValueOK(); name != ns.Coll {
			continue
		}
		if k := kindOfInfo(info); k == KindView || k == KindTimeseries {
			return configError(ns.String(), fmt.Errorf("it is a %s, which can't be part of related documents: it has no change events, or no index", k))
		}
	}
	return nil
}

// probe finds the index of r. false: there is no such collection yet. Without an
// index each change of a related document would be a scan of the collection.
func (g *relations) probe(ctx context.Context, r *relation) (bool, error) {
	if r.Field == "_id" {
		g.use(r, bson.D{{Key: "_id", Value: 1}})
		return true, nil
	}
	cur, err := g.s.client.Database(r.Rewrite.DB).Collection(r.Rewrite.Coll).Indexes().List(ctx)
	var all []relatedIndex
	if err == nil {
		err = cur.All(ctx, &all)
	}
	if code, _ := codeOf(err); code == 26 {
		return false, nil
	}
	if err != nil {
		return false, g.s.denied(fault("list indexes of", r.Rewrite.String(), err))
	}
	if len(all) == 0 {
		return false, nil
	}
	best := bestIndex(all, r.Field)
	create := fmt.Sprintf("db.getSiblingDB(%q).getCollection(%q).createIndex({%q: 1, _id: 1})", r.Rewrite.DB, r.Rewrite.Coll, r.Field)
	if best == nil {
		return false, &flow.Error{
			Op: "prepare related documents", Object: r.String(), Class: flow.Config,
			Err:  errors.New("no index begins with " + r.Field + ": each change would read the whole collection"),
			Hint: "create it: " + create,
		}
	}
	if !ordered(best) {
		g.s.log.Warn("the index of related documents does not hold their order: a document that thousands show is slow to follow",
			slog.String(flow.LogNS, r.Rewrite.String()), slog.String(flow.LogHint, create))
	}
	g.use(r, best.Name)
	return true, nil
}

func (g *relations) use(r *relation, hint any) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	r.hint = hint
}

// bestIndex returns the index that finds documents by field, one in the order of
// _id if there is one; nil without any.
func bestIndex(all []relatedIndex, field string) *relatedIndex {
	var best *relatedIndex
	whole := relatedIndex{}
	for _, x := range all {
		if len(x.Key) == 1 && x.Key[0].Key == "_id" {
			whole = x
		}
	}
	for i := range all {
		x := &all[i]
		if x.Key[0].Key != field || x.Partial != nil || x.Hidden || x.Collation != whole.Collation {
			continue
		}
		if _, text := x.Key[0].Value.(string); text { // hashed, text, 2dsphere
			continue
		}
		if best == nil || ordered(x) {
			best = x
		}
	}
	return best
}

// ordered tells whether the keys of one value are in the order of _id.
func ordered(x *relatedIndex) bool { return len(x.Key) > 1 && x.Key[1].Key == "_id" }
