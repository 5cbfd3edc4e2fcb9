package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/flow"
)

// badDisk fails at one step; a failing write leaves half of its bytes.
type badDisk struct {
	osDisk
	step string
	err  error
}

func (d *badDisk) at(step string) error {
	if d.step == step {
		return &os.PathError{Op: step, Path: "state.tmp", Err: d.err}
	}
	return nil
}

func (d *badDisk) create(name string) (diskFile, error) {
	if err := d.at("create"); err != nil {
		return nil, err
	}
	f, err := d.osDisk.create(name)
	return &badFile{f, d}, err
}

func (d *badDisk) rename(from, to string) error {
	return errors.Join(d.at("rename"), d.unless("rename", func() error { return d.osDisk.rename(from, to) }))
}

func (d *badDisk) syncDir(dir string) error {
	return errors.Join(d.at("syncDir"), d.unless("syncDir", func() error { return d.osDisk.syncDir(dir) }))
}

func (d *badDisk) unless(step string, f func() error) error {
	if d.step == step {
		return nil
	}
	return f()
}

type badFile struct {
	diskFile
	d *badDisk
}

func (f *badFile) Write(p []byte) (int, error) {
	if err := f.d.at("write"); err != nil {
		n, _ := f.diskFile.Write(p[:len(p)/2])
		return n, err
	}
	return f.diskFile.Write(p)
}

func (f *badFile) Sync() error  { return errors.Join(f.d.at("sync"), f.diskFile.Sync()) }
func (f *badFile) Close() error { return errors.Join(f.diskFile.Close(), f.d.at("close")) }

func openAt(t testing.TB, path string) *FileStore {
	t.Helper()
	s, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A save that fails at any step leaves the old record or the new one, whole;
// and the next save, after a Load, succeeds.
func TestS3FileStoreKeepsTheOldFileWhenAWriteFails(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EDQUOT} {
		for _, step := range []string{"create", "write", "sync", "close", "rename", "syncDir"} {
			t.Run(fmt.Sprintf("%s/%v", step, cause), func(t *testing.T) { failAt(t, step, cause) })
		}
	}
}

func failAt(t *testing.T, step string, cause error) {
	path := filepath.Join(t.TempDir(), "state")
	s := openAt(t, path)
	old, err := s.Save(t.Context(), Record{Fence: 1, Data: []byte(`{"old":true}`)})
	if err != nil {
		t.Fatal(err)
	}
	s.disk = &badDisk{step: step, err: cause}
	_, err = s.Save(t.Context(), Record{Rev: old.Rev, Fence: 1, Data: []byte(`{"old":false}`)})
	if !errors.Is(err, cause) || flow.ClassOf(err) != flow.Transient || !strings.Contains(err.Error(), path) {
		t.Fatalf("%v, want %v of class Transient that names the file", err, cause)
	}
	// What a restart finds.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	rec, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"old":true}`
	if step == "syncDir" {
		want = `{"old":false}`
	}
	if string(rec.Data) != want {
		t.Fatalf("after a failed %s: %s, want %s", step, rec.Data, want)
	}
	if _, err := s.Save(t.Context(), Record{Rev: rec.Rev, Fence: 1, Data: []byte(`{"next":true}`)}); err != nil {
		t.Fatalf("the save after it: %v", err)
	}
}

func TestFileStoreWritesInThisOrder(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "state"))
	rec := &recorder{}
	s.disk = rec
	if _, err := s.Save(t.Context(), Record{Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(rec.steps, " "), "create write sync close rename syncDir"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

// recorder notes the steps of a write.
type recorder struct {
	osDisk
	steps []string
}

func (r *recorder) create(name string) (diskFile, error) {
	r.steps = append(r.steps, "create")
	f, err := r.osDisk.create(name)
	return &recorded{f, r}, err
}

func (r *recorder) rename(from, to string) error {
	r.steps = append(r.steps, "rename")
	return r.osDisk.rename(from, to)
}

func (r *recorder) syncDir(dir string) error {
	r.steps = append(r.steps, "syncDir")
	return r.osDisk.syncDir(dir)
}

type recorded struct {
	diskFile
	r *recorder
}

func (f *recorded) Write(p []byte) (int, error) {
	f.r.steps = append(f.r.steps, "write")
	return f.diskFile.Write(p)
}

func (f *recorded) Sync() error {
	f.r.steps = append(f.r.steps, "sync")
	return f.diskFile.Sync()
}

func (f *recorded) Close() error {
	f.r.steps = append(f.r.steps, "close")
	return f.diskFile.Close()
}

func TestFileStoreRefusesADamagedOrNewerFile(t *testing.T) {
	whole, _ := encodeFile(3, 2, []byte(`{"format":1}`))
	f := func(file, says string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, path)
		_, err := s.Load(t.Context())
		if flow.ClassOf(err) != flow.Fatal || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want class Fatal with %q and the path", file, err, says)
		}
		if _, err := s.Save(t.Context(), Record{Data: []byte("{}")}); err == nil {
			t.Errorf("%q was overwritten", file)
		}
		if left, _ := os.ReadFile(path); string(left) != file {
			t.Errorf("%q became %q", file, left)
		}
	}
	f(string(whole[:len(whole)-1]), "damaged")
	f(string(whole[:20]), "damaged")
	f("", "damaged")
	f(strings.Repeat("\x00", 100), "damaged")
	f(`{"some":"json"}`, "damaged")
	f("sluice-state 2 …", "run the newer sluice again")
}

func TestFileStoreIsForOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := openAt(t, path)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envOpen+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if says := "process " + strconv.Itoa(os.Getpid()); !strings.Contains(string(out), says) {
		t.Errorf("the second process says %q, want %q in it", out, says)
	}
	_, err = OpenFile(path)
	if !errors.Is(err, ErrLocked) || flow.ClassOf(err) != flow.Conflict {
		t.Errorf("%v, want ErrLocked of class Conflict", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Load after Close: %v", err)
	}
	openAt(t, path)
}

func TestOpenFileWhereNothingCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenFile(filepath.Join(file, "below", "state"))
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "writable") {
		t.Fatalf("%v, want class Config with the cure", err)
	}
}
