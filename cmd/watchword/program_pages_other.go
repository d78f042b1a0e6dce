//go:build !linux

package main

// unmapProgramPages does nothing on this system.
func unmapProgramPages() error { return nil }
