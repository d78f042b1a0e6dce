package redistest

import "syscall"

// killWithParent makes the kernel kill a server when its test ends without cleanup.
func killWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
