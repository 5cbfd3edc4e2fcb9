package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"sluice/internal/flow"
	"sluice/internal/quota"
)

// spool is the directory where packs are written before they are uploaded. One
// subdirectory belongs to a rule and collection; who holds their lease owns it.
type spool struct {
	dir  string
	room *quota.Quota
}

func newSpool(dir string, bytes int64) *spool {
	if bytes <= 0 {
		bytes = DefaultSpoolBytes
	}
	return &spool{dir: dir, room: quota.New(bytes)}
}

// claim makes the directory of a lease's holder, and removes what earlier
// owners have left in it: their packs were given up or are in the bucket.
func (s *spool) claim(leaseName string) (string, error) {
	sum := sha256.Sum256([]byte(leaseName))
	dir := filepath.Join(s.dir, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", spoolFault("make spool", dir, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return "", spoolFault("read spool", dir, err)
	}
	for _, f := range left {
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", spoolFault("clean spool", dir, err)
		}
	}
	return dir, nil
}

// slack is what a pack may grow beyond its target: the last document and frame.
const slack = 32 << 20

// spoolFile is one pack in the spool.
type spoolFile struct {
	f     *os.File
	spool *spool
	took  int64
}

// open waits for room for a pack of that size, and makes its file.
func (s *spool) open(ctx context.Context, dir, id string, packBytes int64) (*spoolFile, error) {
	took := min(packBytes+slack, s.room.Size())
	if err := s.room.Acquire(ctx, took); err != nil {
		return nil, context.Cause(ctx)
	}
	f, err := os.OpenFile(filepath.Join(dir, id+".pack"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		s.room.Release(took)
		return nil, spoolFault("open spool file", dir, err)
	}
	return &spoolFile{f: f, spool: s, took: took}, nil
}

// Write is that of io.Writer; a full disk is told as such.
func (f *spoolFile) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	return n, spoolFault("write spool", f.f.Name(), err)
}

// remove closes the file and takes it away; again is nothing.
func (f *spoolFile) remove() {
	if f == nil || f.f == nil {
		return
	}
	_ = f.f.Close()
	_ = os.Remove(f.f.Name())
	f.f = nil
	f.spool.room.Release(f.took)
}

func spoolFault(op, object string, err error) error {
	if err == nil {
		return nil
	}
	e := &flow.Error{Op: op, Object: object, Class: flow.Fatal, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		e.Hint = "The disk of the spool is full. Nothing was deleted, and the next run goes on.\n" +
			"Free some room, name another directory, or lower pack_size or the bound of the spool."
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "The spool directory has to be writable for the user that sluice runs as."
	}
	return e
}
