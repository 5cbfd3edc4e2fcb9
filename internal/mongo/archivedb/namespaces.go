package archivedb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// Namespaces returns what fits the pattern, sorted: "db.coll" (returned whether
// or not it exists), "db.*", or "/regular expression/" on the whole "db.coll".
// Patterns find collections only, no views and no time series. The databases
// of the server and of the archive and system collections are never found, and
// refused when asked for by name.
func (db *DB) Namespaces(ctx context.Context, pattern string) ([]flow.Namespace, error) {
	refuse := func(why error) error {
		return &flow.Error{Op: "read the pattern", Object: pattern, Class: flow.Config, Err: why}
	}
	if len(pattern) > 1 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		re, err := regexp.Compile(pattern[1 : len(pattern)-1])
		if err != nil {
			return nil, refuse(fmt.Errorf("no valid regular expression: %w", err))
		}
		return db.matching(ctx, re)
	}
	ns, ok := flow.ParseNamespace(pattern)
	switch {
	case !ok:
		return nil, refuse(errors.New("wants db.collection, db.* or /regular expression/"))
	case ns.Coll == "*":
		if db.reserved(flow.Namespace{DB: ns.DB, Coll: "any"}) {
			return nil, refuse(errors.New("a database of the server's own, or of sluice, can't be archived"))
		}
		return db.inDatabase(ctx, ns.DB)
	case db.reserved(ns):
		return nil, refuse(errors.New("a collection of the server's own, or of sluice, can't be archived"))
	}
	return []flow.Namespace{ns}, nil
}

func (db *DB) matching(ctx context.Context, re *regexp.Regexp) ([]flow.Namespace, error) {
	names, err := db.client.ListDatabaseNames(ctx, bson.D{}, options.ListDatabases().SetAuthorizedDatabases(true))
	if err != nil {
		return nil, source.Fault("list databases of", db.uri, err)
	}
	slices.Sort(names)
	var all []flow.Namespace
	for _, name := range names {
		if db.reserved(flow.Namespace{DB: name, Coll: "any"}) {
			continue
		}
		found, err := db.inDatabase(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, ns := range found {
			if re.MatchString(ns.String()) {
				all = append(all, ns)
			}
		}
	}
	return all, nil
}

// inDatabase lists the collections of a database that we may see.
func (db *DB) inDatabase(ctx context.Context, name string) ([]flow.Namespace, error) {
	names, err := db.client.Database(name).ListCollectionNames(ctx, bson.D{{Key: "type", Value: "collection"}},
		options.ListCollections().SetAuthorizedCollections(true))
	if err != nil {
		return nil, db.explained("list collections of", flow.Namespace{DB: name, Coll: "*"}, err, right{name, "", "listCollections"})
	}
	slices.Sort(names)
	var all []flow.Namespace
	for _, coll := range names {
		if ns := (flow.Namespace{DB: name, Coll: coll}); !db.reserved(ns) {
			all = append(all, ns)
		}
	}
	return all, nil
}

// reserved tells what is never archived: databases of the server and of ours,
// system collections, and what commands of the server make on their way.
func (db *DB) reserved(ns flow.Namespace) bool {
	switch ns.DB {
	case "admin", "config", "local", DefaultDatabase, db.own.Name():
		return true
	}
	for _, prefix := range []string{"system.", "tmp.agg_out.", "enxcol_."} {
		if strings.HasPrefix(ns.Coll, prefix) {
			return true
		}
	}
	// tmpXXXXX.renameCollection, tmpXXXXX.convertToCapped.NAME
	if len(ns.Coll) < 9 || ns.Coll[:3] != "tmp" || ns.Coll[8] != '.' {
		return false
	}
	rest := ns.Coll[9:]
	return rest == "renameCollection" || strings.HasPrefix(rest, "convertToCapped.")
}
