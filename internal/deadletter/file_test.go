package deadletter

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/flow"
)

func letter(id string, version int64) Letter {
	return Letter{Key: Key{NS: flow.Namespace{DB: "shop", Coll: "orders"}, ID: id}, RawID: strconv.Quote(id), Version: version}
}

func open(t *testing.T, path string) *FileStore {
	t.Helper()
	s, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// quickDisk syncs nothing, for tests of many writes.
type quickDisk struct{ osDisk }

type quickFile struct{ diskFile }

func (quickFile) Sync() error { return nil }

func (quickDisk) syncDir(string) error { return nil }

func (d quickDisk) open(name string, fresh bool) (diskFile, error) {
	f, err := d.osDisk.open(name, fresh)
	return quickFile{f}, err
}

func openQuick(t *testing.T, path string) *FileStore {
	t.Helper()
	s, err := openFile(path, quickDisk{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ids returns "id@version …" of what s holds, in the order of the file.
func ids(t *testing.T, s Store) string {
	t.Helper()
	var out []string
	err := s.Load(t.Context(), func(l Letter) error {
		out = append(out, l.ID+"@"+strconv.FormatInt(l.Version, 10))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func put(t *testing.T, s Store, letters ...Letter) {
	t.Helper()
	if err := s.Put(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
}

// TestFileCutAnywhere: however much of the last line a crash left, all lines
// before it are there, and more can be written.
func TestFileCutAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters")
	s := open(t, path)
	put(t, s, letter("a", 1))
	before := s.size
	put(t, s, letter("b", 2), letter("c", 3))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	dir := t.TempDir()
	for n := 0; n <= len(whole); n++ {
		if from, to := 20, len(whole)-20; n > from && n < to && n%5 > 0 && (n < int(before)-5 || n > int(before)+5) {
			continue // the same as its neighbours
		}
		want := "a@1 d@4"
		switch {
		case n < int(before):
			want = "d@4"
		case n == len(whole):
			want = "a@1 b@2 c@3 d@4"
		}
		for _, tail := range []string{"", "\x00\x00\x00\x00\n"} {
			if tail != "" && n == len(whole) {
				continue
			}
			cut := filepath.Join(dir, strconv.Itoa(n)+strconv.Itoa(len(tail)))
			if err := os.WriteFile(cut, append(whole[:n:n], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openQuick(t, cut)
			put(t, s, letter("d", 4))
			_ = s.Close()
			if got := ids(t, openQuick(t, cut)); got != want {
				t.Fatalf("cut at %d%q: %q, want %q", n, tail, got, want)
			}
		}
	}
}

func TestFileRefused(t *testing.T) {
	f := func(content string, want flow.Class, text string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "letters")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenFile(path)
		if err == nil {
			_ = s.Close()
			t.Fatalf("%q was opened", content)
		}
		if flow.ClassOf(err) != want || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, class %s", content, err, flow.ClassOf(err))
		}
		if left, _ := os.ReadFile(path); string(left) != content {
			t.Errorf("%q became %q", content, left)
		}
	}
	f(`{"dead_letters_format":2}`+"\n", flow.Fatal, "newer")
	f(`{"dead_letters_format":2,"more":1}`+"\n{}\n", flow.Fatal, "newer")
	f(`{"dead_letters_format":1}`+"\nxx\n{}\n", flow.Fatal, "damaged")
	f(`{"dead_letters_format":1}`+"\n{}{}\n{}\n", flow.Fatal, "damaged")
	f("some notes\nof mine\n", flow.Fatal, "damaged")
}

func TestFileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters")
	s := open(t, path)
	if second, err := OpenFile(path); flow.ClassOf(err) != flow.Conflict {
		if err == nil {
			_ = second.Close()
		}
		t.Errorf("opened a second time: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	put(t, open(t, path), letter("a", 1))
	if err := s.Put(t.Context(), []Letter{letter("b", 1)}); flow.ClassOf(err) != flow.Fatal {
		t.Errorf("a closed store wrote: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(filepath.Join(file, "letters")); flow.ClassOf(err) != flow.Config {
		t.Errorf("opened below a file: %v", err)
	}
}

// TestFileCompacts: what is closed does not fill the disk, neither while the
// file is open nor when it is opened.
func TestFileCompacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters")
	s := openQuick(t, path)
	put(t, s, letter("stays", 1))
	for n := range 3 * wasteLines {
		put(t, s, letter("again", int64(n)))
	}
	if s.lines > 2*wasteLines {
		t.Errorf("%d lines for two letters", s.lines)
	}
	if err := s.Remove(t.Context(), []Key{letter("again", 0).Key}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s = openQuick(t, path)
	if got := ids(t, s); got != "stays@1" || s.lines != 2 {
		t.Errorf("%q in %d lines, want one letter in two", got, s.lines)
	}
}

// faultyDisk fails on demand.
type faultyDisk struct {
	osDisk
	fail string // the step that fails
	half bool   // a write leaves half of its bytes
}

type faultyFile struct {
	diskFile
	d *faultyDisk
}

func (d *faultyDisk) step(name string) error {
	if d.fail == name {
		return syscall.ENOSPC
	}
	return nil
}

func (d *faultyDisk) open(name string, fresh bool) (diskFile, error) {
	if err := d.step("open"); err != nil {
		return nil, err
	}
	f, err := d.osDisk.open(name, fresh)
	return faultyFile{f, d}, err
}

func (d *faultyDisk) rename(from, to string) error {
	if err := d.step("rename"); err != nil {
		return err
	}
	return d.osDisk.rename(from, to)
}

func (d *faultyDisk) syncDir(dir string) error {
	if err := d.step("syncDir"); err != nil {
		return err
	}
	return d.osDisk.syncDir(dir)
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.d.step("write"); err != nil {
		n, _ := f.diskFile.Write(b[:len(b)/2])
		return n, err
	}
	return f.diskFile.Write(b)
}

func (f faultyFile) Sync() error {
	if err := f.d.step("sync"); err != nil {
		return err
	}
	return f.diskFile.Sync()
}

func (f faultyFile) Truncate(n int64) error {
	if f.d.half {
		return syscall.EIO
	}
	return f.diskFile.Truncate(n)
}

// TestFileFaults: a write that fails leaves what was there, is of a class that
// is tried again, and the next one succeeds.
func TestFileFaults(t *testing.T) {
	for _, fail := range []string{"write", "sync"} {
		for _, half := range []bool{false, true} {
			d := &faultyDisk{}
			path := filepath.Join(t.TempDir(), "letters")
			s, err := openFile(path, d)
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, letter("a", 1))
			d.fail, d.half = fail, half
			for range 2 {
				err := s.Put(t.Context(), []Letter{letter("b", 2)})
				if flow.ClassOf(err) != flow.Transient || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EIO) {
					t.Errorf("%s: %v", fail, err)
				}
			}
			if got := ids(t, s); got != "a@1" {
				t.Errorf("%s: %q", fail, got)
			}
			d.fail, d.half = "", false
			put(t, s, letter("c", 3))
			_ = s.Close()
			if got := ids(t, open(t, path)); got != "a@1 c@3" {
				t.Errorf("%s, half %v: %q", fail, half, got)
			}
		}
	}
}

// TestFileCompactionFails: whichever step fails, nothing is lost.
func TestFileCompactionFails(t *testing.T) {
	for _, fail := range []string{"open", "write", "sync", "rename", "syncDir"} {
		d := &faultyDisk{}
		path := filepath.Join(t.TempDir(), "letters")
		s, err := openFile(path, d)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, letter("a", 1))
		put(t, s, letter("a", 2))
		d.fail = fail
		s.compact()
		err = s.Put(t.Context(), []Letter{letter("b", 3)})
		if lost := fail == "write" || fail == "sync" || fail == "syncDir"; (err != nil) != lost && fail != "rename" {
			t.Errorf("%s: %v", fail, err)
		}
		d.fail = ""
		put(t, s, letter("c", 4))
		want := "a@2 c@4"
		if err == nil {
			want = "a@2 b@3 c@4"
		}
		if got := ids(t, s); got != want {
			t.Errorf("%s: %q, want %q", fail, got, want)
		}
		_ = s.Close()
		if got := ids(t, open(t, path)); got != want {
			t.Errorf("%s: %q after opening again, want %q", fail, got, want)
		}
	}
}

func TestFileLoadWithoutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters")
	s := open(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(context.Background(), nil); flow.ClassOf(err) != flow.Transient {
		t.Errorf("error %v", err)
	}
}
