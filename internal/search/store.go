package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// Store keeps a checkpoint in one document of an index. It is safe from
// several goroutines and processes: saves are compare-and-set by the engine's
// sequence number and primary term.
type Store struct {
	client *Client
	index  string
	id     string
	made   atomic.Bool
}

var _ checkpoint.Store = (*Store)(nil)

// Store returns the store of the document id of an index, which is made when
// the first record is saved.
func (c *Client) Store(index, id string) checkpoint.Store {
	return &Store{client: c, index: index, id: id}
}

// stored is the document. Data is base64: it may be any bytes.
type stored struct {
	Fence int64  `json:"fence"`
	Data  []byte `json:"data"`
}

func (s *Store) path() string {
	return "/" + url.PathEscape(s.index) + "/_doc/" + url.PathEscape(s.id)
}

func (s *Store) object() string { return s.index + "/" + s.id }

// Load reads the record; it sees every save that has returned.
func (s *Store) Load(ctx context.Context) (checkpoint.Record, error) {
	var doc struct {
		Found  bool    `json:"found"`
		Seq    *int64  `json:"_seq_no"`
		Term   *int64  `json:"_primary_term"`
		Source *stored `json:"_source"`
	}
	err := s.client.call(ctx, "load state", s.object(), get(s.path()+"?realtime=true"), &doc)
	if apiErrorOf(err).Status == http.StatusNotFound {
		return checkpoint.Record{}, nil
	}
	if err != nil {
		return checkpoint.Record{}, err
	}
	if !doc.Found || doc.Seq == nil || doc.Term == nil || doc.Source == nil {
		return checkpoint.Record{}, &flow.Error{
			Op: "load state", Object: s.object(), Class: flow.Fatal,
			Err: errors.New("the document is no state"), Hint: "give the state an index of its own (state.index)",
		}
	}
	return checkpoint.Record{Rev: rev(*doc.Seq, *doc.Term), Fence: doc.Source.Fence, Data: doc.Source.Data}, nil
}

func rev(seq, term int64) string { return fmt.Sprintf("%d:%d", seq, term) }

// Save writes the record if the stored one still is the one of r.Rev. The
// engine answers when it is on disk, on the primary and every copy in sync.
func (s *Store) Save(ctx context.Context, r checkpoint.Record) (checkpoint.Record, error) {
	if err := s.make(ctx); err != nil {
		return checkpoint.Record{}, err
	}
	body, err := json.Marshal(stored{Fence: r.Fence, Data: r.Data})
	if err != nil {
		return checkpoint.Record{}, err
	}
	path := s.path() + "?op_type=create"
	if r.Rev != "" {
		seq, term, ok := strings.Cut(r.Rev, ":")
		if !ok {
			return checkpoint.Record{}, s.conflict(errors.New("the revision is not one of this store"))
		}
		path = s.path() + "?if_seq_no=" + url.QueryEscape(seq) + "&if_primary_term=" + url.QueryEscape(term)
	}
	// Sent twice, the second would lose against the first.
	req := put(path, body)
	req.unique = true
	var out struct {
		Seq  *int64 `json:"_seq_no"`
		Term *int64 `json:"_primary_term"`
	}
	err = s.client.call(ctx, "save state", s.object(), req, &out)
	if e := apiErrorOf(err); e.Status == http.StatusConflict {
		return checkpoint.Record{}, s.conflict(e)
	}
	if err == nil && (out.Seq == nil || out.Term == nil) {
		err = &flow.Error{Op: "save state", Object: s.object(), Class: flow.Transient, Err: errTorn}
	}
	if err != nil {
		return checkpoint.Record{}, err
	}
	r.Rev = rev(*out.Seq, *out.Term)
	return r, nil
}

func (s *Store) conflict(cause error) error {
	return &flow.Error{
		Op: "save state", Object: s.object(), Class: flow.Conflict, Err: errors.Join(checkpoint.ErrConflict, cause),
		Hint: "another process writes this state, or the document was deleted: run one instance per flow, then start again",
	}
}

func (s *Store) make(ctx context.Context) error {
	if s.made.Load() {
		return nil
	}
	if err := s.client.makeOwnIndex(ctx, s.index); err != nil {
		return err
	}
	s.made.Store(true)
	return nil
}

// ownIndexBody is what such an index is made with.
const ownIndexBody = `{"settings":{"index.number_of_shards":1,"index.auto_expand_replicas":"0-1","index.hidden":true},` +
	`"mappings":{"enabled":false}}`

// makeOwnIndex makes a small index for what is ours and not searched, unless it
// is there.
func (c *Client) makeOwnIndex(ctx context.Context, index string) error {
	err := c.call(ctx, "create index", index, put("/"+url.PathEscape(index), []byte(ownIndexBody)), nil)
	switch e := apiErrorOf(err); {
	case e.Type == "resource_already_exists_exception", e.Type == "invalid_index_name_exception" && strings.Contains(e.Reason, "already exists"):
		return nil
	case e.Status == http.StatusForbidden: // no right to make it, but perhaps it is there
		if x, _, lookErr := c.lookup(ctx, index); lookErr == nil && x != nil {
			return nil
		}
	}
	return err
}
