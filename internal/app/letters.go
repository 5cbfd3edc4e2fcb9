package app

import (
	"context"
	"encoding/json"

	"sluice/internal/deadletter"
	"sluice/internal/search"
)

// letters is the book of dead letters of one flow, with what closes its store.
type letters struct {
	*deadletter.Book
	close func() error
}

// openLetters opens the store that the configuration names.
func openLetters(ctx context.Context, kept *stores) (*letters, error) {
	store, done, err := kept.deadLetters()
	if err != nil {
		return nil, err
	}
	book, err := deadletter.Open(ctx, store)
	if err != nil {
		_ = done() // the cause is what matters
		return nil, err
	}
	return &letters{Book: book, close: done}, nil
}

// letterIndex keeps letters in an index of the search engine.
type letterIndex struct {
	index *search.DeadLetterIndex
}

var _ deadletter.Store = letterIndex{}

// Put writes letters; each replaces the one of its key.
func (s letterIndex) Put(ctx context.Context, all []deadletter.Letter) error {
	for _, l := range all {
		body, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if err := s.index.Put(ctx, l.Hash(), body); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes the letters of keys away.
func (s letterIndex) Remove(ctx context.Context, keys []deadletter.Key) error {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.Hash()
	}
	return s.index.Remove(ctx, ids)
}

// Load calls f with every letter.
func (s letterIndex) Load(ctx context.Context, f func(deadletter.Letter) error) error {
	return s.index.Scan(ctx, func(_ string, body []byte) error {
		var l deadletter.Letter
		if err := json.Unmarshal(body, &l); err != nil {
			return err
		}
		return f(l)
	})
}
