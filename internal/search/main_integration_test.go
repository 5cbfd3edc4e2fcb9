//go:build integration

package search

import (
	"encoding/json"
	"net/url"
	"os"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// rig is a real engine with a namespace of its own.
type rig struct {
	*testing.T
	url    string
	client *Client
	sink   *Sink
	ns     flow.Namespace
	// name is the index of ns. It has a dot, as most have.
	name string
}

// newRig routes its namespace by r; change may alter the options.
func newRig(t *testing.T, url string, r Route, change func(*Options)) *rig {
	t.Helper()
	name := testkit.UniqueName(t) + ".orders"
	o := testOptions(t, url, r)
	if change != nil {
		change(&o)
	}
	c := openTest(t, o)
	return &rig{T: t, url: url, client: c, sink: c.Sink(), ns: flow.Namespace{DB: "shop", Coll: name}, name: name}
}

func (g *rig) concrete() string { return g.name + "-000001" }

// own puts changes into the rig's namespace.
func (g *rig) own(changes ...flow.Change) flow.Batch {
	for i := range changes {
		changes[i].NS = g.ns
	}
	return flow.Batch{Changes: changes}
}

// want writes changes and compares the outcomes.
func (g *rig) want(want string, changes ...flow.Change) []flow.Verdict {
	g.Helper()
	vs, err := g.sink.Write(g.Context(), g.own(changes...))
	if err != nil {
		g.Fatal(err)
	}
	if got := outcomes(vs); got != want {
		g.Errorf("%s, want %s", got, want)
		for _, v := range vs {
			if v.Err != nil {
				g.Log(v.Err)
			}
		}
	}
	return vs
}

// api sends any request; it returns the status and the decoded answer.
func (g *rig) api(method, path, body string) (int, map[string]any) {
	g.Helper()
	r := &request{method: method, path: path}
	if body != "" {
		r.body = []byte(body)
	}
	ans, err := g.client.do(g.Context(), r, nil)
	if err != nil {
		g.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(ans.body, &out)
	return ans.status, out
}

// must is api for what has to succeed.
func (g *rig) must(method, path, body string) map[string]any {
	g.Helper()
	status, out := g.api(method, path, body)
	if status >= 300 {
		g.Fatalf("%s %s %s: %d %v", method, path, body, status, out)
	}
	return out
}

// source returns what the index holds under an id, nil for nothing.
func (g *rig) source(id string) map[string]any {
	g.Helper()
	_, out := g.api("GET", "/"+g.name+"/_doc/"+url.PathEscape(id), "")
	source, _ := out["_source"].(map[string]any)
	return source
}

// setting returns one setting of the concrete index.
func (g *rig) setting(name string) string {
	g.Helper()
	x, _, err := g.client.lookup(g.Context(), g.name)
	if err != nil || x == nil {
		g.Fatal("no index", err)
	}
	return x.setting(name)
}
