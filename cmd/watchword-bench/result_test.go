package main

import (
	"slices"
	"testing"
	"time"
)

func TestMedianIsTheMiddleValue(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{5}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 100, 2}, 3},
	} {
		if got := median(slices.Clone(c.values)); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// The medians of different values may come from different rounds.
func TestMedianResultTakesTheMedianOfEachValue(t *testing.T) {
	all := func(v float64) result {
		return result{cyclesPerSecond: v, serverCPU: v, p50: v, p99: v, send: v, sendP99: v, idleRSS: v, loadRSS: v, redisCPU: v, commands: v, reads: v,
			commandShares: []float64{v, v}, cpuShares: []float64{v, v}}
	}
	slow, middle, fast := all(1), all(2), all(3)
	slow.p99, middle.p99, fast.p99 = 30, 10, 20
	slow.cpuShares, middle.cpuShares, fast.cpuShares = []float64{0.5, 0.5}, []float64{0.4, 0.6}, []float64{0.3, 0.7}
	got, want := medianResult([]result{fast, slow, middle}), all(2)
	want.p99, want.cpuShares = 20, []float64{0.4, 0.6}
	if got, want := numbersOf(got), numbersOf(want); !slices.Equal(got, want) {
		t.Errorf("values are %v, want %v", got, want)
	}
}

func numbersOf(r result) []float64 {
	numbers := []float64{r.cyclesPerSecond, r.serverCPU, r.p50, r.p99, r.send, r.sendP99, r.idleRSS, r.loadRSS, r.redisCPU, r.commands, r.reads}
	return slices.Concat(numbers, r.commandShares, r.cpuShares)
}

func TestQuantileIsInMilliseconds(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i)*time.Millisecond)
	}
	if p50, p99 := quantile(times, 0.5), quantile(times, 0.99); p50 != 50 || p99 != 99 {
		t.Errorf("p50 is %v and p99 %v, want 50 and 99", p50, p99)
	}
	if none := quantile(nil, 0.5); none != 0 {
		t.Errorf("the quantile of no times is %v", none)
	}
}

func TestSummarizeDividesByCyclesAndSharesCommandsByNode(t *testing.T) {
	done := loadResult{cycles: 100, took: 2 * time.Second, requests: []time.Duration{time.Millisecond}, sends: []time.Duration{3 * time.Millisecond}}
	r := summarize(done, []redisUsage{{time.Millisecond, 300, 100}, {3 * time.Millisecond, 100, 50}})
	if got, want := numbersOf(r), []float64{50, 0, 1, 1, 3, 3, 0, 0, 40, 0, 1.5, 0.75, 0.25, 0.25, 0.75}; !slices.Equal(got, want) {
		t.Errorf("values are %v, want %v", got, want)
	}
}
