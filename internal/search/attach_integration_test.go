//go:build integration

package search

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// testLongText: a text that is longer than the engine's parser takes, if it has a
// bound, puts its document aside, and no other.
func testLongText(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	long := write(t, "long", 5, bson.E{Key: "x", Value: strings.Repeat("x", 50_000_100)})
	vs, err := g.sink.Write(t.Context(), g.own(write(t, "a", 5), long, write(t, "b", 5)))
	if err != nil {
		t.Fatal(err)
	}
	c := g.sink.client
	if most := c.MaxContent(t.Context()); most <= 1<<20 || most > 100<<20 {
		t.Errorf("it takes bodies of %d bytes", most)
	} else {
		t.Logf("it takes bodies of %d bytes", most)
	}
	bounded := c.product == OpenSearch && c.version.Major >= 3
	if got := outcomes(vs); got != "done dead_letter:too_large done" && (bounded || got != "done done done") {
		t.Error(got, vs[1].Err)
	}
}
