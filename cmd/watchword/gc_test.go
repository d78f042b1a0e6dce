package main

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestServerWithLittleLiveDataCollectsLessOften(t *testing.T) {
	t.Parallel()
	_, addr := startMeasuredNode(t, memoryURL)
	waitFor(t, "go_gc_gogc_percent 200", func() string { return gcPercentLine.FindString(fetchMetrics(t, addr)) })
}

var gcPercentLine = regexp.MustCompile(`(?m)^go_gc_gogc_percent .*$`)

func TestSetGCPercentIsGosDefaultForMuchLiveData(t *testing.T) {
	before := debug.SetGCPercent(smallHeapPercent)
	defer debug.SetGCPercent(before)
	live := []byte(strings.Repeat("x", 2*smallHeap))
	runtime.GC()
	setGCPercent(smallHeapPercent)
	if percent := debug.SetGCPercent(before); percent != 100 {
		t.Errorf("%d percent with %d MiB of live data", percent, len(live)>>20)
	}
	runtime.KeepAlive(live)
}
