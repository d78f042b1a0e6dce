package redis_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"sync"
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

func open(t testing.TB, url string) goredis.UniversalClient {
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
