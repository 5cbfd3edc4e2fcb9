package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// disk is the seam through which a file is written, so that a test can make it
// full, read-only, or cut it off between two steps.
type disk interface {
	create(name string) (diskFile, error)
	rename(from, to string) error
	syncDir(dir string) error
}

// diskFile is a file open for writing.
type diskFile interface {
	io.WriteCloser
	Sync() error
}

// writeAtomic replaces the file name by data: after a crash at any point it
// holds the old content or the new, whole. Only one writer at a time.
func writeAtomic(d disk, name string, data []byte) error {
	temp := name + ".tmp"
	f, err := d.create(temp)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := d.rename(temp, name); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	if err := d.syncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("sync the directory: %w", err)
	}
	return nil
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) create(name string) (diskFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) syncDir(dir string) error { return syncDir(dir) }
