package app

import (
	"fmt"
	"sync"

	"sluice/internal/flow"
)

// places knows which namespace of a flow writes to which index, so that no two
// share one (rule S10): names that MongoDB tells apart may be one in lower case,
// and a pattern finds what no check of the configuration can see. Safe from
// several goroutines.
type places struct {
	mu    sync.Mutex
	owner map[string]flow.Namespace
}

func newPlaces() *places { return &places{owner: map[string]flow.Namespace{}} }

// claim takes index for ns; the error, of class Config, says that another
// namespace has it.
func (p *places) claim(index string, ns flow.Namespace) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other, taken := p.owner[index]; taken && other != ns {
		return &flow.Error{
			Op: "find the index of", Object: ns.String(), Class: flow.Config,
			Err: fmt.Errorf("%s and %s would share the index %q, where each would overwrite the other's documents", other, ns, index),
			Hint: "leave one of them out (exclude), and give it a flow of its own with another index or index_prefix;\n" +
				"nothing of the second one was written",
		}
	}
	p.owner[index] = ns
	return nil
}

// release gives the index of ns free: its collection is gone, and its documents too.
func (p *places) release(ns flow.Namespace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for index, owner := range p.owner {
		if owner == ns {
			delete(p.owner, index)
		}
	}
}
