package deadletter

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/internal/flow"
)

var _ Store = (*FileStore)(nil)

// errLocked: another process has the file.
var errLocked = errors.New("in use by another process")

// Compaction while open begins when the file has so many lines more than letters.
const (
	wasteLines = 1024
	wasteRatio = 4
)

// FileStore keeps letters in a file of JSON lines that is appended to, and
// written anew, without what is closed, when it is opened and when too much of
// it is. One process has it open at a time; one goroutine calls it at a time.
type FileStore struct {
	path string
	lock *os.File
	disk disk
	file diskFile // nil while closed between two uses
	// size is where the next line goes; behind it is nothing, unless torn.
	size int64
	// torn: there may be something behind size, to be cut off first.
	torn bool
	// unsynced: the name of the file may not last yet.
	unsynced bool
	closed   bool
	lines    int
	// live holds the offset of the line that has the open letter of a key.
	live map[Key]int64
	// compactAt is the number of lines at which the file is written anew.
	compactAt int
}

// OpenFile opens the file of letters at path, which is made if it is missing,
// its directories too. It fails with class Conflict while another process has
// it open, Config where it can't be written, Fatal if it is damaged or newer
// than we know. The caller ends it by Close.
func OpenFile(path string) (*FileStore, error) {
	return openFile(path, osDisk{})
}

