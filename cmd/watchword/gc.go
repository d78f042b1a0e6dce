package main

import (
	"log/slog"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// tuneGC returns memory that start-up no longer needs to the system. In a container (cgroup) with a memory limit it makes the
// collector run more often when nine tenths of the limit are used, so that garbage alone never makes the kernel end the process.
// GOMEMLIMIT takes precedence. How often the collector runs otherwise is Go's default, or GOGC: garbage of the size of the live data.
func tuneGC(log *slog.Logger) {
	debug.FreeOSMemory()
	if _, err := memlimit.Set(); err != nil {
		log.Warn("memory limit of the container unknown", "error", err)
	}
}
