package checkpoint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/checkpoint"
	"sluice/internal/checkpoint/storetest"
)

func TestFileStore(t *testing.T) {
	base := t.TempDir()
	storetest.TestStore(t, func(t testing.TB) checkpoint.Store {
		s, err := checkpoint.OpenFile(filepath.Join(base, strings.ReplaceAll(t.Name(), "/", "_")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

func TestOpenFilePaths(t *testing.T) {
	base := t.TempDir()
	f := func(path, want string) {
		t.Helper()
		s, err := checkpoint.OpenFile(path)
		if err != nil {
			t.Error(err)
			return
		}
		if s.Path() != want {
			t.Errorf("%s became %s, want %s", path, s.Path(), want)
		}
		rec, err := s.Load(t.Context())
		if err != nil {
			t.Error(err)
		}
		if _, err := s.Save(t.Context(), checkpoint.Record{Rev: rec.Rev, Data: []byte("{}")}); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(s.Path())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v: the file must be readable for us alone", info, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	f(base, filepath.Join(base, "state"))
	f(base+"/deep/er/", filepath.Join(base, "deep/er/state"))
	f(base+"/deep/er", filepath.Join(base, "deep/er/state"))
	f(base+"/flows/shop", filepath.Join(base, "flows/shop"))
	f(base+"/flows/shop", filepath.Join(base, "flows/shop"))
}
