package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// missingKeys is how many ids one query looks for.
const missingKeys = 1000

// Missing returns which of ids MongoDB does not have in ns (or has, but
// outside its filter) at the time that it also returns: whoever deletes them
// from the index does it at the version of that time (rule S13). The order is
// that of ids; the values are the caller's own. Errors that pass are Transient.
func (s *Source) Missing(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) (missing []bson.RawValue, at bson.Timestamp, err error) {
	const tries = 3
	for try := 1; ; try++ {
		if at, err = s.serverTime(ctx); err != nil {
			return nil, at, err
		}
		missing, err = s.missingAt(ctx, ns, ids, at, try == tries)
		// The time was too old already, or not to be had here.
		if code, _ := codeOf(err); try < tries && (code == 239 || code == 246) {
			continue
		}
		if err != nil {
			return nil, at, s.denied(fault("look up documents of", ns.String(), err))
		}
		return missing, at, nil
	}
}

func (s *Source) missingAt(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, at bson.Timestamp, majority bool) ([]bson.RawValue, error) {
	concern := atClusterTime(at)
	if majority || !s.caps.snapshot {
		concern = afterClusterTime(at)
	}
	var missing []bson.RawValue
	for len(ids) > 0 {
		n := min(len(ids), missingKeys)
		there, err := s.there(ctx, ns, ids[:n], s.sel.filter(ns), concern)
		if err != nil {
			return nil, err
		}
		var buf []byte
		for _, id := range ids[:n] {
			if buf = appendKey(buf[:0], id.Type, id.Value); !there[string(buf)] {
				missing = append(missing, id)
			}
		}
		ids = ids[n:]
	}
	return missing, nil
}

// Outside tells for each of ids, which Missing has returned, whether MongoDB has
// it after all, outside the filter of ns. Without a filter nothing is asked.
func (s *Source) Outside(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) ([]bool, error) {
	outside := make([]bool, len(ids))
	if s.sel.filter(ns) == nil {
		return outside, nil
	}
	var buf []byte
	for from := 0; from < len(ids); from += missingKeys {
		part := ids[from:min(from+missingKeys, len(ids))]
		there, err := s.there(ctx, ns, part, nil, bson.D{{Key: "level", Value: "majority"}})
		if err != nil {
			return nil, s.denied(fault("look up documents of", ns.String(), err))
		}
		for i, id := range part {
			buf = appendKey(buf[:0], id.Type, id.Value)
			outside[from+i] = there[string(buf)]
		}
	}
	return outside, nil
}

// there returns the keys of those of ids that exist, and match extra if it is
// not nil.
func (s *Source) there(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, extra bson.Raw, concern bson.D) (map[string]bool, error) {
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
	if extra != nil {
		filter = bson.D{{Key: "$and", Value: bson.A{filter, extra}}}
	}
	cmd := bson.D{
		{Key: "find", Value: ns.Coll},
		{Key: "filter", Value: filter},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "limit", Value: int64(len(ids))},
		{Key: "batchSize", Value: int64(len(ids))},
		{Key: "readConcern", Value: concern},
	}
	raw, err := s.client.Database(ns.DB).RunCommand(ctx, cmd).Raw()
	if err != nil {
		return nil, err
	}
	r, err := parseReply(raw)
	if err != nil {
		return nil, unreadable(err)
	}
	there := make(map[string]bool, len(ids))
	var buf []byte
	err = r.each(func(doc bson.Raw) error {
		id, err := idOf(doc)
		if err != nil {
			return unreadable(err)
		}
		buf = appendKey(buf[:0], id.Type, id.Value)
		there[string(buf)] = true
		return nil
	})
	if r.cursor == 0 || err != nil {
		return there, err
	}
	return there, s.rest(ctx, ns, ids, extra, concern, there)
}

// rest asks one by one for the keys that a full reply (ids of many kB) left out.
func (s *Source) rest(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, extra bson.Raw, concern bson.D, there map[string]bool) error {
	var buf []byte
	for _, id := range ids {
		buf = appendKey(buf[:0], id.Type, id.Value)
		if there[string(buf)] {
			continue
		}
		one, err := s.there(ctx, ns, []bson.RawValue{id}, extra, concern)
		if err != nil {
			return err
		}
		for k := range one {
			there[k] = true
		}
	}
	return nil
}
