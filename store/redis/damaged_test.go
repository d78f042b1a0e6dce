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

// testDamagedValues tests values that another program has written. Each call returns one of the documented errors; scripts do not fail
// half-way, and nothing panics.
func testDamagedValues(t *testing.T, client goredis.UniversalClient) {
	reported := map[string]int{}
	ctx, s := t.Context(), newStore(client, redis.Config{Prefix: "garbage", Damaged: func(what string) { reported[what]++ }})
	const key = "{garbage:0}:e:g.1"
	must(t, s.Create(ctx, entry("g.1")))
	whole, err := client.Get(ctx, key).Result()
	must(t, err)
	damaged := []string{"x", whole[:50], whole[:51], whole[:63], "\x02" + whole[1:], whole[:45] + "\xff\xff" + whole[47:],
		whole[:47] + "\xff\xff\xff\xff" + whole[51:], whole[:47] + "\x00\x00\x00\x21" + whole[51:], whole[:47] + "\x00\x00\x00\x01" + whole[51:],
		whole[:51] + "\xff\xff" + whole[53:], whole + strings.Repeat("x", 256<<10)}
	values := []string{"", whole[:2] + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" + whole[29:]}
	for _, value := range damaged {
		must(t, client.Set(ctx, key, value, time.Hour).Err())
		before := reported["entry"]
		if _, err := s.Attempt(ctx, "g.1", guess("right"), watchword.Budget{}); !errors.Is(err, watchword.ErrNotFound) || reported["entry"] != before+1 {
			t.Errorf("an attempt at %.70q: %v, reported %d times", value, err, reported["entry"]-before)
		}
		if now := client.Get(ctx, key).Val(); now != value {
			t.Errorf("an attempt changed %.70q to %.70q", value, now)
		}
		checkEveryCall(t, s, fmt.Sprintf("%.70q", value))
		must(t, client.Set(ctx, key, value, time.Hour).Err())
		testDamagedEntryIsReplaced(t, s, fmt.Sprintf("%.70q", value))
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
		checkEveryCall(t, s, fmt.Sprintf("%.70q", value))
	}
	must(t, client.Del(ctx, key).Err())
	must(t, client.RPush(ctx, key, "a", "list").Err())
	checkEveryCall(t, s, "a list")
	if _, err := s.Get(ctx, "g.1"); !errors.Is(err, watchword.ErrNotFound) {
		t.Errorf("a list was read as an entry: %v", err)
	}
	testDamagedEntryIsReplaced(t, s, "a list")
	testDamagedBudgets(t, client, s, reported)
}

// testDamagedEntryIsReplaced creates an entry in place of a damaged value.
func testDamagedEntryIsReplaced(t *testing.T, s *redis.Store, what string) {
	t.Helper()
	if err := s.Create(t.Context(), entry("g.1")); err != nil {
		t.Errorf("an entry in the place of %s: %v", what, err)
	}
	wants(t, "another one", s.Create(t.Context(), entry("g.1")), watchword.ErrExists)
	if e, err := s.Attempt(t.Context(), "g.1", guess("right"), watchword.Budget{}); err != nil || e.State != watchword.StateApproved {
		t.Errorf("an answer to the entry in the place of %s: %v", what, err)
	}
}

// checkEveryCall makes each call. A damaged entry is treated as missing.
func checkEveryCall(t *testing.T, s *redis.Store, what string) {
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
			errors.Is(err, watchword.ErrMismatch), errors.Is(err, watchword.ErrConflict), errors.Is(err, watchword.ErrNotFound):
		default:
			t.Errorf("%s of %s: %v", name, what, err)
		}
	}
}

// testDamagedBudgets tests damaged budgets. They count as empty, and expire again.
func testDamagedBudgets(t *testing.T, client goredis.UniversalClient, s *redis.Store, reported map[string]int) {
	t.Helper()
	ctx := t.Context()
	const key = "{garbage:0}:b:g.any"
	b := watchword.Budget{Key: "g.any", Limits: []watchword.Window{{Max: 2, Per: time.Hour}}}
	for i, plant := range []func() error{
		func() error { return client.Set(ctx, key, "garbage!!", 0).Err() },
		func() error { return client.RPush(ctx, key, "a list").Err() },
		func() error { return client.SAdd(ctx, key, "a set").Err() },
		func() error { return client.Set(ctx, key, "\xff\xff\xff\xff\xff\xff\xff\xff", 0).Err() },
		func() error { return client.Set(ctx, key, strings.Repeat("\x00", 512<<10), 0).Err() },
		func() error { return client.Set(ctx, key, "\x7f\xff\xff\xff\xff\xff\xff\xff", 0).Err() },
	} {
		must(t, client.Del(ctx, key).Err())
		must(t, plant())
		id, before := fmt.Sprintf("g.budget%d", i), reported["budget"]
		must(t, s.Create(ctx, entry(id)))
		for range b.Limits[0].Max {
			_, err := s.Attempt(ctx, id, guess("wrong"), b)
			wants(t, fmt.Sprintf("budget %d", i), err, watchword.ErrMismatch)
		}
		var spent *watchword.BudgetError
		if _, err := s.Attempt(ctx, id, guess("right"), b); !errors.As(err, &spent) {
			t.Errorf("budget %d is not counted any more: %v", i, err)
		}
		if reported["budget"] != before+1 {
			t.Errorf("budget %d: reported %d times", i, reported["budget"]-before)
		}
		if ttl := client.PTTL(ctx, key).Val(); ttl <= 0 {
			t.Errorf("budget %d never leaves", i)
		}
	}
	for _, stamp := range []string{"\x00\x00\x00\x00\x00\x00\x00\x00", ""} {
		must(t, client.Set(ctx, key, stamp, 0).Err())
		id := fmt.Sprintf("g.stamp%d", len(stamp))
		must(t, s.Create(ctx, entry(id)))
		if _, err := s.Attempt(ctx, id, guess("wrong"), b); !errors.Is(err, watchword.ErrMismatch) {
			t.Errorf("a charge at %q: %v", stamp, err)
		}
	}
	must(t, client.RPush(ctx, "{garbage:0}:b:g.list", "a list").Err())
	must(t, s.Create(ctx, entry("g.winner")))
	if e, err := s.Attempt(ctx, "g.winner", guess("right"), watchword.Budget{Key: "g.list", Limits: b.Limits}); err != nil || e.State != watchword.StateApproved {
		t.Errorf("a right answer beside a damaged budget: %+v, %v", e, err)
	}
}
