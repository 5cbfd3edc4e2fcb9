package checkpoint

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/flow"
)

func TestVisitDir(t *testing.T) {
	dir := t.TempDir()
	one := func(path string, need int64) flow.Finding {
		t.Helper()
		f := VisitDir(path, "x", "x.path", need)
		if len(f) != 1 {
			t.Fatalf("%+v", f)
		}
		return f[0]
	}
	deep := filepath.Join(dir, "a", "b")
	if f := one(deep, 0); f.Severity == flow.FindingError {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); !os.IsNotExist(err) {
		t.Error("directories are left behind")
	}
	if f := one(dir, math.MaxInt64); f.Severity != flow.FindingError || !strings.Contains(f.Cure, "make room") {
		t.Errorf("%+v", f)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := one(filepath.Join(file, "c"), 0); f.Severity != flow.FindingError || !strings.Contains(f.Cure, "x.path") {
		t.Errorf("%+v", f)
	}
}

func TestVisitFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.state")
	if s, f := VisitFile(path); !f.Sound() || len(f) != 1 || s.Source != "" {
		t.Fatalf("%+v, %+v", s, f)
	}
	store, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := State{Flow: "a", Source: "there", Position: []byte(`1`)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Save(t.Context(), Record{Data: data}); err != nil {
		t.Fatal(err)
	}
	s, f := VisitFile(path)
	if s.Source != "there" || len(f) != 2 || f[0].Check != "state.lock" || f[0].Severity != flow.FindingInfo {
		t.Errorf("%+v, %+v", s, f)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, f = VisitFile(path); len(f) != 1 || !f.Sound() {
		t.Errorf("%+v", f)
	}
	// It has taken no lock of its own.
	if store, err = OpenFile(path); err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, f = VisitFile(path); f.Sound() || !strings.Contains(f[0].Cure, "backup") {
		t.Errorf("%+v", f)
	}
}
