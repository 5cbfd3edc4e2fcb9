package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"sluice/internal/flow"
)

var _ Store = (*FileStore)(nil)

// FileStore keeps a Record in a file that is replaced as a whole. One process
// has it open at a time. Safe from several goroutines.
type FileStore struct {
	path string
	lock *os.File
	disk disk

	mu     sync.Mutex
	closed bool
}

// OpenFile opens the state file path, or path/state if path is a directory or
// ends in a separator; missing directories are made, readable for us alone. It
// fails with ErrLocked while another process (or another FileStore) has the
// file open, with class Config where nothing can be written, and with class
// Transient where the disk is full. The caller
// ends it by Close.
func OpenFile(path string) (*FileStore, error) {
	if info, err := os.Stat(path); strings.HasSuffix(path, string(filepath.Separator)) || err == nil && info.IsDir() {
		path = filepath.Join(path, "state")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, openError(path, err)
	}
	// A file of its own: the state file itself is replaced by each save.
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, openError(path, err)
	}
	if err := takeLock(lock, path); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &FileStore{path: path, lock: lock, disk: osDisk{}}, nil
}

// takeLock locks and leaves our process id for whoever comes second.
func takeLock(lock *os.File, path string) error {
	err := lockFile(lock)
	if errors.Is(err, ErrLocked) {
		who := "another process"
		if b, err := io.ReadAll(io.LimitReader(lock, 32)); err == nil && len(b) > 0 {
			who = "process " + strings.TrimSpace(string(b))
		}
		return &flow.Error{
			Op: "open state file", Object: path, Class: flow.Conflict,
			Err:  fmt.Errorf("in use by %s: %w", who, ErrLocked),
			Hint: "end that process first, or give this one another state path",
		}
	}
	if err == nil {
		err = lock.Truncate(0)
	}
	if err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return openError(path, err)
	}
	return nil
}

func openError(path string, err error) error {
	e := &flow.Error{
		Op: "open state file", Object: path, Class: flow.Config, Err: err,
		Hint: "the directory must be there and writable for this user: see the state path in the configuration",
	}
	if errors.Is(err, syscall.ENOSPC) {
		e.Class, e.Hint = flow.Transient, "make room on that disk; nothing was changed"
	}
	return e
}

// Path returns the name of the file.
func (s *FileStore) Path() string { return s.path }

// Close gives the file free for another process. The store is of no use then.
func (s *FileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.lock.Close()
}

// Load returns the record; errors are of class Fatal (a damaged file, or one
// of a newer sluice) or Transient (the disk).
func (s *FileStore) Load(ctx context.Context) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, _, err := s.read()
	return rec, err
}

// Save writes the record to a new file and renames it into place. A failure is
// of class Transient (disk full, read-only) and leaves the old record, unless
// only the last step failed: making the rename durable.
func (s *FileStore) Save(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, revision, err := s.read()
	if err != nil {
		return Record{}, err
	}
	if old.Rev != r.Rev {
		return Record{}, &flow.Error{
			Op: "save state file", Object: s.path, Class: flow.Conflict,
			Err: fmt.Errorf("revision %q where %q was expected: %w", old.Rev, r.Rev, ErrConflict),
		}
	}
	file, rev := encodeFile(revision+1, r.Fence, r.Data)
	if err := writeAtomic(s.disk, s.path, file); err != nil {
		return Record{}, &flow.Error{
			Op: "save state file", Object: s.path, Class: flow.Transient, Err: err,
			Hint: "nothing is lost: the older state stays, and the save is tried again; make room, or make the directory writable",
		}
	}
	return Record{Rev: rev, Fence: r.Fence, Data: slices.Clone(r.Data)}, nil
}

func (s *FileStore) read() (Record, uint64, error) {
	if s.closed {
		return Record{}, 0, &flow.Error{Op: "use state file", Object: s.path, Class: flow.Fatal, Err: fs.ErrClosed}
	}
	file, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, 0, nil
	}
	if err != nil {
		return Record{}, 0, &flow.Error{Op: "read state file", Object: s.path, Class: flow.Transient, Err: err}
	}
	rec, revision, err := decodeFile(file)
	if err == nil {
		return rec, revision, nil
	}
	hint := "restore it from a backup; or move it away, which copies everything again (the index stays searchable meanwhile)"
	if errors.Is(err, ErrNewer) {
		hint = "run the newer sluice again; or move the file away, which copies everything again"
	}
	return Record{}, 0, &flow.Error{Op: "read state file", Object: s.path, Class: flow.Fatal, Err: err, Hint: hint}
}
