//go:build integration

package search

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// streamOptions makes documents go to data streams, with the time of their field at.
func streamOptions(o *Options) {
	o.Stream = &DataStream{Time: func(_ bson.RawValue, doc bson.Raw) (time.Time, error) {
		ms, ok := doc.Lookup("at").DateTimeOK()
		if !ok {
			return time.Time{}, errors.New("the field at is missing")
		}
		return time.UnixMilli(ms), nil
	}}
}

// added is a document of a data stream.
func added(t *testing.T, id string, n int) flow.Change {
	return write(t, id, int64(n), bson.E{Key: "n", Value: n}, bson.E{Key: "at", Value: bson.DateTime(1_700_000_000_000)})
}

// held tells how often the data stream holds each id, and n of the one.
func (g *rig) held() map[string][]int {
	g.Helper()
	g.must("POST", "/"+g.name+"/_refresh", "")
	out := g.must("POST", "/"+g.name+"/_search", `{"size":1000,"_source":["n","@timestamp"]}`)
	found := map[string][]int{}
	for _, h := range out["hits"].(map[string]any)["hits"].([]any) {
		hit := h.(map[string]any)
		source := hit["_source"].(map[string]any)
		if source["@timestamp"] != "2023-11-14T22:13:20.000Z" {
			g.Errorf("%v", source)
		}
		found[hit["_id"].(string)] = append(found[hit["_id"].(string)], int(source["n"].(float64)))
	}
	return found
}

func (g *rig) holds(want string) {
	g.Helper()
	if got := fmt.Sprint(g.held()); got != want {
		g.Errorf("%s, want %s", got, want)
	}
}

// anew is the rig with a sink that knows nothing, as after a start.
func (g *rig) anew() *rig {
	o := g.client.opts
	c := openTest(g.T, o)
	return &rig{T: g.T, url: g.url, client: c, sink: c.Sink(), ns: g.ns, name: g.name}
}

func newStreamRig(t *testing.T, url string, r Route) *rig {
	r.Delete, r.Archive = DeleteKeep, ArchiveKeep
	g := newRig(t, url, r, streamOptions)
	t.Cleanup(func() {
		for _, path := range []string{"/_data_stream/" + g.name, "/_index_template/" + streamTemplateName("f", g.name)} {
			_, _ = g.client.do(context.Background(), del(path), nil)
		}
	})
	return g
}

// refusesStreams tells whether the engine was built without data streams, and wants
// that said in so many words.
func refusesStreams(t *testing.T, url string) bool {
	t.Helper()
	g := newStreamRig(t, url, Route{})
	if status, _ := g.api("GET", "/_data_stream/"+g.name, ""); status != 405 && status != 400 {
		return false
	}
	err := g.sink.Prepare(t.Context(), g.ns)
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "has no data streams") {
		t.Errorf("no data streams: %v", err)
	}
	t.Log("this build of the engine has no data streams")
	return true
}

// testDataStream: documents are added once, whatever is sent again, also when the
// data stream rolls over at any point.
func testDataStream(t *testing.T, url string) {
	if refusesStreams(t, url) {
		return
	}
	g := newStreamRig(t, url, Route{Settings: []byte(`{"number_of_replicas":0}`), Mappings: []byte(`{"properties":{"n":{"type":"integer"}}}`)})
	g.want("done done", added(t, "a", 1), added(t, "b", 1))
	g.want("superseded done", added(t, "a", 2), added(t, "c", 1))
	g.want("done", remove(t, "a", 3))
	bad := added(t, "d", 1)
	bad.Doc = rawDoc(t, bson.D{{Key: "_id", Value: "d"}})
	g.want("dead_letter:timestamp", bad)
	wrong := write(t, "w", 1, bson.E{Key: "n", Value: "no number"}, bson.E{Key: "at", Value: bson.DateTime(1_700_000_000_000)})
	vs, err := g.sink.Write(t.Context(), g.own(wrong))
	if err != nil || vs[0].Outcome != flow.DeadLetter {
		t.Errorf("%s %v", outcomes(vs), err)
	}
	g.holds("map[a:[1] b:[1] c:[1]]")

	// It rolls over while the sink knows of one index.
	g.must("POST", "/"+g.name+"/_rollover", "")
	g.want("superseded done", added(t, "b", 5), added(t, "e", 1))
	g.want("superseded superseded done", added(t, "a", 6), added(t, "e", 2), added(t, "f", 1))
	g.holds("map[a:[1] b:[1] c:[1] e:[1] f:[1]]")

	// It rolls over between two processes; what the first one left is not added again.
	g.must("POST", "/"+g.name+"/_rollover", "")
	next := g.anew()
	next.want("superseded superseded superseded done", added(t, "a", 7), added(t, "e", 7), added(t, "f", 7), added(t, "g", 1))
	next.holds("map[a:[1] b:[1] c:[1] e:[1] f:[1] g:[1]]")

	// A process was killed when it had added a document twice.
	next.must("PUT", "/"+next.name+"/_create/c?refresh=false", `{"@timestamp":"2023-11-14T22:13:20.000Z","n":9}`)
	next.anew().want("superseded", added(t, "c", 1))
	next.holds("map[a:[1] b:[1] c:[1] e:[1] f:[1] g:[1]]")

	streamTarget(t, next)
	streamGone(t, next)
}

