package archivedb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// Ensured is what EnsureCollection did.
type Ensured struct {
	// Created: the collection was missing.
	Created bool
	// Indexes names those that were created.
	Indexes []string
	// Left tells, in words, what was not made as it was, and why.
	Left []string
}

// EnsureCollection creates ns with the options and the indexes that were saved
// beside a pack, if it is missing; one that is there is left as it is. A TTL
// index is not created: it would delete what is restored. What else can't be
// made is told, and is no error as long as there is a collection.
func (db *DB) EnsureCollection(ctx context.Context, ns flow.Namespace, options bson.Raw, indexes []bson.Raw) (Ensured, error) {
	var done Ensured
	names, err := db.client.Database(ns.DB).ListCollectionNames(ctx, bson.D{{Key: "name", Value: ns.Coll}})
	if err != nil {
		return done, source.Fault("look for", ns.String(), err)
	}
	if len(names) > 0 {
		return done, nil
	}
	if err := db.create(ctx, ns, options, &done); err != nil {
		if hasCode(err, codeNamespaceExists) { // another was quicker
			return Ensured{}, nil
		}
		return done, source.Fault("create", ns.String(), err)
	}
	done.Created = true
	for _, index := range indexes {
		db.createIndex(ctx, ns, index, &done)
	}
	return done, ctx.Err()
}

// create creates with all options, or, if the server refuses, with those of
// them that it takes one by one.
func (db *DB) create(ctx context.Context, ns flow.Namespace, saved bson.Raw, done *Ensured) error {
	cmd := bson.D{{Key: "create", Value: ns.Coll}}
	elems, err := saved.Elements()
	if len(saved) > 0 && err != nil {
		return fmt.Errorf("the saved options are malformed: %w", err)
	}
	var extra bson.D
	for _, e := range elems {
		switch e.Key() {
		case "uuid", "autoIndexId", "temp":
		default:
			extra = append(extra, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	run := func(cmd bson.D) error { return db.client.Database(ns.DB).RunCommand(ctx, cmd).Err() }
	err = run(append(cmd, extra...))
	if err == nil || serverCode(err) == 0 || hasCode(err, codeNamespaceExists) || hasCode(err, codeUnauthorized) {
		return err
	}
	// What a document means depends on these two: not without them.
	var optional bson.D
	for _, e := range extra {
		if e.Key == "collation" || e.Key == "clusteredIndex" {
			cmd = append(cmd, e)
		} else {
			optional = append(optional, e)
		}
	}
	if err := run(cmd); err != nil {
		return err
	}
	for _, e := range optional {
		err := run(bson.D{{Key: "collMod", Value: ns.Coll}, e})
		if err != nil {
			done.Left = append(done.Left, fmt.Sprintf("option %s: %v", e.Key, err))
		}
	}
	return nil
}

// createIndex creates one index on the new collection.
func (db *DB) createIndex(ctx context.Context, ns flow.Namespace, saved bson.Raw, done *Ensured) {
	name, _ := saved.Lookup("name").StringValueOK()
	if name == "_id_" {
		return
	}
	if clustered, _ := saved.Lookup("clustered").BooleanOK(); clustered {
		return
	}
	if _, err := saved.LookupErr("expireAfterSeconds"); err == nil {
		done.Left = append(done.Left, fmt.Sprintf("index %s: it is a TTL index, which would delete what is restored; create it when that is no longer needed", name))
		return
	}
	elems, err := saved.Elements()
	if err != nil {
		done.Left = append(done.Left, fmt.Sprintf("index %s: %v", name, err))
		return
	}
	spec := bson.D{}
	for _, e := range elems {
		switch e.Key() {
		case "ns", "background", "buildUUID", "spec":
		default:
			spec = append(spec, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	cmd := bson.D{{Key: "createIndexes", Value: ns.Coll}, {Key: "indexes", Value: bson.A{spec}}}
	if err := db.client.Database(ns.DB).RunCommand(ctx, cmd).Err(); err != nil {
		done.Left = append(done.Left, fmt.Sprintf("index %s: %v", name, err))
		return
	}
	done.Indexes = append(done.Indexes, name)
}
