//go:build !unix

package main

// maxOpenFiles returns false: the system has no such limit.
func maxOpenFiles() (limit uint64, known bool) { return 0, false }
