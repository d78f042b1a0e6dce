package redis_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/redis"
)

// The log of go-redis about servers that tests have stopped is discarded.
func TestMain(m *testing.M) {
	redis.SetClientLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// patience is the time-out of calls. It is long, so that a busy machine fails no test. Tests of time-outs use openAsGiven and redis.New.
const patience = 2 * time.Minute

// open returns a client with long time-outs. The URL has no time-outs of its own.
func open(t testing.TB, url string) goredis.UniversalClient {
	t.Helper()
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return openAsGiven(t, fmt.Sprintf("%s%sdial_timeout=%[3]s&read_timeout=%[3]s&write_timeout=%[3]s&pool_timeout=%[3]s", url, separator, patience))
}

// newStore returns a store with a long time-out.
func newStore(client goredis.UniversalClient, cfg redis.Config) *redis.Store {
	cfg.Timeout = patience
	return redis.New(client, cfg)
}

// openAsGiven returns a client with the settings that a URL has.
func openAsGiven(t testing.TB, url string) goredis.UniversalClient {
	t.Helper()
	client, err := redis.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func digest(word string) []byte {
	sum := sha256.Sum256([]byte(word))
	return sum[:]
}

// entry returns an entry with an id, answered by "right".
func entry(id string) watchword.Entry {
	now := time.Now()
	return watchword.Entry{ID: id, Tries: 5, Digests: [][]byte{digest("right")}, Sealed: make([]byte, 500),
		ExpiresAt: now.Add(10 * time.Minute), KeepUntil: now.Add(25 * time.Minute)}
}

func guess(word string) []watchword.Guess {
	return []watchword.Guess{{Digest: digest(word), State: watchword.StateApproved, Mark: digest("mark " + word)}}
}

func limited(key string) watchword.Budget {
	return watchword.Budget{Key: key, Limits: []watchword.Window{{Max: 5, Per: 15 * time.Minute}, {Max: 30, Per: 24 * time.Hour}}, FirstFree: true}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// commands is a hook that records the commands that are sent.
type commands struct {
	mu    sync.Mutex
	names []string
}

func (c *commands) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (c *commands) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		c.note(cmd.Name())
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		for _, cmd := range cmds {
			c.note(cmd.Name())
		}
		return next(ctx, cmds)
	}
}

func (c *commands) note(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = append(c.names, name)
}

// take returns the commands since the last call.
func (c *commands) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return names
}

// eventually waits until a call succeeds.
func eventually(t testing.TB, what string, call func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := call()
		if err == nil {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// A logBuffer is a log that goroutines of go-redis may write while a test reads it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A runClock measures for how long this process could run. It stands still while a busy machine gives the process no time.
type runClock struct{ ticks atomic.Int64 }

const tick = 10 * time.Millisecond

func startRunClock(t testing.TB) *runClock {
	c, ticker := &runClock{}, time.NewTicker(tick) // which drops the ticks that come too early for the goroutine
	t.Cleanup(ticker.Stop)
	go func() {
		for {
			select {
			case <-ticker.C:
				c.ticks.Add(1)
			case <-t.Context().Done():
				return
			}
		}
	}()
	return c
}

func (c *runClock) now() time.Duration { return time.Duration(c.ticks.Load()) * tick }
