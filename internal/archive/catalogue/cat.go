package catalogue

import (
	"context"
	"io"

	"sluice/internal/pack"
)

// Cat writes the documents of a pack to w, one after another: the BSON that
// bsondump and mongorestore read. Each frame is checked before it is written; a
// pack that is damaged ends in an error.
func (s *Shelf) Cat(ctx context.Context, id string, w io.Writer) error {
	it, err := s.item(ctx, id)
	if err != nil {
		return err
	}
	body, err := s.store.Get(ctx, it.Header.Object, 0, -1)
	if err != nil {
		return coldHint("read pack", it.Header.Object, fail("read pack", it.Header.Object, err))
	}
	defer func() { _ = body.Close() }()
	return fail("read pack", it.Header.Object, pack.Decode(w, body, it.Header.Codec))
}
