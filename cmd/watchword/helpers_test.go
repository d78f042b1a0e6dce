package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
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

// freeAddress returns an address that is not in use. Its port is none of those that the system gives to connections and to listeners
// on port 0, of which others begin at any time.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 12_000+rand.N(20_000)))
		if err == nil {
			_ = l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}
