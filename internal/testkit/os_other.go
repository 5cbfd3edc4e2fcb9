//go:build !unix

package testkit

import (
	"errors"
	"os"
	"syscall"
)

// Where there is no unix, servers come from the environment; what is here
// keeps the package compiling, without locks and without process groups.

const nobody = 65534

var errLocked = errors.New("locked by another process")

func tryLock(*os.File) error { return nil }

func sysProcAttr(bool) *syscall.SysProcAttr { return nil }

func signalGroup(p *os.Process, _ syscall.Signal) { _ = p.Kill() }

func alive(int) bool { return true }
