package objstore_test

import (
	"path/filepath"
	"testing"

	"sluice/internal/objstore"
	"sluice/internal/objstore/objstoretest"
)

func openDir(t testing.TB) objstore.Store {
	d, err := objstore.OpenDir(filepath.Join(t.TempDir(), "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDirContract(t *testing.T) { objstoretest.TestStore(t, openDir) }

func TestWrappersKeepTheContract(t *testing.T) {
	objstoretest.TestStore(t, func(t testing.TB) objstore.Store {
		return objstore.WithRetry(objstore.WithLimit(openDir(t), objstore.LimitOptions{BytesPerSecond: 1 << 30}), objstore.RetryOptions{})
	})
}