// streamTarget: what is bound to a data stream, whose indexes come and go.
func streamTarget(t *testing.T, g *rig) {
	t.Helper()
	x, err := g.sink.Inspect(t.Context(), g.ns)
	if err != nil || x.UUID != StreamUUID || x.Docs != 6 {
		t.Errorf("%+v %v", x, err)
	}
	if err := g.sink.Apply(t.Context(), flow.Control{Kind: flow.ControlSnapshotBegin, NS: g.ns}); err != nil {
		t.Error(err)
	}
	if err := g.sink.Restore(t.Context(), g.ns); err != nil {
		t.Error(err)
	}
	other := g.client.opts
	other.Flow = "other"
	if err := openTest(t, other).Sink().Prepare(t.Context(), g.ns); flow.ClassOf(err) != flow.Config {
		t.Errorf("another flow may write to it: %v", err)
	}
	plain := g.client.opts
	plain.Stream = nil
	if err := openTest(t, plain).Sink().Prepare(t.Context(), g.ns); flow.ClassOf(err) != flow.Config {
		t.Errorf("documents that change may be written to it: %v", err)
	}
}

// streamGone: a data stream that is deleted under way, and made anew by a late write,
// ends the flow, and is known for another one; a drop deletes it.
func streamGone(t *testing.T, g *rig) {
	t.Helper()
	g.want("done", added(t, "h", 1))
	g.must("DELETE", "/_data_stream/"+g.name, "")
	var err error
	for range 3 { // a failure that passes is tried again
		if _, err = g.sink.Write(t.Context(), g.own(added(t, "i", 1))); flow.ClassOf(err) != flow.Transient {
			break
		}
	}
	if !errors.Is(err, errStreamGone) {
		t.Errorf("it goes on: %v", err)
	}
	next := g.anew()
	if x, err := next.sink.Inspect(t.Context(), g.ns); err != nil || x.UUID == StreamUUID {
		t.Errorf("%+v %v", x, err)
	}
	g.api("DELETE", "/_data_stream/"+g.name, "")
	next.client.opts.Route = func(ns flow.Namespace) (Route, error) {
		r, err := g.client.opts.Route(ns)
		r.Drop = DropIndex
		return r, err
	}
	next = next.anew()
	next.want("done", added(t, "a", 1))
	if err := next.sink.Apply(t.Context(), flow.Control{Kind: flow.ControlDropped, NS: g.ns}); err != nil {
		t.Error(err)
	}
	if status, _ := next.api("GET", "/_data_stream/"+g.name, ""); status != 404 {
		t.Error("it is still there")
	}
}

// testDataStreamTemplates: a template of the user makes the data stream; one that makes
// plain indexes gives way to ours; an index of that name is refused.
func testDataStreamTemplates(t *testing.T, url string) {
	if refusesStreams(t, url) {
		return
	}
	g := newStreamRig(t, url, Route{})
	template := "/_index_template/" + g.name
	g.must("PUT", template, fmt.Sprintf(`{"index_patterns":["%s*"],"priority":900,"data_stream":{},"template":{"mappings":{"properties":{"n":{"type":"keyword"}}}}}`, g.name))
	g.want("done", added(t, "a", 1))
	if status, _ := g.api("GET", "/_index_template/"+streamTemplateName("f", g.name), ""); status != 404 {
		t.Error("there is a template of ours")
	}
	g.must("DELETE", "/_data_stream/"+g.name, "")
	with := newStreamRig(t, url, Route{Mappings: []byte(`{}`)})
	with.name, with.ns = g.name, g.ns
	if err := with.sink.Prepare(t.Context(), g.ns); err == nil || !strings.Contains(err.Error(), "index template "+g.name) {
		t.Errorf("mappings without effect: %v", err)
	}
	g.must("PUT", template, fmt.Sprintf(`{"index_patterns":["%s*"],"priority":901}`, g.name))
	g.anew().want("done", added(t, "a", 1))
	g.must("DELETE", "/_data_stream/"+g.name, "")
	g.must("DELETE", "/_index_template/"+streamTemplateName("f", g.name), "")
	g.must("PUT", "/"+g.name, "")
	if err := g.anew().sink.Prepare(t.Context(), g.ns); flow.ClassOf(err) != flow.Config {
		t.Errorf("an index bears its name: %v", err)
	}
	g.must("DELETE", "/"+g.name, "")
	g.must("DELETE", template, "")
}
