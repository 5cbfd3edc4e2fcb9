//go:build integration

package search

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// testPipeline: documents go through the flow's ingest pipeline once; without
// it nothing is written, and no document is to blame.
func testPipeline(t *testing.T, url string) {
	g := newRig(t, url, Route{Delete: DeleteMark}, nil)
	name := g.name + "-pipe"
	path := "/_ingest/pipeline/" + name
	change := func(o *Options) { o.Pipeline = name }
	p := newRig(t, url, Route{Delete: DeleteMark}, change)
	p.want("halt:index_configuration", write(t, "a", 5))

	// Builds without processors have pipelines that do nothing.
	does := true
	if status, _ := g.api("PUT", path, `{"processors":[{"append":{"field":"seen","value":["x"]}}]}`); status >= 300 {
		does = false
		g.must("PUT", path, `{"processors":[]}`)
	}
	defer g.api("DELETE", path, "")
	p.want("done", write(t, "a", 5, bson.E{Key: "n", Value: 1}))
	p.want("done", write(t, "a", 5, bson.E{Key: "n", Value: 1})) // a replay
	p.want("done", remove(t, "a", 6))
	got := p.source("a")
	if got["deleted"] == nil {
		t.Error("not marked", got)
	}
	if does && fmt.Sprint(got["seen"]) != "[x]" {
		t.Errorf("it went through the pipeline otherwise than once: %v", got)
	}
	p.want("done", remove(t, "absent", 6))
}
