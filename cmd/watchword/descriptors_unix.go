//go:build unix

package main

import "syscall"

// maxOpenFiles returns how many files and connections the process may have open. Go has raised the limit as far as it may.
func maxOpenFiles() (limit uint64, known bool) {
	var files syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
	return uint64(files.Cur), err == nil
}
