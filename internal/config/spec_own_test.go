package config

import (
	"strings"
	"testing"
)

// TestOwnDatabaseIsNotFollowed: a flow that would follow its own position is refused.
func TestOwnDatabaseIsNotFollowed(t *testing.T) {
	f := func(state, flow, want string) {
		t.Helper()
		_, err := Parse("a.yaml", []byte("mongodb: {uri: 'mongodb://a/?replicaSet=r', own_database: shop}\nsearch: {urls: ['http://a:9200']}\n"+state+"\nflows: [{name: a, "+flow+"}]\n"), Overrides{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s %s: %v, want %q", state, flow, err, want)
		}
	}
	const taken = "takes in shop.sluice."
	f("state: {store: mongodb}", "namespaces: [shop.*]", taken+"checkpoints")
	f("dead_letters: {store: mongodb}", "namespaces: [a.b, '/./']", taken)
	f("state: {store: mongodb}", "namespaces: [shop.*], exclude: [shop.sluice.checkpoints]", taken+"dead_letters")
	f("state: {store: mongodb}", "namespaces: [shop.*], exclude: ['/^shop[.]sluice[.]/']", "")
	f("state: {store: mongodb}", "namespaces: [shop.orders]", "")
	f("", "namespaces: [shop.*]", "")
}
