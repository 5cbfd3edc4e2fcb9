package catalogue

import (
	"strings"
	"testing"

	"sluice/internal/cold"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

func TestPart(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := part(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	f("orders", "orders")
	f("shop.orders-1_x", "shop.orders-1_x")
	f("_audit", "%5Faudit")
	f("..", "%2E.")
	f("a/b\\c d", "a%2Fb%5Cc%20d")
	f("ü", "%C3%BC")
	f("50%", "50%25")
	f("", "%")
	for _, in := range []string{strings.Repeat("x", 300), strings.Repeat("ü", 120), "a\x00b", "a:b*?"} {
		if err := objstore.CheckKey(part(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	if part(strings.Repeat("x", 300)) == part(strings.Repeat("x", 301)) {
		t.Error("two long names are one")
	}
}

func TestRevision(t *testing.T) {
	f := func(in, base string, n int, next string) {
		t.Helper()
		if b, i := revision(in); b != base || i != n || rewritten(in) != next {
			t.Errorf("%q: %q %d, then %q", in, b, i, rewritten(in))
		}
	}
	f("p1", "p1", 0, "p1.r1")
	f("p1.r1", "p1", 1, "p1.r2")
	f("p1.r9", "p1", 9, "p1.r10")
	f("p1.r01", "p1.r01", 0, "p1.r01.r1")
	f("p1.rx", "p1.rx", 0, "p1.rx.r1")
	f("a/b.r3/p1", "a/b.r3/p1", 0, "a/b.r3/p1.r1")
}

// Any rule, namespace and id give keys that every store takes, and that are read
// back as ours.
func TestPlaceGivesGoodKeys(t *testing.T) {
	for _, codec := range []pack.Codec{pack.Zstd, pack.Gzip} {
		s := New(newMemory(), Options{Name: "x", Codec: codec})
		for _, p := range []cold.Pack{
			{Rule: "old", NS: "shop.orders", ID: "20260102T150405000-0123456789"},
			{Rule: "../x", NS: "a." + strings.Repeat("ä/", 100), ID: "i"},
		} {
			p.Created = day0
			s.Place(&p)
			for key, kind := range map[string]objectKind{p.Object: packObject, p.Manifest: manifestObject, outcomeOf(stemOf(p.Manifest)): outcomeObject} {
				if err := objstore.CheckKey(key); err != nil {
					t.Error(err)
				}
				if o := parse(key); o.kind != kind || o.stem != stemOf(p.Manifest) || id(o.stem) != p.ID {
					t.Errorf("%q is read as %+v", key, o)
				}
			}
			if !strings.HasPrefix(p.Object, prefix(p.Rule, p.NS)) {
				t.Errorf("%q is not below %q", p.Object, prefix(p.Rule, p.NS))
			}
		}
	}
	for _, key := range []string{"_audit/2026-01-01/x/y.manifest", "x.manifest", "a/b/c/d/e.manifest", "a/b/c/readme"} {
		if o := parse(key); o.kind != foreign {
			t.Errorf("%q is taken for ours", key)
		}
	}
}
