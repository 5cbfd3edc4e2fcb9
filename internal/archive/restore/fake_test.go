package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/mql"
)

// server is a MongoDB of the mind. It also notes what was called, in order.
type server struct {
	docs  map[string]map[string]bson.Raw // by namespace and key
	held  map[string]bool
	calls []string
	// dieAt is the number of the Restore (from 1 on) that fails after half of its
	// documents.
	restores, dieAt int
	refuse          string // a text in documents that the server refuses
	marks           map[string]Bookmark
	finish          func(rule, ns string) error
}

func newServer() *server {
	return &server{docs: map[string]map[string]bson.Raw{}, held: map[string]bool{}, marks: map[string]Bookmark{}}
}

func key(id bson.RawValue) string { return string(mql.AppendKey(nil, id)) }

func (s *server) put(ns string, doc bson.Raw) {
	if s.docs[ns] == nil {
		s.docs[ns] = map[string]bson.Raw{}
	}
	s.docs[ns][key(doc.Lookup("_id"))] = doc
}

func (s *server) texts(ns string) []string {
	var all []string
	for d := range maps.Values(s.docs[ns]) {
		all = append(all, fmt.Sprintf("%s/%d", d.Lookup("_id"), d.Lookup("v").AsInt64()))
	}
	slices.Sort(all)
	return all
}

func (s *server) one(ns flow.Namespace, h cold.Homecoming, on cold.OnConflict, write bool) cold.Return {
	live, ok := s.docs[ns.String()][key(h.ID)]
	switch {
	case s.refuse != "" && bytes.Contains(h.Doc, []byte(s.refuse)):
		return cold.Return{Returned: cold.Refused, Err: errors.New("refused by the server")}
	case !ok:
		if write {
			s.put(ns.String(), h.Doc)
		}
		return cold.Return{Returned: cold.Inserted}
	case bytes.Equal(live, h.Doc):
		return cold.Return{Returned: cold.Equal}
	case on == cold.ReplaceOlder && slices.Contains(h.Replaceable, cold.Hash(sha256.Sum256(live))):
		if write {
			s.put(ns.String(), h.Doc)
		}
		return cold.Return{Returned: cold.Replaced}
	}
	return cold.Return{Returned: cold.Conflicting, Live: live}
}

func (s *server) Restore(_ context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error) {
	s.calls = append(s.calls, "restore")
	s.restores++
	out := make([]cold.Return, len(docs))
	for i, h := range docs {
		if s.restores == s.dieAt && i >= len(docs)/2 {
			return out, &flow.Error{Op: "restore to", Object: ns.String(), Class: flow.Transient, Err: errors.New("killed")}
		}
		if len(s.held) > 0 && !s.held[ns.String()+key(h.ID)] {
			return out, errors.New("a document is inserted that is not on hold")
		}
		out[i] = s.one(ns, h, on, true)
		if on == cold.FailConflict && out[i].Returned == cold.Conflicting {
			return out, &flow.Error{Op: "restore to", Object: ns.String(), Class: flow.Conflict, Err: errors.New("a document is live")}
		}
	}
	return out, nil
}

func (s *server) Peek(_ context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error) {
	out := make([]cold.Return, len(docs))
	for i, h := range docs {
		out[i] = s.one(ns, h, on, false)
	}
	return out, nil
}

func (s *server) EnsureCollection(_ context.Context, ns flow.Namespace, options bson.Raw, indexes []bson.Raw) ([]string, error) {
	s.calls = append(s.calls, fmt.Sprintf("ensure %s %d %d", ns, len(options), len(indexes)))
	return []string{"index ttl"}, nil
}

func (s *server) Hold(_ context.Context, ns flow.Namespace, ids []bson.RawValue, until time.Time) error {
	s.calls = append(s.calls, "hold "+until.Format(time.DateOnly))
	for _, id := range ids {
		s.held[ns.String()+key(id)] = true
	}
	return nil
}

func (s *server) Finish(_ context.Context, rule, ns string) error {
	s.calls = append(s.calls, "finish "+rule+" "+ns)
	if s.finish != nil {
		return s.finish(rule, ns)
	}
	return nil
}

func (s *server) Wait(_ context.Context, docs int, _ int64) error {
	s.calls = append(s.calls, fmt.Sprintf("wait %d", docs))
	return nil
}

func (s *server) LoadRestore(_ context.Context, key string) (Bookmark, error) {
	return s.marks[key], nil
}

func (s *server) SaveRestore(_ context.Context, key string, b Bookmark) error {
	s.marks[key] = b
	if b == (Bookmark{}) {
		delete(s.marks, key)
	}
	return nil
}
