package script

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode/shapes"
)

const twoFields = `module.exports = function(doc) {
	doc.source = 'shop';
	doc.label = doc._id.toString() + '/' + doc.status;
	return doc;
}`

func BenchmarkScripts(b *testing.B) {
	for _, c := range []struct{ name, code string }{{"deletedAt", deletedAt}, {"two fields", twoFields}, {"every field", "module.exports = function (doc) { for (var k in doc) { if (doc[k] === 'none') return false } return doc }"}} {
		for _, k := range []struct {
			name string
			make func(int) bson.Raw
		}{{"small", shapes.Small}, {"medium", shapes.Medium}, {"wide", shapes.Wide}} {
			b.Run(c.name+"/"+k.name, func(b *testing.B) {
				s := stage(b, Options{Entries: []Entry{entry(c.code)}})
				docs := make([]bson.Raw, 200)
				for i := range docs {
					docs[i] = k.make(i)
				}
				changes := make([]flow.Change, len(docs))
				b.ReportAllocs()
				for n := 0; n < b.N; n += len(docs) {
					for i, d := range docs {
						changes[i] = flow.Change{Op: flow.OpWrite, NS: orders, ID: d.Lookup("_id"), Doc: d}
					}
					if out, err := s.Apply(b.Context(), flow.Batch{Changes: changes}); err != nil || out.Changes[0].Fault != nil {
						b.Fatal(err, out.Changes[0].Fault)
					}
				}
			})
		}
	}
}