func openFile(path string, d disk) (*FileStore, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, openError(path, err)
	}
	// A file of its own: the file of letters is replaced now and then.
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, openError(path, err)
	}
	s := &FileStore{path: path, lock: lock, disk: d, live: make(map[Key]int64)}
	if err := lockFile(lock); err != nil {
		_ = lock.Close()
		return nil, openError(path, err)
	}
	if err := s.start(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func openError(path string, err error) error {
	e := &flow.Error{
		Op: "open the dead letters", Object: path, Class: flow.Config, Err: err,
		Hint: "the directory must be there and writable for this user: see the state path in the configuration",
	}
	switch {
	case errors.Is(err, errLocked):
		e.Class, e.Hint = flow.Conflict, "end the other process first, or give this one another state path"
	case errors.Is(err, errNewer):
		e.Class, e.Hint = flow.Fatal, "run the newer sluice again; or move the file away, which forgets the dead letters"
	case errors.Is(err, errDamaged):
		e.Class, e.Hint = flow.Fatal, "restore the file from a backup; or move it away, which forgets the dead letters (never documents)"
	}
	return e
}

// start reads the file, writes it anew if part of it is closed, and makes it
// ready for more.
func (s *FileStore) start() error {
	if err := s.scan(); err != nil {
		return openError(s.path, err)
	}
	if s.lines > len(s.live)+1 {
		s.compact()
	}
	if err := s.ready(); err != nil {
		return openError(s.path, err)
	}
	if s.size == 0 {
		return s.append(fileLine{Format: fileFormat})
	}
	return nil
}

// scan learns from the file which letters are open.
func (s *FileStore) scan() error {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s.size, err = scanLines(f, func(at int64, l *fileLine) error {
		s.note(at, l)
		return nil
	})
	return err
}

// note learns from a line that begins at the offset at.
func (s *FileStore) note(at int64, l *fileLine) {
	s.lines++
	for i := range l.Put {
		s.live[l.Put[i].Key] = at
	}
	for _, k := range l.Remove {
		delete(s.live, k.key())
	}
}

// Close gives the file free. The store is of no use then.
func (s *FileStore) Close() error {
	s.closed = true
	var err error
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	return errors.Join(err, s.lock.Close())
}

// Put appends the letters and syncs the file. Errors are of class Transient.
func (s *FileStore) Put(ctx context.Context, letters []Letter) error {
	if err := ctx.Err(); err != nil || len(letters) == 0 {
		return err
	}
	return s.write(fileLine{Put: letters})
}

// Remove appends the removal of keys and syncs the file. Errors are of class
// Transient.
func (s *FileStore) Remove(ctx context.Context, keys []Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var l fileLine
	for _, k := range keys {
		if _, ok := s.live[k]; ok {
			l.Remove = append(l.Remove, fileKey{k.NS.DB, k.NS.Coll, k.ID})
		}
	}
	if len(l.Remove) == 0 {
		return nil
	}
	return s.write(l)
}

// Load reads the letters from the file.
func (s *FileStore) Load(ctx context.Context, f func(Letter) error) error {
	file, err := os.Open(s.path)
	if err != nil {
		return &flow.Error{Op: "read the dead letters", Object: s.path, Class: flow.Transient, Err: err}
	}
	defer file.Close()
	_, err = scanLines(file, func(at int64, l *fileLine) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range l.Put {
			if live, ok := s.live[l.Put[i].Key]; !ok || live != at {
				continue
			}
			if err := f(l.Put[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// write appends one line and compacts the file if it is time.
func (s *FileStore) write(l fileLine) error {
	if err := s.append(l); err != nil {
		return err
	}
	if s.lines >= max(s.compactAt, wasteLines+wasteRatio*len(s.live)) {
		s.compact()
	}
	return nil
}

// append makes one line durable, or leaves the file as it was.
func (s *FileStore) append(l fileLine) error {
	text, err := appendLine(nil, l)
	if err != nil {
		return &flow.Error{Op: "write the dead letters", Object: s.path, Class: flow.Fatal, Err: err}
	}
	err = s.ready()
	if err == nil {
		_, err = s.file.Write(text)
		if err == nil {
			err = s.file.Sync()
		}
		// A line behind a half-written one would make the file unreadable.
		s.torn = err != nil && s.file.Truncate(s.size) != nil
	}
	if err != nil {
		return s.writeError(err)
	}
	s.note(s.size, &l)
	s.size += int64(len(text))
	return nil
}

// ready makes the file open, without a torn end, under a name that lasts.
func (s *FileStore) ready() error {
	if s.closed {
		return fs.ErrClosed
	}
	if s.file == nil {
		file, err := s.disk.open(s.path, false)
		if err != nil {
			return err
		}
		s.file, s.torn, s.unsynced = file, true, true
	}
	if s.torn {
		if err := s.file.Truncate(s.size); err != nil {
			return err
		}
		s.torn = false
	}
	if s.unsynced {
		if err := s.disk.syncDir(filepath.Dir(s.path)); err != nil {
			return err
		}
		s.unsynced = false
	}
	return nil
}

func (s *FileStore) writeError(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return &flow.Error{Op: "write the dead letters", Object: s.path, Class: flow.Fatal, Err: err}
	}
	return &flow.Error{
		Op: "write the dead letters", Object: s.path, Class: flow.Transient, Err: err,
		Hint: "the flow waits and tries again; make room, or make the file writable",
	}
}

// compact writes the open letters to a new file and puts it in place. If it
// can't, the old file stays in use, and the next attempt waits until it has
// twice as many lines.
func (s *FileStore) compact() {
	temp := s.path + ".tmp"
	next := &FileStore{path: s.path, disk: s.disk, live: make(map[Key]int64, len(s.live))}
	if err := s.writeTo(temp, next); err != nil {
		s.compactAt = 2 * s.lines
		return
	}
	if s.file != nil {
		_ = s.file.Close() // its lines are synced
		s.file = nil       // the next append opens what is there then
	}
	if err := s.disk.rename(temp, s.path); err != nil {
		s.compactAt = 2 * s.lines
		return
	}
	s.size, s.lines, s.live, s.compactAt = next.size, next.lines, next.live, 0
}

// writeTo writes the open letters to the file name, synced, and notes them in next.
func (s *FileStore) writeTo(name string, next *FileStore) error {
	file, err := s.disk.open(name, true)
	if err != nil {
		return err
	}
	add := func(l fileLine) error {
		text, err := appendLine(nil, l)
		if err != nil {
			return err
		}
		if _, err := file.Write(text); err != nil {
			return err
		}
		next.note(next.size, &l)
		next.size += int64(len(text))
		return nil
	}
	err = add(fileLine{Format: fileFormat})
	if err == nil {
		err = s.Load(context.Background(), func(l Letter) error { return add(fileLine{Put: []Letter{l}}) })
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
