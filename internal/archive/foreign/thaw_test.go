package foreign

import (
	"context"
	"errors"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// freezer is a store whose objects are cold until they are thawed.
type freezer struct {
	objstore.Store
	asked, thawed map[string]bool
}

func (f *freezer) Head(_ context.Context, key string) (objstore.Info, error) {
	return objstore.Info{Key: key, Cold: !f.thawed[key]}, nil
}

func (f *freezer) Thaw(_ context.Context, key string, _ int, _ string) error {
	f.asked[key] = true
	return nil
}

func TestThaw(t *testing.T) {
	f := &freezer{asked: map[string]bool{}, thawed: map[string]bool{"b": true}}
	objects := []Object{{Key: "a", Cold: true}, {Key: "b", Cold: true}, {Key: "c"}}
	err := Thaw(context.Background(), f, objects)
	if class(t, err, flow.Transient); !errors.Is(err, objstore.ErrCold) || len(f.asked) != 1 || !f.asked["a"] {
		t.Errorf("%v, %v", err, f.asked)
	}
	f.thawed["a"] = true
	if err := Thaw(context.Background(), f, objects); err != nil {
		t.Error(err)
	}
}
