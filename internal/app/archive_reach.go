package app

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// reachable asks each place of the rules for its first object, before anything is
// counted or read for it: a wrong key or bucket is told in seconds, and not when
// the first pack is ready. It is tried a few times less than what a run does, and
// writes nothing; what may not be written is found by doctor.
func (a *archiver) reachable(ctx context.Context) error {
	done := map[string]bool{}
	for _, r := range a.rules {
		place := r.cfg.To
		if done[place] {
			continue
		}
		done[place] = true
		if err := a.reach(ctx, place); err != nil {
			return fmt.Errorf("rule %s: %w", r.cfg.Name, err)
		}
	}
	return nil
}

func (a *archiver) reach(ctx context.Context, place string) (err error) {
	o := reachS3(a.o.Config.S3)
	o.Attempts = 2
	store, err := objstore.Open(ctx, place, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePlace(store)) }()
	for _, err := range store.List(ctx, "") {
		if err != nil {
			return &flow.Error{Op: "reach", Object: objstore.Name(place), Class: flow.ClassOf(err), Err: err}
		}
		break
	}
	return nil
}
