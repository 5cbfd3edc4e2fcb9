package scriptmongo

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// collection is what finds are answered from.
type collection struct {
	db, name string
	kind     string // collection, view, timeseries
	options  bson.D
	uuid     []byte
	docs     []bson.Raw // by _id
}

// Collection sets the documents of "db.coll" (each any value that marshals to
// one, with an _id), kept in the order of their ids. A later call replaces
// them; the collection keeps its UUID. It panics on what can't be marshalled:
// a fault of the test.
func (s *Server) Collection(ns string, docs ...any) *Server {
	raws := make([]bson.Raw, len(docs))
	for i, d := range docs {
		b, err := bson.Marshal(d)
		if err != nil {
			panic(fmt.Sprintf("scriptmongo: document %d of %s: %v", i, ns, err))
		}
		raws[i] = b
	}
	slices.SortStableFunc(raws, func(a, b bson.Raw) int { return compare(a.Lookup("_id"), b.Lookup("_id")) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collection(ns).docs = raws
	return s
}

// Describe sets the type and the options that listCollections tells of "db.coll".
func (s *Server) Describe(ns, kind string, options bson.D) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collection(ns)
	c.kind, c.options = kind, options
	return s
}

// DropCollection forgets "db.coll"; the next Collection of that name has
// another UUID. No event is sent.
func (s *Server) DropCollection(ns string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.colls = slices.DeleteFunc(s.colls, func(c *collection) bool { return c.db+"."+c.name == ns })
}

// UUID returns the UUID of "db.coll", nil if there is none.
func (s *Server) UUID(ns string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.lookup(ns); c != nil {
		return c.uuid
	}
	return nil
}

func (s *Server) lookup(ns string) *collection {
	for _, c := range s.colls {
		if c.db+"."+c.name == ns {
			return c
		}
	}
	return nil
}

func (s *Server) collection(ns string) *collection {
	if c := s.lookup(ns); c != nil {
		return c
	}
	db, name, _ := strings.Cut(ns, ".")
	s.nextID++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", ns, s.nextID))
	c := &collection{db: db, name: name, kind: "collection", options: bson.D{}, uuid: sum[:16]}
	s.colls = append(s.colls, c)
	return c
}

func (s *Server) listDatabases() bson.D {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{"admin", "config", "local"}
	for _, c := range s.colls {
		names = append(names, c.db)
	}
	slices.Sort(names)
	dbs := bson.A{}
	for _, n := range slices.Compact(names) {
		dbs = append(dbs, bson.D{{Key: "name", Value: n}, {Key: "sizeOnDisk", Value: int64(4096)}, {Key: "empty", Value: false}})
	}
	return bson.D{{Key: "databases", Value: dbs}, {Key: "totalSize", Value: int64(4096)}}
}

// listCollections honours equality filters on name and type.
func (s *Server) listCollections(c Command) bson.D {
	name, byName := c.Doc.Lookup("filter", "name").StringValueOK()
	kind, byKind := c.Doc.Lookup("filter", "type").StringValueOK()
	s.mu.Lock()
	defer s.mu.Unlock()
	var docs []bson.Raw
	for _, x := range s.colls {
		if x.db != c.DB || (byName && x.name != name) || (byKind && x.kind != kind) {
			continue
		}
		d := bson.D{{Key: "name", Value: x.name}, {Key: "type", Value: x.kind}}
		if only, _ := c.Doc.Lookup("nameOnly").BooleanOK(); !only {
			info := bson.D{{Key: "readOnly", Value: false}}
			if x.kind == "collection" {
				info = append(info, bson.E{Key: "uuid", Value: bson.Binary{Subtype: 4, Data: x.uuid}})
			}
			d = append(d, bson.E{Key: "options", Value: x.options}, bson.E{Key: "info", Value: info})
		}
		raw, err := bson.Marshal(d)
		if err == nil {
			docs = append(docs, raw)
		}
	}
	cur := &cursor{ns: c.DB + ".$cmd.listCollections"}
	return cur.page("firstBatch", docs)
}

func (s *Server) count(c Command) bson.D {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if x := s.lookup(cursorNS(c)); x != nil {
		n = len(x.docs)
	}
	return bson.D{{Key: "n", Value: int32(n)}}
}
