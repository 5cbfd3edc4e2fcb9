package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Any answer that encoding/json reads is read alike, whatever else is in it,
// and whatever is not JSON is refused.
func TestEachResultReadsAsJSON(t *testing.T) {
	value := rapid.OneOf(
		rapid.Just[any](nil), rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "s") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.Float64Range(-1e9, 1e9).Draw(t, "f") }),
		rapid.Just[any](map[string]any{"status": 3, "x": []any{1, "]}", map[string]any{"a\"b": "\\"}}}),
		rapid.Just[any]([]any{}), rapid.Just[any](map[string]any{}), rapid.Just[any](true),
	)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "n")
		var items []any
		var want []string
		for range n {
			op := rapid.SampledFrom([]string{"index", "delete"}).Draw(t, "op")
			status := rapid.IntRange(100, 599).Draw(t, "status")
			in := map[string]any{"status": status, "other": value.Draw(t, "other")}
			text := ""
			if rapid.Bool().Draw(t, "error") {
				e := map[string]any{"type": "t", "reason": rapid.String().Draw(t, "reason")}
				in["error"] = e
				b, _ := json.Marshal(e)
				text = string(b)
			}
			items = append(items, map[string]any{op: in})
			want = append(want, fmt.Sprint(op, status, text))
		}
		if items == nil {
			items = []any{}
		}
		whole := map[string]any{"items": items, "took": 3, "errors": value.Draw(t, "errors"), "z": value.Draw(t, "z")}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(true)
		if rapid.Bool().Draw(t, "indent") {
			enc.SetIndent(" ", "\t")
		}
		if err := enc.Encode(whole); err != nil {
			t.Fatal(err)
		}
		var got []string
		err := eachResult(b.Bytes(), n, func(i int, r result) error {
			if i != len(got) {
				t.Fatalf("item %d comes after %d", i, len(got))
			}
			var e bytes.Buffer
			if r.err != nil {
				if err := json.Compact(&e, r.err); err != nil {
					t.Fatal(err)
				}
			}
			got = append(got, fmt.Sprint(string(r.op), r.status, e.String()))
			return nil
		})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s\ngot  %v %v\nwant %v", b.String(), got, err, want)
		}
		for _, wrong := range []int{n + 1, n - 1} {
			if err := eachResult(b.Bytes(), wrong, func(int, result) error { return nil }); !errors.Is(err, errTorn) {
				t.Fatalf("%d items for %d: %v", n, wrong, err)
			}
		}
		cut := rapid.IntRange(0, len(bytes.TrimSpace(b.Bytes()))-1).Draw(t, "cut")
		if err := eachResult(b.Bytes()[:cut], n, func(int, result) error { return nil }); !errors.Is(err, errTorn) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	})
}

func FuzzEachResult(f *testing.F) {
	f.Add([]byte(`{"errors":true,"items":[{"index":{"status":400,"error":{"type":"t","reason":"\"}]"}}}]}`))
	f.Add([]byte(`{"items":[{"delete":{"status":1e3}}]}`))
	for _, torn := range []string{
		`{"items":[{"index":{"status":200}}]} x`, `{"items":[{"index":{"status":200,}}]}`, `{"items":[{"index":{"status":200}}],,}`,
		`{"items":[{"index":{"status":200}} {}]}`, `{"items" [{"index":{"status":200}}]}`, `{"items":[{"index":{"status":200}}]`,
	} {
		f.Add([]byte(torn))
	}
	f.Add([]byte(`{"items":[[],{}],"items":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := eachResult(b, 1, func(int, result) error { n++; return nil })
		if err == nil && n != 1 {
			t.Fatalf("%d items", n)
		}
		if err == nil && !json.Valid(b) {
			t.Fatal("not JSON")
		}
		if allDone(b, 1) && err == nil {
			_ = eachResult(b, 1, func(_ int, r result) error {
				if json.Valid(b) && r.err == nil && r.status == 0 {
					t.Fatal("no status")
				}
				return nil
			})
		}
	})
}
