package scriptmongo

import (
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// cursor is an open one, of a find or of a change stream.
type cursor struct {
	id     int64
	ns     string
	stream bool
	token  string // streams: the post-batch resume token
	rest   []bson.Raw
	at     bson.Timestamp // snapshot reads: their time
}

// newCursor is called with the lock held.
func (s *Server) newCursor(ns string) *cursor {
	s.nextID++
	c := &cursor{id: s.nextID, ns: ns}
	s.cursors[c.id] = c
	return c
}

// page renders one batch.
func (c *cursor) page(batch string, docs []bson.Raw) bson.D {
	body := bson.D{{Key: batch, Value: rawArray(docs)}}
	if c.stream {
		body = append(body, bson.E{Key: "postBatchResumeToken", Value: bson.D{{Key: "_data", Value: c.token}}})
	}
	if !c.at.IsZero() {
		body = append(body, bson.E{Key: "atClusterTime", Value: c.at})
	}
	body = append(body, bson.E{Key: "id", Value: c.id}, bson.E{Key: "ns", Value: c.ns})
	return bson.D{{Key: "cursor", Value: body}}
}

// take cuts the next batch off what is left, at most 16 MB.
func (c *cursor) take(n int) []bson.Raw {
	size, i := 0, 0
	for i < len(c.rest) && (n <= 0 || i < n) {
		if size += len(c.rest[i]); size > 16<<20 && i > 0 {
			break
		}
		i++
	}
	docs := c.rest[:i]
	c.rest = c.rest[i:]
	return docs
}

func cursorNS(c Command) string {
	if coll, ok := c.Doc.Lookup(c.Name).StringValueOK(); ok {
		return c.DB + "." + coll
	}
	return c.DB + ".$cmd." + strings.ToLower(c.Name)
}

func (s *Server) getMore(c Command) (bson.D, error) {
	id, _ := c.Doc.Lookup("getMore").AsInt64OK()
	s.mu.Lock()
	cur := s.cursors[id]
	s.mu.Unlock()
	if cur == nil {
		return nil, Fault(43)
	}
	if cur.stream {
		wait := time.Second
		if ms, ok := c.Doc.Lookup("maxTimeMS").AsInt64OK(); ok {
			wait = time.Duration(ms) * time.Millisecond
		}
		return s.nextEvents(cur, wait)
	}
	n, _ := c.Doc.Lookup("batchSize").AsInt64OK()
	s.mu.Lock()
	defer s.mu.Unlock()
	docs := cur.take(int(n))
	if len(cur.rest) == 0 {
		delete(s.cursors, cur.id)
		cur.id = 0
	}
	return cur.page("nextBatch", docs), nil
}

func (s *Server) killCursors(c Command) bson.D {
	values, _ := c.Doc.Lookup("cursors").Array().Values()
	s.mu.Lock()
	defer s.mu.Unlock()
	killed := bson.A{}
	for _, v := range values {
		id, _ := v.AsInt64OK()
		delete(s.cursors, id)
		killed = append(killed, id)
	}
	return bson.D{
		{Key: "cursorsKilled", Value: killed},
		{Key: "cursorsNotFound", Value: bson.A{}},
		{Key: "cursorsAlive", Value: bson.A{}},
		{Key: "cursorsUnknown", Value: bson.A{}},
	}
}
