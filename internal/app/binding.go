package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/search"
)

// binding holds what a flow's position is bound to (rule S12): the shape and
// the index of each namespace. Safe from several goroutines.
type binding struct {
	sink  *search.Sink
	shape func(flow.Namespace) string

	mu      sync.Mutex
	shapes  map[string]string
	targets map[string]string
}

func newBinding(sink *search.Sink, cfg *config.Flow) *binding {
	return &binding{
		sink: sink, shape: func(ns flow.Namespace) string { return fingerprint(cfg, ns) },
		shapes: map[string]string{}, targets: map[string]string{},
	}
}

// fingerprint sums up what of the configuration shapes the documents of ns.
func fingerprint(cfg *config.Flow, ns flow.Namespace) string {
	type fields struct {
		Include []string
		Exclude []string
		Rename  map[string]string
	}
	index, _ := config.IndexName(*cfg, ns.DB, ns.Coll)
	shape, _ := json.Marshal(struct {
		Index   string
		Filters []string
		Fields  fields
		Render  config.Render
	}{index, cfg.FilterTexts(), fields{cfg.Fields.Include, cfg.Fields.Exclude, cfg.Fields.Rename}, cfg.Render})
	// What came later counts only where it is used: who does not use it keeps the
	// positions that an older version saved.
	var later struct {
		Where []string       `json:",omitempty"`
		Pipe  string         `json:",omitempty"`
		Place []string       `json:",omitempty"`
		Files []string       `json:",omitempty"`
		Code  []string       `json:",omitempty"`
		More  *config.Fields `json:",omitempty"`
		// Write is what is not native.
		Write []string `json:",omitempty"`
		// Stream is the field of @timestamp of a data stream.
		Stream string `json:",omitempty"`
	}
	x := cfg.Fields
	x.Include, x.Exclude, x.Rename = nil, nil, nil
	if len(x.Cast) == 0 {
		x.OnError = ""
	}
	if len(x.Cast)+len(x.Flatten)+len(x.Set)+len(x.Copy) > 0 || x.LowerNames {
		later.More = &x
	}
	later.Pipe, later.Files = cfg.Pipeline, filesShape(cfg, ns)
	if cfg.Templated() {
		later.Place = []string{cfg.Index, cfg.ID, cfg.Routing}
		if cfg.IsJoin() {
			later.Place = append(later.Place, fmt.Sprint(cfg.Join))
		}
	}
	if cfg.Profile == config.ProfileMonstache || cfg.Write == config.WriteUpdate {
		later.Write = []string{string(cfg.Profile), string(cfg.Write)}
	}
	later.Stream = cfg.DataStream.Timestamp
	later.Where, later.Code = cfg.WhereTexts(), cfg.ScriptTexts()
	if later.More != nil || len(later.Where) > 0 || later.Pipe != "" || later.Place != nil || later.Files != nil || later.Write != nil || len(later.Code) > 0 || later.Stream != "" {
		more, _ := json.Marshal(later)
		shape = append(shape, more...)
	}
	sum := sha256.Sum256(shape)
	return hex.EncodeToString(sum[:12])
}

// find looks at the indexes of all namespaces, for the comparison at a start.
func (b *binding) find(ctx context.Context, source string, all []flow.Namespace) (checkpoint.Binding, error) {
	now := checkpoint.Binding{Source: source, Fingerprints: map[string]string{}, Targets: map[string]checkpoint.Target{}}
	for _, ns := range all {
		t, err := b.sink.Inspect(ctx, ns)
		if err != nil {
			return now, err
		}
		now.Fingerprints[ns.String()] = b.shape(ns)
		now.Targets[ns.String()] = checkpoint.Target{UUID: t.UUID, Docs: t.Docs}
	}
	return now, nil
}

// adopt takes over what is bound already.
func (b *binding) adopt(shapes, targets map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.shapes, shapes)
	maps.Copy(b.targets, targets)
}

// record binds ns to its index as it is now.
func (b *binding) record(ctx context.Context, ns flow.Namespace) error {
	t, err := b.sink.Inspect(ctx, ns)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shapes[ns.String()] = b.shape(ns)
	b.targets[ns.String()] = t.UUID
	if t.Scattered { // they come with the documents
		b.targets[ns.String()] = search.ScatteredUUID
	}
	return nil
}

// forget ends the binding of ns: its collection is gone.
func (b *binding) forget(ns flow.Namespace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shapes, ns.String())
	delete(b.targets, ns.String())
}

// snapshot returns copies for the state.
func (b *binding) snapshot() (shapes, targets map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.shapes), maps.Clone(b.targets)
}
