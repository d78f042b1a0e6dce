package enginetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// lostReplyLimiter is a limiter whose reply can be lost.
type lostReplyLimiter struct {
	*ratelimit.Limiter
	lose bool
	key  string // of the subject's bucket
}

func (l *lostReplyLimiter) TakeNamed(ctx context.Context, name string, buckets ...watchword.Bucket) error {
	err := l.Limiter.TakeNamed(ctx, name, buckets...)
	for _, b := range buckets {
		if b.By == ratelimit.BySubject {
			l.key = b.Key
		}
	}
	if l.lose {
		return errLostReply
	}
	return err
}

func TestUnavailableStartIsNotCounted(t *testing.T) {
	var limiter *lostReplyLimiter
	k := newKit(t, func(c *watchword.Config) {
		l, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{Now: c.Clock}),
			[]ratelimit.Rule{{Name: "two", Limit: 2, Window: time.Hour, By: ratelimit.BySubject}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		limiter = &lostReplyLimiter{Limiter: l}
		c.Starts = limiter
	})
	store := &lostReplyStore{Store: k.store.Store, taken: true}
	k.store.Store = store
	for range 10 {
		for _, lost := range []string{"create", "take"} {
			if store.step = lost; lost == "take" {
				limiter.lose = true
			}
			_, err := k.Start(context.Background(), startByEmail())
			k.requireCode(err, watchword.ErrUnavailable)
			store.step, limiter.lose = "", false
			limiter.awaitRefund(t)
		}
	}
	k.start(startByEmail())
	k.start(startByEmail())
	_, err := k.Start(context.Background(), startByEmail())
	k.requireCode(err, watchword.ErrRateLimited)
}

// awaitRefund waits until the charge of a failed start was refunded in the background: then two more starts pass.
func (l *lostReplyLimiter) awaitRefund(t *testing.T) {
	t.Helper()
	ctx, bucket := context.Background(), watchword.Bucket{By: ratelimit.BySubject, Key: l.key}
	for range 1000 {
		first, second := l.Limiter.TakeNamed(ctx, "first", bucket), l.Limiter.TakeNamed(ctx, "second", bucket)
		if err := errors.Join(l.Refund(ctx, "first", bucket), l.Refund(ctx, "second", bucket)); err != nil {
			t.Fatal(err)
		}
		if first == nil && second == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("a start that did not come about counts")
}

// Of two concurrent resends one sends nothing and is not counted.
func TestResendThatSendsNothingIsNotCounted(t *testing.T) {
	var limiter *lostReplyLimiter
	k := newKit(t, func(c *watchword.Config) {
		l, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{Now: c.Clock}),
			[]ratelimit.Rule{{Name: "four", Limit: 4, Window: time.Hour, By: ratelimit.BySubject}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		limiter = &lostReplyLimiter{Limiter: l}
		c.Starts = limiter
	})
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	var once sync.Once
	var other error
	held := &updateInterferingStore{k.config.Store, func() { once.Do(func() { _, other = k.Resend(context.Background(), s.ID, watchword.ResendRequest{}) }) }}
	node := k.newNode(func(c *watchword.Config) { c.Store = held })
	_, err := node.Resend(context.Background(), s.ID, watchword.ResendRequest{})
	if other != nil || !errors.Is(err, watchword.ErrResendTooSoon) {
		t.Fatal(other, err)
	}
	node.AwaitBackground(t.Context())
	// one start and one resend were counted: two are left
	for n := range 2 {
		if err := limiter.Limiter.Take(context.Background(), watchword.Bucket{By: ratelimit.BySubject, Key: limiter.key}); err != nil {
			t.Errorf("of four sends two were made, the %d. one more: %v", n+1, err)
		}
	}
}

type updateInterferingStore struct {
	watchword.Store
	before func()
}

func (m *updateInterferingStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	m.before()
	return m.Store.Update(ctx, e, out...)
}

// A repeated start with a seed is not counted if the store fails when the first challenge is read.
func TestUnavailableRepeatedStartIsNotCounted(t *testing.T) {
	var limiter *lostReplyLimiter
	k := newKit(t, func(c *watchword.Config) {
		l, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{Now: c.Clock}),
			[]ratelimit.Rule{{Name: "three", Limit: 3, Window: time.Hour, By: ratelimit.BySubject}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		limiter = &lostReplyLimiter{Limiter: l}
		c.Starts = limiter
	})
	req := startByEmail()
	req.Seed = []byte("one")
	k.start(req)
	node := k.newNode(func(c *watchword.Config) { c.Store = &getFailingStore{c.Store} })
	_, err := node.Start(context.Background(), req)
	k.requireCode(err, watchword.ErrUnavailable)
	node.AwaitBackground(t.Context())
	for n := range 2 {
		if err := limiter.Limiter.Take(context.Background(), watchword.Bucket{By: ratelimit.BySubject, Key: limiter.key}); err != nil {
			t.Errorf("of three starts one came about, the %d. one more: %v", n+1, err)
		}
	}
}

type getFailingStore struct{ watchword.Store }

func (getFailingStore) Get(context.Context, string) (watchword.Entry, error) {
	return watchword.Entry{}, errOutage
}
