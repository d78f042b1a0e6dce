package redis_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/redis"
)

// garbage is what somebody else may have written. Each call answers in one of the ways that it may; the scripts do not
// fail half-way, and nothing panics.
func garbage(t *testing.T, client goredis.UniversalClient) {
	ctx, s := t.Context(), redis.New(client, redis.Config{Prefix: "garbage"})
	const key = "{garbage:0}:e:g.1"
	must(t, s.Create(ctx, entry("g.1")))
	whole, err := client.Get(ctx, key).Result()
	must(t, err)
	damaged := []string{"", "x", whole[:50], whole[:51], whole[:63], "\x02" + whole[1:], whole[:45] + "\xff\xff" + whole[47:],
		whole[:47] + "\xff\xff\xff\xff" + whole[51:], whole[:47] + "\x00\x00\x00\x21" + whole[51:], whole[:47] + "\x00\x00\x00\x01" + whole[51:],
		whole[:51] + "\xff\xff" + whole[53:]}
	values := []string{whole[:2] + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" + whole[29:]}
	for _, value := range damaged {
		must(t, client.Set(ctx, key, value, time.Hour).Err())
		if _, err := s.Attempt(ctx, "g.1", guess("right"), watchword.Budget{}); !says(err, "watchword: not an entry") {
			t.Errorf("an attempt at %.70q: %v", value, err)
		}
		if now := client.Get(ctx, key).Val(); now != value {
			t.Errorf("an attempt changed %.70q to %.70q", value, now)
		}
		everyCall(t, s, fmt.Sprintf("%.70q", value))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := []byte(whole)
		for range 1 + random.IntN(8) {
			b[random.IntN(60)] = byte(random.Uint32())
		}
		values = append(values, string(b[:random.IntN(len(b)+1)]), string(b))
	}
	for _, value := range values {
		must(t, client.Set(ctx, key, value, time.Hour).Err())
		everyCall(t, s, fmt.Sprintf("%.70q", value))
	}
	must(t, client.Del(ctx, key).Err())
	must(t, client.RPush(ctx, key, "a", "list").Err())
	everyCall(t, s, "a list")
	if _, err := s.Get(ctx, "g.1"); err == nil {
		t.Error("a list was read as an entry")
	}
	garbageBudget(t, client, s)
}

func says(err error, text string) bool {
	return err != nil && strings.HasSuffix(err.Error(), ": "+text)
}

// everyCall makes each call; when it is refused as damaged nothing may have been written.
func everyCall(t *testing.T, s *redis.Store, what string) {
	t.Helper()
	ctx := t.Context()
	call := map[string]func() error{
		"attempt": func() error { _, err := s.Attempt(ctx, "g.1", guess("wrong"), watchword.Budget{}); return err },
		"get":     func() error { _, err := s.Get(ctx, "g.1"); return err },
		"update":  func() error { return s.Update(ctx, watchword.Entry{ID: "g.1", Version: 1, Sealed: []byte("new")}) },
		"close":   func() error { return s.Close(ctx, "g.1", watchword.Closing{State: watchword.StateCanceled}) },
	}
	for name, f := range call {
		switch err := f(); {
		case err == nil, errors.Is(err, watchword.ErrClosed), errors.Is(err, watchword.ErrExpired), errors.Is(err, watchword.ErrSpent),
			errors.Is(err, watchword.ErrMismatch), errors.Is(err, watchword.ErrConflict):
		case says(err, "watchword: not an entry"), says(err, "server replied WRONGTYPE"):
		default:
			if !strings.HasSuffix(err.Error(), "redis: what is stored is not an entry") {
				t.Errorf("%s of %s: %v", name, what, err)
			}
		}
	}
}

// garbageBudget has budgets that are none. The try of an entry whose budget cannot be read is not judged.
func garbageBudget(t *testing.T, client goredis.UniversalClient, s *redis.Store) {
	t.Helper()
	ctx := t.Context()
	const key = "{garbage:0}:b:g.any"
	b := watchword.Budget{Key: "g.any", Limits: []watchword.Window{{Max: 1, Per: time.Hour}}}
	for i, plant := range []func() error{
		func() error { return client.Set(ctx, key, "garbage!!", 0).Err() },
		func() error { return client.RPush(ctx, key, "a list").Err() },
		func() error { return client.SAdd(ctx, key, "a set").Err() },
	} {
		must(t, client.Del(ctx, key).Err())
		must(t, plant())
		id := fmt.Sprintf("g.budget%d", i)
		must(t, s.Create(ctx, entry(id)))
		if _, err := s.Attempt(ctx, id, guess("right"), b); !says(err, "watchword: not a budget") && !says(err, "server replied WRONGTYPE") {
			t.Errorf("budget %d: got %v", i, err)
		}
		if e, err := s.Get(ctx, id); err != nil || e.Used != 0 || e.State != watchword.StatePending {
			t.Errorf("budget %d: the entry is %+v, %v", i, e, err)
		}
	}
	for i, c := range []struct {
		stamp   string
		refused bool
	}{{"\xff\xff\xff\xff\xff\xff\xff\xff", true}, {"\x7f\xff\xff\xff\xff\xff\xff\xff", true}, {"\x00\x00\x00\x00\x00\x00\x00\x00", false}, {"", false}} {
		must(t, client.Set(ctx, key, c.stamp, 0).Err())
		id := fmt.Sprintf("g.stamp%d", i)
		must(t, s.Create(ctx, entry(id)))
		_, err := s.Attempt(ctx, id, guess("wrong"), b)
		var spent *watchword.BudgetError
		if errors.As(err, &spent) != c.refused || spent != nil && spent.RetryAfter != time.Hour {
			t.Errorf("a charge at %q: %v", c.stamp, err)
		}
	}
}
