package deadletter_test

import (
	"path/filepath"
	"testing"

	"sluice/internal/deadletter"
	"sluice/internal/deadletter/deadlettertest"
)

func TestFileStoreContract(t *testing.T) {
	dirs := make(map[string]string)
	deadlettertest.TestStore(t, func(t testing.TB) deadletter.Store {
		dir, ok := dirs[t.Name()]
		if !ok {
			dir = t.TempDir()
			dirs[t.Name()] = dir
		}
		s, err := deadletter.OpenFile(filepath.Join(dir, "new", "letters"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}
