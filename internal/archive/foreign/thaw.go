package foreign

import (
	"context"
	"fmt"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// thawDays is for how long a thawed copy stays.
const thawDays = 3

// Thaw asks for the objects that are in a cold class to be made readable for some
// days, and fails with class Transient, and ErrCold, while there are any.
func Thaw(ctx context.Context, store objstore.Store, objects []Object) error {
	cold := 0
	for i := range objects {
		if !objects[i].Cold {
			continue
		}
		info, err := store.Head(ctx, objects[i].Key)
		if err != nil {
			return err
		}
		if !info.Cold { // there is a thawed copy
			continue
		}
		cold++
		if t, ok := objstore.As[objstore.Thawer](store); ok {
			if err := t.Thaw(ctx, objects[i].Key, thawDays, ""); err != nil {
				return err
			}
		}
	}
	if cold == 0 {
		return nil
	}
	return &flow.Error{
		Op: "thaw the archives of go-chive", Class: flow.Transient, Err: fmt.Errorf("%d of %d objects: %w", cold, len(objects), objstore.ErrCold),
		Hint: "They are being thawed; that takes minutes to hours. Then give the same command again.",
	}
}
