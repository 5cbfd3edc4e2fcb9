package app

import (
	"strings"
	"testing"

	"sluice/internal/flow"
)

// TestS10PlacesAreNotShared: two namespaces never get one index.
func TestS10PlacesAreNotShared(t *testing.T) {
	upper, lower := flow.Namespace{DB: "shop", Coll: "Orders"}, flow.Namespace{DB: "shop", Coll: "orders"}
	p := newPlaces()
	for range 2 {
		if err := p.claim("shop.orders", upper); err != nil {
			t.Fatal(err)
		}
	}
	err := p.claim("shop.orders", lower)
	if flow.ClassOf(err) != flow.Config {
		t.Fatalf("class %s: %v", flow.ClassOf(err), err)
	}
	for _, word := range []string{"shop.Orders", "shop.orders", "would share", "exclude", "index_prefix"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message lacks %q: %v", word, err)
		}
	}
	if err := p.claim("shop.users", flow.Namespace{DB: "shop", Coll: "users"}); err != nil {
		t.Error(err)
	}
	p.release(upper)
	if err := p.claim("shop.orders", lower); err != nil {
		t.Errorf("after the first is gone: %v", err)
	}
}
