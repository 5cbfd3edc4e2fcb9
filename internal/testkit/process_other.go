//go:build unix && !linux

package testkit

import (
	"errors"
	"os"
	"syscall"
)

// nobody is the user and group that Elasticsearch runs under when we are root.
const nobody = 65534

// sysProcAttr: a process group of its own. Nothing here ends the child when we
// are killed: who kills the tests looks after their servers.
func sysProcAttr(asNobody bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if asNobody {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return a
}

func signalGroup(p *os.Process, s syscall.Signal) { _ = syscall.Kill(-p.Pid, s) }

// alive tells whether a process of that id exists.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
