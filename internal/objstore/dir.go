package objstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sluice/internal/flow"
)

// Dir is a store in a directory. Several processes may use one directory at the
// same time. It never leaves its directory, not by symbolic links either, and
// follows none that is an object.
type Dir struct {
	root *os.Root
	path string
	// linkless guards Put where the file system has no hard links.
	linkless sync.Mutex
	// create is the file system, or what a test puts in its place.
	create func(r *os.Root, name string) (file, error)
	link   func(r *os.Root, from, to string) error
}

// file is what Put needs of a temporary file.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

var _ interface {
	Store
	Sweeper
} = (*Dir)(nil)

// OpenDir opens the store in the directory path, which is made if it is not
// there. Close releases it.
func OpenDir(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(abs, 0o750)
	}
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(abs)
	}
	if err != nil {
		return nil, &flow.Error{
			Op: "open store", Object: path, Class: flow.Config, Err: err,
			Hint: "Name a directory that this user may write to.",
		}
	}
	return &Dir{root: root, path: abs, create: createTemp, link: (*os.Root).Link}, nil
}

func createTemp(r *os.Root, name string) (file, error) {
	return r.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
}

// Close releases the directory. No call may be under way.
func (d *Dir) Close() error { return d.root.Close() }

// object names an object in messages.
func (d *Dir) object(key string) string { return filepath.Join(d.path, filepath.FromSlash(key)) }

// fail gives an error of the file system its class and its cure.
func (d *Dir) fail(op, key string, err error) error {
	e := &flow.Error{Op: op, Object: d.object(key), Class: flow.Fatal, Err: err}
	if _, ok := errors.AsType[*flow.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Err = ErrNotFound
	case errors.Is(err, fs.ErrExist):
		e.Class, e.Err = flow.Conflict, ErrExists
	case errors.Is(err, fs.ErrPermission):
		e.Class, e.Hint = flow.Auth, "Give this user the right to read and write below "+d.path+"."
	case full(err):
		e.Err, e.Hint = joinCause(ErrNoSpace, err), hintSpace
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Class = flow.Unknown
	}
	return e
}

// Get opens a file; see Reader.
func (d *Dir) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	const op = "read object"
	if err := errors.Join(CheckKey(key), checkRange(op, key, off)); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, op, d.object(key))
	}
	if n == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	f, info, err := d.open(key)
	if err != nil {
		return nil, d.fail(op, key, err)
	}
	size := info.Size()
	if off > 0 && off >= size || size == 0 && n > 0 {
		_ = f.Close()
		return nil, d.fail(op, key, ErrRange)
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	r := limitDown(ctx, ctxReader{ctx, io.NewSectionReader(f, off, n)})
	return &dirReader{d: d, key: key, file: f, r: r, left: n}, nil
}

// checkRange refuses what no store can answer.
func checkRange(op, key string, off int64) error {
	if off < 0 {
		return &flow.Error{Op: op, Object: key, Class: flow.Fatal, Err: ErrRange}
	}
	return nil
}

// open opens a plain file below the root.
func (d *Dir) open(key string) (*os.File, fs.FileInfo, error) {
	f, err := d.root.Open(filepath.FromSlash(key))
	if err != nil {
		// A file where a folder is wanted means that there is no such object.
		if info, serr := d.root.Stat(filepath.FromSlash(parent(key))); serr == nil && !info.IsDir() {
			err = fs.ErrNotExist
		}
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// parent is the folder of a key, "." for none.
func parent(key string) string {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		return key[:i]
	}
	return "."
}

// dirReader gives the errors of a file their class, and finds one that became
// shorter while it was read.
type dirReader struct {
	d    *Dir
	key  string
	file *os.File
	r    io.Reader
	left int64
}

func (r *dirReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		if r.left > 0 {
			return n, r.d.fail("read object", r.key, io.ErrUnexpectedEOF)
		}
		return n, io.EOF
	}
	return n, r.d.fail("read object", r.key, err)
}

func (r *dirReader) Close() error { return r.file.Close() }

// Head tells about a file, and reads all of it for its SHA256.
func (d *Dir) Head(ctx context.Context, key string) (Info, error) {
	const op = "look up object"
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	if ctx.Err() != nil {
		return Info{}, ended(ctx, op, d.object(key))
	}
	f, info, err := d.open(key)
	if err != nil {
		return Info{}, d.fail(op, key, err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if err := copyAll(h, ctxReader{ctx, f}, info.Size()); err != nil {
		return Info{}, d.fail(op, key, err)
	}
	return Info{Key: key, Size: info.Size(), Modified: info.ModTime(), SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// Delete removes a file; its folder stays.
func (d *Dir) Delete(ctx context.Context, key string) error {
	const op = "delete object"
	if err := CheckKey(key); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ended(ctx, op, d.object(key))
	}
	f, _, err := d.open(key)
	if err == nil {
		_ = f.Close()
		if err = d.root.Remove(filepath.FromSlash(key)); err == nil {
			err = d.syncDir(parent(key))
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.fail(op, key, err)
	}
	return nil
}
