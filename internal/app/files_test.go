package app

import (
	"testing"

	"sluice/internal/flow"
)

// TestS12ShapeOfFiles: what shapes the documents of files is part of their shape,
// and of theirs alone.
func TestS12ShapeOfFiles(t *testing.T) {
	files, orders := flow.Namespace{DB: "shop", Coll: "fs.files"}, flow.Namespace{DB: "shop", Coll: "orders"}
	of := func(more string) (string, string) {
		f := &ofFlow(t, more).Flows[0]
		f.Namespaces = []string{"shop.*"}
		return fingerprint(f, files), fingerprint(f, orders)
	}
	const on = "files: {namespaces: [/shop.*/]"
	first, rest := of("")
	seen := map[string]string{first: "none"}
	for _, more := range []string{on + "}\n", on + ", max_size: 1MB}\n", on + ", pipeline: mine}\n", on + ", field: content}\n"} {
		shape, other := of(more)
		if was, dup := seen[shape]; dup || other != rest {
			t.Errorf("%q has the shape of %q; other documents: the same %v", more, was, other == rest)
		}
		seen[shape] = more
	}
	a, _ := of(on + "}\n")
	if b, _ := of(on + ", downloaders: 3, put_pipeline: false}\n"); a != b {
		t.Error("how files are read is no part of the shape")
	}
}

func TestFilesCarries(t *testing.T) {
	const body = 100 << 20
	n := carries(body)
	if text := (n + 2) / 3 * 4; text > body-besideFile || text < body-besideFile-8 {
		t.Errorf("%d bytes are %d of base64, for a body of %d", n, text, body)
	}
	if carries(0) != 0 || carries(1000) != 0 {
		t.Error("nothing is known of bodies")
	}
}
