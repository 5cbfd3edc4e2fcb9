package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

// both has a flow that asks the archive (shop), one that does not (plain), and
// two rules, of which old may take what shop follows.
const both = `mongodb: {uri: "mongodb://127.0.0.1:27017/?replicaSet=rs0"}
search: {urls: ["http://127.0.0.1:9200"]}
flows:
  - {name: shop, namespaces: [shop.orders], on: {archive: mark}}
  - {name: plain, namespaces: [shop.people]}
archive:
  - {name: old, namespace: shop.orders, field: created_at, older_than: 92d, to: "s3://bucket/shop"}
  - {name: logs, namespace: logs.lines, field: at, older_than: 7d, to: "file:///tmp/logs"}
`

func diffOf(t testing.TB, a, b *Config) Diff {
	t.Helper()
	d, err := a.Diff(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiff(t *testing.T) {
	f := func(old, next, want string) {
		t.Helper()
		changed := strings.Replace(both, old, next, 1)
		if changed == both && old != next {
			t.Fatalf("%q is not there", old)
		}
		d := diffOf(t, mustLoad(t, both), mustLoad(t, changed))
		var got []string
		tell := func(what string, c Changes) {
			for kind, names := range map[string][]string{"+": c.Added, "~": c.Changed, "-": c.Removed} {
				for _, n := range names {
					got = append(got, kind+what+n)
				}
			}
		}
		tell("", d.Flows)
		tell("rule ", d.Rules)
		if d.Archive {
			got = append(got, "archive")
		}
		if d.Live {
			got = append(got, "live")
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != want || d.Empty() != (want == "") {
			t.Errorf("%s → %s: %q, want %q", old, next, text, want)
		}
	}
	f("", "", "")
	f("", "# a comment\n", "")
	f("  - {name: plain, ", "  - {name: new, namespaces: [a.b]}\n  - {name: plain, ", "+new")
	f("name: plain", "name: other", "+other -plain")
	f("[shop.people]", "[shop.people, shop.pets]", "~plain")
	f("namespaces: [shop.people]", "namespaces: [shop.people], snapshot: {rate: 10}", "~plain")
	f("search: {urls: [\"http://127.0.0.1:9200\"]}", "search: {urls: [\"http://127.0.0.1:9200\"], gzip: true}", "~plain ~shop")
	f("search: {urls: [\"http://127.0.0.1:9200\"]}", "search: {urls: [\"http://127.0.0.1:9200\"], trace: true}", "~plain ~shop")
	f("search:", "dead_letters: {store: mongodb}\nsearch:", "~plain ~shop")
	f("search:", "limits: {lanes: 8}\nsearch:", "~plain ~shop")
	f("search:", "limits: {memory_budget: 64MB}\nsearch:", "live")
	f("search:", "http: {token: abcdefgh, ready_lag: 30s}\nsearch:", "live")
	f("search:", "governor: {max_lag: 9s}\nsearch:", "archive ~rule logs ~rule old")
	f("namespaces: [shop.people]", "namespaces: [shop.people], snapshot: {pace: auto}", "~plain")
	f("search:", "s3: {region: eu-west-1}\nsearch:", "archive ~rule logs ~rule old ~shop")
	f("older_than: 7d", "older_than: 8d", "~rule logs")
	f("older_than: 92d", "older_than: 93d", "~rule old")
	f("s3://bucket/shop", "s3://bucket/other", "~rule old ~shop")
	f(`  - {name: logs, namespace: logs.lines, field: at, older_than: 7d, to: "file:///tmp/logs"}`, "", "-rule logs")
	f("archive:\n", "archive:\n  - {name: more, namespace: /x/, field: at, older_than: 7d, to: \"file:///tmp/x\"}\n", "+rule more")
}

// TestDiffPaced: a flow that copies by the governor's limits depends on them.
func TestDiffPaced(t *testing.T) {
	paced := strings.Replace(both, "[shop.people]", "[shop.people], snapshot: {pace: auto}", 1)
	d := diffOf(t, mustLoad(t, paced), mustLoad(t, "governor: {max_lag: 9s}\n"+paced))
	if !slices.Equal(d.Flows.Changed, []string{"plain"}) || !slices.Equal(d.Flows.Same, []string{"shop"}) {
		t.Errorf("%+v", d.Flows)
	}
}

func TestDiffNeedsRestart(t *testing.T) {
	f := func(old, next, want string) {
		t.Helper()
		_, err := mustLoad(t, both).Diff(mustLoad(t, strings.Replace(both, old, next, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "needs a restart") {
			t.Errorf("%v, want %s", err, want)
		}
		if strings.Contains(fmt.Sprint(err), planted) {
			t.Errorf("a secret is told: %v", err)
		}
	}
	f("127.0.0.1:27017", "u:"+planted+"@127.0.0.2:27017", "sluice.yaml:1:16: mongodb.uri")
	f("search:", "state: {path: /elsewhere}\nsearch:", "sluice.yaml:2:8: state")
	f("search:", "http: {listen: off}\nsearch:", "sluice.yaml:2:16: http.listen")
	f("search:", "logs: {style: monstache}\nsearch:", "sluice.yaml:2:7: logs")
	f("search:", "stats: {log: true}\nsearch:", "sluice.yaml:2:8: stats")
	f("search:", "http: {monstache: {listen: \":8080\"}}\nsearch:", "sluice.yaml:2:19: http.monstache")
	f("search:", "http: {probes: \"127.0.0.1:9631\"}\nsearch:", "sluice.yaml:2:16: http.probes")
	withState := "state: {store: search}\n" + both
	if _, err := mustLoad(t, withState).Diff(mustLoad(t, both)); err == nil || !strings.HasPrefix(err.Error(), "sluice.yaml: state") {
		t.Error(err)
	}
}

// TestDiffSeesEveryField: whatever value of a configuration changes, the diff
// names what has to start again, or refuses, or calls it live: also of fields
// that somebody adds.
func TestDiffSeesEveryField(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	leaves := 0
	for i := 0; ; i++ {
		a, b := mustLoad(t, string(text)), mustLoad(t, string(text))
		path, more := changeLeaf(reflect.ValueOf(b).Elem(), i)
		if !more {
			break
		}
		leaves++
		d, err := a.Diff(b)
		if err == nil && d.Empty() {
			t.Errorf("a change of %s is not seen", path)
		}
		if err != nil || d.Live {
			continue
		}
		if len(d.Flows.Same) == len(b.Flows) && len(d.Rules.Same) == len(b.Archive) {
			t.Errorf("a change of %s ends nothing", path)
		}
	}
	if leaves < 60 {
		t.Errorf("only %d values were changed", leaves)
	}
}

// changeLeaf changes value number n of what lies in v, of fields that are
// exported; false: there are less.
func changeLeaf(v reflect.Value, n int) (path string, ok bool) {
	left := n
	var walk func(v reflect.Value, path string) (string, bool)
	walk = func(v reflect.Value, path string) (string, bool) {
		if at, is := v.Interface().(time.Time); is {
			if left--; left < 0 {
				v.Set(reflect.ValueOf(at.Add(time.Hour)))
			}
			return path, left < 0
		}
		if _, is := v.Interface().(bson.Raw); is {
			return path, false // its text stands beside it
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() && f.Name != "File" && f.Name != "Name" {
					if p, done := walk(v.Field(i), path+"."+f.Name); done {
						return p, true
					}
				}
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Struct {
				for i := range v.Len() {
					if p, done := walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); done {
						return p, true
					}
				}
				return path, false
			}
			if left--; left < 0 {
				v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			}
		case reflect.Map:
			if left--; left < 0 {
				more := reflect.MakeMap(v.Type())
				more.SetMapIndex(reflect.ValueOf("x").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
				v.Set(more)
			}
		default:
			if left--; left < 0 {
				changeScalar(v)
			}
		}
		return path, left < 0
	}
	return walk(v, "")
}

func changeScalar(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	default:
		v.SetInt(v.Int() + 1)
	}
}

// world is what runs: the configuration of each flow and rule when it started.
type world struct{ flows, rules map[string]string }

// started is what a start with c runs.
func started(c *Config) world {
	w := world{map[string]string{}, map[string]string{}}
	for i := range c.Flows {
		w.flows[c.Flows[i].Name] = effective(c, &c.Flows[i])
	}
	for i := range c.Archive {
		w.rules[c.Archive[i].Name] = fmt.Sprintf("%+v %+v %+v %+v", c.Archive[i], c.Governor, c.Spool, c.S3)
	}
	return w
}

func effective(c *Config, f *Flow) string {
	text := fmt.Sprintf("%+v %+v %+v %d %d", *f, c.Search, c.DeadLetters, c.Limits.Lanes, c.Limits.SnapshotWriters)
	if f.On.Attributes() {
		text += fmt.Sprintf("%+v %+v", c.takers(f), c.S3)
	}
	return text
}

// apply changes what runs as a reload does.
func (w world) apply(d Diff, next *Config) {
	fresh := started(next)
	for _, one := range []struct {
		is, next map[string]string
		c        Changes
	}{{w.flows, fresh.flows, d.Flows}, {w.rules, fresh.rules, d.Rules}} {
		for _, n := range one.c.Removed {
			delete(one.is, n)
		}
		for _, n := range slices.Concat(one.c.Changed, one.c.Added) {
			one.is[n] = one.next[n]
		}
	}
}

// TestDiffThenApply: applying A and then B leaves what a start with B runs, for
// each flow and rule.
func TestDiffThenApply(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := mustLoad(t, anyConfig(r)), mustLoad(t, anyConfig(r))
		w := started(a)
		w.apply(diffOf(t, a, b), b)
		if want := started(b); !reflect.DeepEqual(w, want) {
			r.Fatalf("it runs %v, want %v", w, want)
		}
	})
}

func anyConfig(r *rapid.T) string {
	one := func(name string, texts ...string) string { return rapid.SampledFrom(texts).Draw(r, name) }
	var b strings.Builder
	b.WriteString("mongodb: {uri: \"mongodb://127.0.0.1:27017/?replicaSet=rs0\"}\n")
	b.WriteString(one("search", "search: {urls: [\"http://127.0.0.1:9200\"]}\n", "search: {urls: [\"http://127.0.0.1:9201\"], gzip: true}\n"))
	b.WriteString(one("limits", "", "limits: {lanes: 2}\n", "limits: {memory_budget: 5MB}\n"))
	b.WriteString(one("letters", "", "dead_letters: {store: mongodb}\n"))
	b.WriteString("flows:\n")
	for _, name := range append([]string{"f0"}, rapid.SliceOfDistinct(rapid.SampledFrom([]string{"f1", "f2"}), rapid.ID).Draw(r, "flows")...) {
		fmt.Fprintf(&b, "  - {name: %s, namespaces: [%s.%s], %s}\n", name, name, one("coll", "a", "b"),
			one("rest", "on: {archive: mark}", "snapshot: {rate: 3}", "exclude: [x.y]"))
	}
	rules := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"r1", "r2"}), rapid.ID).Draw(r, "rules")
	if len(rules) > 0 {
		b.WriteString(one("governor", "", "governor: {max_lag: 9s}\n"))
		b.WriteString(one("s3", "", "s3: {region: x}\n"))
		b.WriteString("archive:\n")
	}
	for _, name := range rules {
		fmt.Fprintf(&b, "  - {name: %s, namespace: %s.a, field: at, older_than: %s, to: \"s3://bucket/%s\"}\n",
			name, one("db", "f"+name[1:], "z"+name), one("age", "7d", "8d"), one("to", "a", "b"))
	}
	return b.String()
}
