package main

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// A syncBuffer is a buffer for concurrent use.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// wrongCode returns a code that differs in its last digit.
func wrongCode(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// waitFor waits until get returns a value.
func waitFor(t testing.TB, want string, get func() string) {
	t.Helper()
	got := ""
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if got = get(); got == want {
			return
		}
	}
	t.Fatalf("got %q, never %q", got, want)
}

// runConcurrently calls f n times at the same time, and counts its results.
func runConcurrently(n int, f func(i int) string) map[string]int {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		gate  = make(chan struct{})
		count = map[string]int{}
	)
	for i := range n {
		wg.Go(func() {
			<-gate
			got := f(i)
			mu.Lock()
			defer mu.Unlock()
			count[got]++
		})
	}
	close(gate)
	wg.Wait()
	return count
}
