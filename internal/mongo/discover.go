package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// Kind is what a namespace is.
type Kind string

// The kinds of namespaces.
const (
	KindCollection Kind = "collection"
	KindCapped     Kind = "capped"
	KindView       Kind = "view"
	KindTimeseries Kind = "timeseries"
)

// Collection is one namespace that the flow follows.
type Collection struct {
	NS   flow.Namespace
	Kind Kind
	// UUID is the collection's own, 32 hex digits; "" if we may not know it.
	UUID string
	// Refused says why it is not followed although it was asked for; nil if it is.
	Refused error
	// PreImages: changeStreamPreAndPostImages is enabled.
	PreImages bool
}

// errTimeseries says why a time series collection can't be followed.
var errTimeseries = errors.New("a time series collection has no change events, and its measurements have no key of their own")

// discover lists what the selection covers, sorted by name.
func (s *Source) discover(ctx context.Context) ([]Collection, error) {
	dbs, err := s.listDatabases(ctx)
	if err != nil {
		return nil, err
	}
	var all []Collection
	for _, db := range dbs {
		found, err := s.listCollections(ctx, db)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Collection) int { return strings.Compare(a.NS.String(), b.NS.String()) })
	return all, nil
}

// listDatabases returns the databases that patterns name, or all that we may
// see if an expression may reach any.
func (s *Source) listDatabases(ctx context.Context) ([]string, error) {
	if dbs := s.sel.databases(); dbs != nil {
		return dbs, nil
	}
	names, err := s.client.ListDatabaseNames(ctx, bson.D{}, options.ListDatabases().SetAuthorizedDatabases(true))
	if err != nil {
		return nil, s.denied(fault("list databases of", s.uri, err))
	}
	return names, nil
}

// listCollections lists the followed ones of one database, with options and
// UUIDs if we may see them.
func (s *Source) listCollections(ctx context.Context, db string) ([]Collection, error) {
	infos, err := s.listInfos(ctx, db, false)
	if code, _ := codeOf(err); code == 13 {
		infos, err = s.listInfos(ctx, db, true)
	}
	if err != nil {
		return nil, s.denied(fault("list collections of", db, err))
	}
	var all []Collection
	for _, info := range infos {
		name, _ := info.Lookup("name").StringValueOK()
		c := Collection{NS: flow.Namespace{DB: db, Coll: name}, Kind: kindOfInfo(info)}
		if !s.sel.follows(c.NS) {
			continue
		}
		c.PreImages, _ = info.Lookup("options", "changeStreamPreAndPostImages", "enabled").BooleanOK()
		if _, uuid, ok := info.Lookup("info", "uuid").BinaryOK(); ok {
			c.UUID = uuidText(uuid)
		}
		switch {
		case c.Kind == KindTimeseries && !s.sel.named(c.NS), c.Kind == KindView && !s.sel.wantsView(c.NS):
			continue // they come with db.*, but who wants one names it
		case c.Kind == KindTimeseries:
			c.Refused = errTimeseries
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *Source) listInfos(ctx context.Context, db string, namesOnly bool) ([]bson.Raw, error) {
	o := options.ListCollections()
	if namesOnly {
		o.SetNameOnly(true).SetAuthorizedCollections(true)
	}
	cur, err := s.client.Database(db).ListCollections(ctx, bson.D{}, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cur.Close(ctx) }()
	var infos []bson.Raw
	for cur.Next(ctx) {
		infos = append(infos, slices.Clone(cur.Current))
	}
	return infos, cur.Err()
}

func kindOfInfo(info bson.Raw) Kind {
	switch typ, _ := info.Lookup("type").StringValueOK(); typ {
	case "view":
		return KindView
	case "timeseries":
		return KindTimeseries
	}
	if capped, _ := info.Lookup("options", "capped").BooleanOK(); capped {
		return KindCapped
	}
	return KindCollection
}

// denied adds the role that is missing to an error about rights.
func (s *Source) denied(e *flow.Error) error {
	if e.Class == flow.Auth && e.Hint == "" {
		e.Hint = "the user needs this role; create it in the database admin, and grant it:\n" + s.sel.role()
	}
	return e
}

// deniedStream is denied for a change stream: several narrow ones may take its
// place, where the namespaces name them.
func (s *Source) deniedStream(e *flow.Error) error {
	err := s.denied(e)
	if e.Class == flow.Auth && s.scope.level != levelCollection {
		e.Hint += "\nor, with rights on single databases or collections only, name these in namespaces or stream.include (db.*, db.collection): narrower streams then take its place"
	}
	return err
}

// role is the smallest role that the selection needs, as a command of mongosh.
func (s selection) role() string {
	var b strings.Builder
	b.WriteString(`db.getSiblingDB("admin").createRole({role: "sluiceSource", roles: [], privileges: [` + "\n")
	actions := `actions: ["find", "changeStream", "listCollections", "listIndexes", "collStats"]},` + "\n"
	dbs := s.databases()
	if len(dbs) == 1 {
		b.WriteString(`  {resource: {db: "` + dbs[0] + `", collection: ""}, ` + actions)
	} else {
		b.WriteString(`  {resource: {db: "", collection: ""}, ` + actions)
	}
	b.WriteString(`  {resource: {db: "local", collection: "oplog.rs"}, actions: ["find"]}  // optional: shows how far the oplog reaches` + "\n]})")
	return b.String()
}
