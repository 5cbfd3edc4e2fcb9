package scriptmongo

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// find answers from the documents of a collection: filters {}, {_id: x},
// {_id: {$in, $gt, $gte, $lt, $lte, $type: "maxKey"}}; min, max, sort on _id,
// skip, limit, projection {_id: 1}, batchSize, singleBatch, snapshot reads.
func (s *Server) find(c Command) (bson.D, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var docs []bson.Raw
	if x := s.lookup(cursorNS(c)); x != nil {
		for _, d := range x.docs {
			ok, err := matches(d.Lookup("_id"), c.Doc)
			if err != nil {
				return nil, err
			}
			if ok {
				docs = append(docs, d)
			}
		}
	}
	if n, ok := c.Doc.Lookup("sort", "_id").AsInt64OK(); ok && n < 0 {
		slices.Reverse(docs)
	}
	if n, ok := c.Doc.Lookup("skip").AsInt64OK(); ok {
		docs = docs[min(len(docs), int(n)):]
	}
	single, _ := c.Doc.Lookup("singleBatch").BooleanOK()
	if n, ok := c.Doc.Lookup("limit").AsInt64OK(); ok && n != 0 {
		single = single || n < 0
		docs = docs[:min(len(docs), int(max(n, -n)))]
	}
	if n, ok := c.Doc.Lookup("projection", "_id").AsInt64OK(); ok && n == 1 {
		docs = idsOnly(docs)
	}
	return s.firstPage(c, docs, single), nil
}

// firstPage opens a cursor over docs, or answers in one batch.
func (s *Server) firstPage(c Command, docs []bson.Raw, single bool) bson.D {
	cur := s.newCursor(cursorNS(c))
	cur.rest = docs
	cur.at = s.snapshotTime(c)
	n, given := c.Doc.Lookup("batchSize").AsInt64OK()
	if !given {
		n = 101
	}
	var first []bson.Raw
	if n > 0 || !given {
		first = cur.take(int(n))
	}
	if single || len(cur.rest) == 0 {
		delete(s.cursors, cur.id)
		cur.id = 0
	}
	return cur.page("firstBatch", first)
}

// snapshotTime is the atClusterTime of a snapshot read, zero for others.
func (s *Server) snapshotTime(c Command) (at bson.Timestamp) {
	if level, _ := c.Doc.Lookup("readConcern", "level").StringValueOK(); level != "snapshot" {
		return at
	}
	var ok bool
	if at.T, at.I, ok = c.Doc.Lookup("readConcern", "atClusterTime").TimestampOK(); ok {
		return at
	}
	if !s.opts.SnapshotAt.IsZero() {
		return s.opts.SnapshotAt
	}
	return s.clock
}

func idsOnly(docs []bson.Raw) []bson.Raw {
	out := make([]bson.Raw, 0, len(docs))
	for _, d := range docs {
		raw, err := bson.Marshal(bson.D{{Key: "_id", Value: d.Lookup("_id")}})
		if err == nil {
			out = append(out, raw)
		}
	}
	return out
}

// matches tests an _id against filter, min (inclusive) and max (exclusive).
func matches(id bson.RawValue, cmd bson.Raw) (bool, error) {
	if low := cmd.Lookup("min", "_id"); low.Type != 0 && compare(id, low) < 0 {
		return false, nil
	}
	if high := cmd.Lookup("max", "_id"); high.Type != 0 && compare(id, high) >= 0 {
		return false, nil
	}
	filter, ok := cmd.Lookup("filter").DocumentOK()
	if !ok {
		return true, nil
	}
	elements, err := filter.Elements()
	if err != nil {
		return false, err
	}
	for _, e := range elements {
		if e.Key() != "_id" {
			return false, Fault(9)
		}
		if ok, err := matchID(id, e.Value()); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func matchID(id, want bson.RawValue) (bool, error) {
	ops, ok := want.DocumentOK()
	if !ok {
		return compare(id, want) == 0, nil
	}
	elements, err := ops.Elements()
	if err != nil {
		return false, err
	}
	if len(elements) == 0 || elements[0].Key()[:1] != "$" {
		return compare(id, want) == 0, nil
	}
	for _, e := range elements {
		ok, err := compareBy(e.Key(), id, e.Value())
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func compareBy(op string, id, want bson.RawValue) (bool, error) {
	n := compare(id, want)
	switch op {
	case "$in":
		values, err := want.Array().Values()
		return slices.ContainsFunc(values, func(v bson.RawValue) bool { return compare(id, v) == 0 }), err
	case "$eq":
		return n == 0, nil
	case "$gt":
		return n > 0, nil
	case "$gte":
		return n >= 0, nil
	case "$lt":
		return n < 0, nil
	case "$lte":
		return n <= 0, nil
	case "$type":
		name, _ := want.StringValueOK()
		return name == "maxKey" && id.Type == bson.TypeMaxKey, nil
	}
	return false, Fault(9)
}

// aggregate knows $changeStream; other pipelines belong into Handle.
func (s *Server) aggregate(c Command) (bson.D, error) {
	stages, err := c.Doc.Lookup("pipeline").Array().Values()
	if err != nil || len(stages) == 0 {
		return nil, Fault(9)
	}
	first, ok := stages[0].DocumentOK()
	if !ok {
		return nil, Fault(9)
	}
	if stage, ok := first.Lookup("$changeStream").DocumentOK(); ok {
		return s.openStream(c, stage)
	}
	return nil, Fault(9)
}
