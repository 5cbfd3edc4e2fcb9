package app

import (
	"context"
	"path/filepath"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/deadletter"
	"sluice/internal/mongo/statedb"
	"sluice/internal/search"
)

// stores are the places of one flow's state and dead letters.
type stores struct {
	cfg    *config.Config
	flow   string
	search *search.Client
	// db is nil unless one of them is in MongoDB.
	db *statedb.DB
}

// openStores connects to what the stores need beside client; close ends that.
func openStores(ctx context.Context, cfg *config.Config, flowName string, client *search.Client) (*stores, error) {
	s := &stores{cfg: cfg, flow: flowName, search: client}
	if cfg.State.Store != config.StoreMongoDB && cfg.DeadLetters.Store != config.StoreMongoDB {
		return s, nil
	}
	var err error
	s.db, err = statedb.Open(ctx, statedb.Options{URI: cfg.MongoDB.URI.Reveal(), AppName: "sluice " + Version, Database: cfg.MongoDB.OwnDatabase})
	return s, err
}

// probe tries the rights that would otherwise be missed only with the first
// dead letter. The position's own are tried when it is taken over.
func (s *stores) probe(ctx context.Context) error {
	if s.cfg.DeadLetters.Store != config.StoreMongoDB {
		return nil
	}
	return s.db.DeadLetters(s.flow).Probe(ctx)
}

// state opens the place of the flow's state; the second result closes it.
func (s *stores) state() (checkpoint.Store, func() error, error) {
	none := func() error { return nil }
	switch s.cfg.State.Store {
	case config.StoreMongoDB:
		return s.db.Checkpoints(s.flow), none, nil
	case config.StoreSearch:
		return s.search.Store(s.cfg.State.Index, s.flow), none, nil
	}
	file, err := checkpoint.OpenFile(filepath.Join(s.cfg.State.Path, s.flow+".state"))
	if err != nil {
		return nil, nil, err
	}
	return file, file.Close, nil
}

// deadLetters opens the place of the flow's dead letters; the second result
// closes it.
func (s *stores) deadLetters() (deadletter.Store, func() error, error) {
	none := func() error { return nil }
	switch s.cfg.DeadLetters.Store {
	case config.StoreMongoDB:
		return s.db.DeadLetters(s.flow), none, nil
	case config.StoreFile:
		file, err := deadletter.OpenFile(filepath.Join(s.cfg.DeadLetters.Path, s.flow+".dead-letters"))
		if err != nil {
			return nil, nil, err
		}
		return file, file.Close, nil
	}
	// An index for each flow: a book is the only user of its store.
	return letterIndex{index: s.search.DeadLetters(s.cfg.DeadLetters.Index + "-" + s.flow)}, none, nil
}

// close ends the connection of the stores, after both are closed.
func (s *stores) close(ctx context.Context) error {
	if s.db == nil {
		return nil
	}
	return s.db.Close(ctx)
}
