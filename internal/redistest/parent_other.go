//go:build !linux

package redistest

import "syscall"

// killWithParent works on Linux only.
func killWithParent() *syscall.SysProcAttr { return nil }
