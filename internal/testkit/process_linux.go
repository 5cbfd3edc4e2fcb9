package testkit

import (
	"errors"
	"os"
	"syscall"
)

// nobody is the user and group that Elasticsearch runs under when we are root.
const nobody = 65534

// sysProcAttr: a process group of its own, so that a Ctrl-C in the terminal
// reaches us alone; the kernel kills the child when we are gone.
func sysProcAttr(asNobody bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if asNobody {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return a
}

func signalGroup(p *os.Process, s syscall.Signal) { _ = syscall.Kill(-p.Pid, s) }

// alive tells whether a process of that id exists.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
