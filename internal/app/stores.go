package app

import (
	"path/filepath"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/search"
)

// openStore opens the place of a flow's state; the second result closes it.
func openStore(cfg *config.Config, flowName string, client *search.Client) (checkpoint.Store, func() error, error) {
	if cfg.State.Store == config.StoreSearch {
		return client.Store(cfg.State.Index, flowName), func() error { return nil }, nil
	}
	s, err := checkpoint.OpenFile(filepath.Join(cfg.State.Path, flowName+".state"))
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}
