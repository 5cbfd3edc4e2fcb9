package app

import (
	"context"
	"log/slog"

	"sluice/internal/flow"
	"sluice/internal/pipeline"
	"sluice/internal/search"
)

// controls applies what happens to whole namespaces: to the index by the
// sink, and, after a snapshot that may have left ghosts, by their removal.
type controls struct {
	sink    *search.Sink
	ghosts  func() pipeline.Ghosts
	bind    *binding
	letters *letters
	log     *slog.Logger
	// hear is told of each control first.
	hear func(flow.Control)
	// gone hears of a collection that was dropped or renamed away.
	gone func(flow.Namespace)
	// stay tells why ghosts of a namespace stay; "" if they don't.
	stay func(context.Context, flow.Namespace) (why string, err error)
}

// Apply does what c asks for; it may be called again after a failure.
func (a *controls) Apply(ctx context.Context, c flow.Control) error {
	log := a.log.With(slog.String(flow.LogNS, c.NS.String()))
	a.hear(c)
	if err := a.sink.Apply(ctx, c); err != nil {
		return err
	}
	switch c.Kind {
	case flow.ControlSnapshotBegin, flow.ControlCreated:
		if err := a.bind.record(ctx, c.NS); err != nil {
			return err
		}
		if c.Kind == flow.ControlSnapshotBegin {
			log.Info("snapshot starts")
		}
	case flow.ControlSnapshotDone:
		if err := a.snapshotDone(ctx, c, log); err != nil {
			return err
		}
		return a.sink.Trust(ctx, c.NS, true)
	case flow.ControlDropped:
		a.gone(c.NS)
		if err := a.letters.CloseNamespace(ctx, c.NS); err != nil {
			return err
		}
		log.Info("the collection was dropped or renamed away", slog.Any(flow.LogTime, c.Time))
	case flow.ControlReplaced:
		log.Info("the collection was replaced by another; it is copied again", slog.Any(flow.LogTime, c.Time))
	}
	return nil
}

func (a *controls) snapshotDone(ctx context.Context, c flow.Control, log *slog.Logger) error {
	if !c.Ghosts {
		log.Info("snapshot done")
		return nil
	}
	why, err := a.stay(ctx, c.NS)
	if err != nil {
		return err
	}
	if why != "" {
		log.Warn("snapshot done; documents that MongoDB no longer has stay in the index: " + why)
		return nil
	}
	ghosts := a.ghosts()
	removed, err := ghosts.Remove(ctx, c.NS)
	if err != nil {
		return err
	}
	log.Info("snapshot done; documents that MongoDB no longer has were removed", slog.Int(flow.LogCount, removed))
	return nil
}
