package main

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The garbage that may be on the heap before it is collected, in percent of the live data. A small heap may have more: that costs
// some 10 MiB, and with Go's default of 100 a busy server would spend a tenth of its CPU time on collections. More would save
// little.
const (
	smallHeap        = 16 << 20 // live data in bytes
	smallHeapPercent = 200
	largeHeapPercent = 100
	gcCheckInterval  = time.Second
)

// tuneGC returns memory that start-up no longer needs to the system. In a container (cgroup) with a memory limit it makes the
// collector run more often when nine tenths of the limit are used, so that garbage alone never makes the kernel end the process.
// GOMEMLIMIT takes precedence. Until ctx ends tuneGC also adjusts the collector to the size of the live data, unless GOGC is set.
func tuneGC(ctx context.Context, log *slog.Logger) {
	go returnStartupMemory(ctx, log)
	if _, err := memlimit.Set(); err != nil {
		log.Warn("memory limit of the container unknown", "error", err)
	}
	if os.Getenv("GOGC") == "" {
		go adjustGC(ctx)
	}
}

// returnStartupMemory waits until start-up is over. It collects twice: what pools keep, such as the compressors of page assets,
// is freed by the second collection.
func returnStartupMemory(ctx context.Context, log *slog.Logger) {
	select {
	case <-ctx.Done():
	case <-time.After(gcCheckInterval):
		runtime.GC()
		debug.FreeOSMemory()
		if err := unmapProgramPages(); err != nil {
			log.Debug("pages of the program stay mapped", "error", err)
		}
	}
}

// adjustGC calls setGCPercent regularly until ctx ends.
func adjustGC(ctx context.Context) {
	ticker := time.NewTicker(gcCheckInterval)
	defer ticker.Stop()
	for current := 0; ; {
		current = setGCPercent(current)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// setGCPercent sets the collector's percentage by the live data that the last collection found. It does nothing if that is the
// current one, because setting it stops the process for a moment. It returns the percentage.
func setGCPercent(current int) int {
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)
	percent := largeHeapPercent
	if live[0].Value.Uint64() < smallHeap {
		percent = smallHeapPercent
	}
	if percent != current {
		debug.SetGCPercent(percent)
	}
	return percent
}
