package config

import (
	"strings"
	"testing"
)

// TestIndexes: a namespace gets the name that is given for it, others the one that
// is made.
func TestIndexes(t *testing.T) {
	c := mustLoad(t, "mongodb: {uri: 'mongodb://a/?replicaSet=r'}\nsearch: {urls: ['http://a:9200']}\nflows: [{name: a, namespaces: [shop.*], index_prefix: p-, indexes: {shop.Orders: all-orders}}]\n")
	for coll, want := range map[string]string{"Orders": "all-orders", "customers": "p-shop.customers"} {
		if got, err := IndexName(c.Flows[0], "shop", coll); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", coll, got, err, want)
		}
	}
}

// TestIndexesRefused: names that two would have, or nobody.
func TestIndexesRefused(t *testing.T) {
	f := func(flow, want string) {
		t.Helper()
		_, err := Parse("a.yaml", []byte("mongodb: {uri: 'mongodb://a/?replicaSet=r'}\nsearch: {urls: ['http://a:9200']}\nflows: [{name: a, "+flow+"}]\n"), Overrides{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flow, err, want)
		}
	}
	f("namespaces: [s.a, s.b], indexes: {s.a: x, s.b: x}", "would share the index")
	f("namespaces: [s.*], indexes: {s.a: x, s.b: x}", "s.a and s.b would share an index")
	f("namespaces: [s.a, s.b], indexes: {s.a: s.b}", "would share the index")
	f("namespaces: [s.a], indexes: {s.c: x}", "this flow doesn't follow s.c")
	f("namespaces: [s.a], indexes: {s.a: X}", "lower case")
	f("namespaces: [s.a], indexes: {s.*: x}", "wants one collection")
	f("namespaces: [s.a], index: x, indexes: {s.a: y}", "can't stand beside index")
}
