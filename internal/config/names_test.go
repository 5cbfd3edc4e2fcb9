package config

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestT33CheckIndexName(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		err := CheckIndexName(name)
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("CheckIndexName(%q) = %v; want %q", name, err, want)
		}
	}
	f("shop.orders", "")
	f("äöü-1_+", "")
	f(".hidden", "")
	f(strings.Repeat("a", 240), "")
	f(strings.Repeat("a", 241), "at most 240 bytes")
	f(strings.Repeat("ä", 121), "at most 240 bytes")
	f("", "empty")
	f(".", "can't be . or ..")
	f("..", "can't be . or ..")
	f("-a", "can't start with")
	f("_a", "can't start with")
	f("+a", "can't start with")
	f("Shop", "lower case")
	f("ÄÖ", "lower case")
	for _, c := range `\/*?"<>| ,#:` + "\x00\n\x7f" {
		f("a"+string(c)+"b", "can't hold")
	}
	f("a\xff", "can't hold")
}

func TestT33IndexName(t *testing.T) {
	f := func(fl Flow, db, coll, want string) {
		t.Helper()
		if got, err := IndexName(fl, db, coll); err != nil || got != want {
			t.Errorf("IndexName(%s.%s) = %q, %v; want %q", db, coll, got, err, want)
		}
	}
	f(Flow{}, "shop", "orders", "shop.orders")
	f(Flow{}, "Shop", "Big Orders/2024", "shop.big_orders_2024")
	f(Flow{}, "shop", "a.b.C", "shop.a.b.c")
	f(Flow{}, "_x", "y", "x_x.y")
	f(Flow{}, "-x", "y", "x-x.y")
	f(Flow{}, "shop", "a:b#c,d|e<f>g?h*i\"j\\k", "shop.a_b_c_d_e_f_g_h_i_j_k")
	f(Flow{IndexPrefix: "prod-"}, "_x", "y", "prod-_x.y")
	f(Flow{Index: "fixed"}, "shop", "orders", "fixed")
	if _, err := IndexName(Flow{}, "shop", strings.Repeat("a", 236)); err == nil || !strings.Contains(err.Error(), "flow of its own") {
		t.Error(err)
	}
}

// TestT33IndexNameProperty: a name that is made is one that the products take.
func TestT33IndexNameProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db, coll := rapid.StringN(1, 63, 100).Draw(t, "db"), rapid.StringN(1, 100, 255).Draw(t, "coll")
		name, err := IndexName(Flow{}, db, coll)
		if err != nil {
			if len(db)+len(coll) < 80 {
				t.Errorf("%q.%q: %v", db, coll, err)
			}
			return
		}
		if err := CheckIndexName(name); err != nil || !utf8.ValidString(name) {
			t.Errorf("%q.%q gets %q: %v", db, coll, name, err)
		}
	})
}

func TestFollows(t *testing.T) {
	f := func(namespaces, exclude []string, ns string, want bool) {
		t.Helper()
		fl := Flow{Namespaces: namespaces, Exclude: exclude}
		if got := fl.Follows(ns); got != want {
			t.Errorf("%v without %v follows %s: %v", namespaces, exclude, ns, got)
		}
	}
	f([]string{"shop.orders"}, nil, "shop.orders", true)
	f([]string{"shop.orders"}, nil, "shop.orders2", false)
	f([]string{"shop.orders"}, nil, "Shop.orders", false)
	f([]string{"shop.*"}, nil, "shop.a.b", true)
	f([]string{"shop.*"}, nil, "shop2.a", false)
	f([]string{"shop.*"}, []string{"shop.a"}, "shop.a", false)
	f([]string{"shop.*"}, []string{"/shop\\.a./"}, "shop.ab", false)
	f([]string{"/crm[.].*/"}, nil, "crm.people", true)
	f([]string{"/crm[.]p/"}, nil, "crm.people", true)
	f([]string{"/^crm[.]p$/"}, nil, "crm.people", false)
	f([]string{"/a|crm[.]people/"}, nil, "crm.people", true)
	f([]string{"/crm[.].*/"}, nil, "xcrm.people", true)
	f([]string{"/^crm[.]/"}, nil, "xcrm.people", false)
}
