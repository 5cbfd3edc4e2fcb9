package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sluice/internal/flow"
)

// lowRoom is how little room on a disk is worth a warning.
const lowRoom = 64 << 20

// VisitDir looks whether files can be made in dir, and whether need bytes are
// left there; a need of 0 asks for a little. Directories that are missing are
// made, and removed again. check names the check in the findings, setting the
// key of the configuration.
func VisitDir(dir, check, setting string, need int64) flow.Findings {
	var f flow.Findings
	made, err := makeDirs(dir)
	defer func() {
		for _, d := range made {
			_ = os.Remove(d) // one that somebody has put something into stays
		}
	}()
	if err == nil {
		err = tryFile(dir)
	}
	if err != nil {
		f.Add(flow.FindingError, check, dir, "no file can be made in "+dir, plainPath(err),
			"make the directory writable for this user, or set "+setting+" to one that is")
		return f
	}
	room, known := freeBytes(dir)
	switch {
	case known && need > 0 && room < need:
		f.Add(flow.FindingError, check, dir, fmt.Sprintf("%s has room for %d MB, and %d MB are wanted", dir, room>>20, need>>20), "",
			"make room on that disk, or set "+setting+" to a directory on another one")
	case known && room < lowRoom:
		f.Add(flow.FindingWarning, check, dir, fmt.Sprintf("%s has room for %d MB only", dir, room>>20), "", "make room on that disk")
	default:
		f.OK(check, dir, "%s can be written", dir)
	}
	return f
}

// makeDirs makes dir and returns what was missing of it, the innermost first.
func makeDirs(dir string) (made []string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for d := abs; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	return made, os.MkdirAll(abs, 0o700)
}

// tryFile makes a file, writes to it, and removes it.
func tryFile(dir string) error {
	t, err := os.CreateTemp(dir, ".sluice-doctor-*")
	if err != nil {
		return err
	}
	_, err = t.WriteString("sluice doctor\n")
	return errors.Join(err, t.Sync(), t.Close(), os.Remove(t.Name()))
}

// plainPath is the cause in few words, without the name of our own file.
func plainPath(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// VisitFile looks at a state file: whether another process has it, and whether
// it can be read. It takes no lock and changes nothing. A file that is not
// there gives a zero State.
func VisitFile(path string) (State, flow.Findings) {
	const check = "state.position"
	var f flow.Findings
	if who, taken := lockedBy(path); taken {
		f.Add(flow.FindingInfo, "state.lock", path, "it is in use by "+who, "a sluice with this state is running", "")
	}
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		f.OK(check, path, "no position is saved: the first start copies everything")
		return State{}, f
	}
	var rec Record
	var state State
	if err == nil {
		rec, _, err = decodeFile(file)
	}
	if err == nil {
		state, err = DecodeState(rec.Data)
	}
	if err != nil {
		f.Fail(flow.FindingError, check, path, &flow.Error{Op: "read the saved position", Object: path, Err: err},
			"restore the file from a backup; or move it away, which copies everything again (the index stays searchable meanwhile)")
		return State{}, f
	}
	f.OK(check, path, "a position is saved")
	return state, f
}

// lockedBy tells who has the state file path open.
func lockedBy(path string) (who string, taken bool) {
	lock, err := os.OpenFile(path+".lock", os.O_RDWR, 0)
	if err != nil {
		return "", false // nobody has ever had it, or VisitDir tells why not
	}
	defer func() { _ = lock.Close() }() // gives the lock free, if we have got it
	if err := lockFile(lock); !errors.Is(err, ErrLocked) {
		return "", false
	}
	if b, err := io.ReadAll(io.LimitReader(lock, 32)); err == nil && len(b) > 0 {
		return "process " + strings.TrimSpace(string(b)), true
	}
	return "another process", true
}
