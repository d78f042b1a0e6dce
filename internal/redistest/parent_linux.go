package redistest

import "syscall"

// killWithParent ends a server also when its test was killed or panicked, and no cleanup ran.
func killWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
