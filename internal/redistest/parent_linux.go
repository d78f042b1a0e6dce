package redistest

import "syscall"

// dieWithParent ends a server also when its test was killed or panicked, and no cleanup ran.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
