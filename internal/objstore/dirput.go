package objstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"sluice/internal/flow"
)

// Put writes a temporary file in the same folder, flushes it to the disk, and
// gives it its name in one step that fails where the name is taken.
func (d *Dir) Put(ctx context.Context, key string, b Body, o PutOptions) (Info, error) {
	const op = "write object"
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	if ctx.Err() != nil {
		return Info{}, ended(ctx, op, d.object(key))
	}
	if _, err := d.root.Lstat(filepath.FromSlash(key)); err == nil {
		return Info{}, d.fail(op, key, fs.ErrExist)
	}
	temp := path.Join(parent(key), tempPrefix+rand.Text())
	info, err := d.write(ctx, temp, key, b, o)
	if err != nil {
		return Info{}, d.fail(op, key, notMissing(err))
	}
	return info, nil
}

// notMissing: a folder that vanishes while we write is not ErrNotFound.
func notMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}

func (d *Dir) write(ctx context.Context, temp, key string, b Body, o PutOptions) (info Info, err error) {
	if err := d.makeDir(parent(key)); err != nil {
		return info, err
	}
	f, err := d.create(d.root, filepath.FromSlash(temp))
	if err != nil {
		return info, err
	}
	// The object is another name of the same file, so its temporary name always goes.
	defer func() { _ = d.root.Remove(filepath.FromSlash(temp)) }()
	h := sha256.New()
	src := limitUp(ctx, ctxReader{ctx, io.NewSectionReader(b, 0, b.Size())})
	err = copyAll(io.MultiWriter(f, h), src, b.Size())
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return info, err
	}
	got := hex.EncodeToString(h.Sum(nil))
	if want := hex.EncodeToString(o.SHA256[:]); o.SHA256 != [32]byte{} && got != want {
		return info, mismatch("write object", d.object(key), got, want)
	}
	if err := d.place(temp, key); err != nil {
		return info, err
	}
	stat, err := d.root.Lstat(filepath.FromSlash(key))
	if err != nil {
		return info, err
	}
	return Info{Key: key, Size: b.Size(), SHA256: got, Modified: stat.ModTime()}, d.syncDir(parent(key))
}

// place gives the file its name, if nobody has it.
func (d *Dir) place(temp, key string) error {
	from, to := filepath.FromSlash(temp), filepath.FromSlash(key)
	err := d.link(d.root, from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without hard links: two Puts of this process can't meet;
	// two processes could, under a key that never repeats.
	d.linkless.Lock()
	defer d.linkless.Unlock()
	if _, err := d.root.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return d.root.Rename(from, to)
}

// makeDir makes a folder and flushes the entries of all that were made.
func (d *Dir) makeDir(dir string) error {
	if info, err := d.root.Stat(filepath.FromSlash(dir)); err == nil {
		if !info.IsDir() {
			return errors.New(dir + " is an object, so there can be none below it")
		}
		return nil
	}
	if err := d.makeDir(parent(dir)); err != nil {
		return err
	}
	if err := d.root.Mkdir(filepath.FromSlash(dir), 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.syncDir(parent(dir))
}

// syncDir flushes the entries of a folder. Windows has no such call.
func (d *Dir) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := d.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Sweep removes temporary files whose writer died.
func (d *Dir) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	n, before := 0, time.Now().Add(-olderThan)
	err := d.walk(ctx, ".", "", func(name string, e fs.DirEntry) error {
		if !isTemp(e) {
			return nil
		}
		info, err := e.Info()
		if err == nil && info.ModTime().Before(before) {
			if err = d.root.Remove(filepath.FromSlash(name)); err == nil {
				n++
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // its writer has ended meanwhile
			return nil
		}
		return err
	})
	if err != nil {
		return n, &flow.Error{Op: "sweep", Object: d.path, Class: flow.Fatal, Err: err}
	}
	return n, nil
}
