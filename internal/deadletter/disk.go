package deadletter

import (
	"io"
	"os"
)

// disk is the seam through which files are written, so that a test can make it
// full or cut it off between two steps.
type disk interface {
	// open opens name for appending, and empties it first if fresh is set.
	open(name string, fresh bool) (diskFile, error)
	rename(from, to string) error
	syncDir(dir string) error
}

// diskFile is a file open for appending.
type diskFile interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) open(name string, fresh bool) (diskFile, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if fresh {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) syncDir(dir string) error { return syncDir(dir) }
