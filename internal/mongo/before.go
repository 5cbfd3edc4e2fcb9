package mongo

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// beforeOf is what an event tells of its document before it (rule S14): an
// insert that there was none, any other as much as its pre-image says. Of a
// sharded collection nothing is sure: its events come from several oplogs.
func beforeOf(e *event, key bson.Raw) *flow.Before {
	switch {
	case key != nil:
	case e.kind == kindInsert && e.doc != nil:
		return &flow.Before{}
	case e.kind != kindInsert && e.before != nil:
		return &flow.Before{Docs: []bson.Raw{e.before}}
	}
	return nil
}

// askBefore has the server send pre-images, where it has any: not with an
// event that is too large as it is.
func (st *stream) askBefore(o *options.ChangeStreamOptionsBuilder) {
	s := st.s
	wanted := s.opts.Before && s.opts.PreImages && !st.slim && !s.caps.sharded && s.caps.version.atLeast(6, 0)
	if wanted && slices.ContainsFunc(s.collections, func(c Collection) bool { return c.PreImages }) {
		o.SetFullDocumentBeforeChange(options.WhenAvailable)
	}
}
