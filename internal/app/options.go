package app

import (
	"log/slog"
	"net/http"

	"sluice/internal/config"
)

// Options say what to run and how.
type Options struct {
	Config *config.Config
	// Once ends every flow when its snapshot is settled and its stream has
	// reached the time at which the snapshot ended.
	Once bool
	// Resync names namespaces to copy again in place; "all" stands for all.
	Resync []string
	// AcceptShape keeps what is in the index although the configuration now
	// shapes documents in another way (rule S12).
	AcceptShape bool
	Logger      *slog.Logger
	// Progress, if not nil, shows a progress line.
	Progress *Screen
	// Transport, if not nil, takes the place of the network to the search
	// engine (tests and benchmarks).
	Transport http.RoundTripper
	// Watch, if not nil, says how a changed configuration is noticed. With Once
	// nothing is watched.
	Watch *Watch
}
