package delivery_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func TestQueuePutIsBoundedAndAllOrNone(t *testing.T) {
	ctx := context.Background()
	q := delivery.NewQueue(2, nil)
	if err := q.Put(ctx, watchword.Outgoing{}, watchword.Outgoing{}, watchword.Outgoing{}); !errors.Is(err, delivery.ErrQueueFull) {
		t.Fatalf("three of two: %v", err)
	}
	if err := q.Put(ctx, watchword.Outgoing{ChallengeID: "a"}, watchword.Outgoing{ChallengeID: "b"}); err != nil {
		t.Fatal(err)
	}
	a, _ := claimOne(ctx, q)
	if err := q.Put(ctx, watchword.Outgoing{}); !errors.Is(err, delivery.ErrQueueFull) {
		t.Errorf("a claimed message frees capacity: %v", err)
	}
	_ = q.Retry(ctx, a, time.Now().Add(time.Hour))
	if err := q.Put(ctx, watchword.Outgoing{}); !errors.Is(err, delivery.ErrQueueFull) {
		t.Errorf("a delayed message frees capacity: %v", err)
	}
	b, _ := claimOne(ctx, q)
	_ = q.Bury(ctx, b)
	if err := q.Put(ctx, watchword.Outgoing{ChallengeID: "c"}); err != nil {
		t.Errorf("a buried message frees no capacity: %v", err)
	}
}

func TestQueueClaimReturnsMessageWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		q := delivery.NewQueue(4, nil)
		_ = q.Put(ctx, watchword.Outgoing{ChallengeID: "a", Send: 3})
		o, _ := claimOne(ctx, q)
		start := time.Now()
		_ = q.Retry(ctx, o, start.Add(time.Minute))
		again, err := claimOne(ctx, q)
		if err != nil || time.Since(start) != time.Minute {
			t.Errorf("claimed after %s, %v", time.Since(start), err)
		}
		if want := (watchword.Outgoing{ChallengeID: "a", Send: 3, Attempt: 1}); again != want {
			t.Errorf("got %+v, want %+v", again, want)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := claimOne(short, q); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an empty queue: %v", err)
		}
	})
}

func TestQueueDrainReturnsLateMessagesAndEndsClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		q := delivery.NewQueue(4, nil)
		_ = q.Put(ctx, watchword.Outgoing{ChallengeID: "soon"}, watchword.Outgoing{ChallengeID: "late"}, watchword.Outgoing{ChallengeID: "ready"})
		soon, _ := claimOne(ctx, q)
		late, _ := claimOne(ctx, q)
		_ = q.Retry(ctx, soon, time.Now().Add(time.Second))
		_ = q.Retry(ctx, late, time.Now().Add(time.Minute))
		given := q.Drain(time.Now().Add(10 * time.Second))
		if len(given) != 1 || given[0].ChallengeID != "late" {
			t.Errorf("late ones: %+v", given)
		}
		if err := q.Put(ctx, watchword.Outgoing{}); !errors.Is(err, delivery.ErrDrained) {
			t.Errorf("Put: %v", err)
		}
		for _, want := range []string{"ready", "soon"} {
			o, err := claimOne(ctx, q)
			if err != nil || o.ChallengeID != want {
				t.Fatalf("got %+v, %v; want %s", o, err, want)
			}
			if err := q.Retry(ctx, o, time.Now().Add(time.Hour)); !errors.Is(err, delivery.ErrDrained) {
				t.Errorf("Retry after the end: %v", err)
			}
			_ = q.Done(ctx, o)
		}
		_ = q.Bury(ctx, given[0])
		if _, err := claimOne(ctx, q); !errors.Is(err, delivery.ErrDrained) {
			t.Errorf("Claim at the end: %v", err)
		}
	})
}

// With many concurrent Puts and Claims, each message is claimed once.
func TestQueueHandsOutEachMessageOnceUnderConcurrency(t *testing.T) {
	ctx := context.Background()
	const putters, each = 8, 500
	q := delivery.NewQueue(putters*each, nil)
	var puts, claims sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for range 8 {
		claims.Go(func() {
			for {
				o, err := claimOne(ctx, q)
				if err != nil {
					return
				}
				if o.Attempt == 0 && len(o.ChallengeID)%2 == 0 {
					_ = q.Retry(ctx, o, time.Now())
					continue
				}
				mu.Lock()
				seen[o.ChallengeID]++
				mu.Unlock()
				_ = q.Done(ctx, o)
			}
		})
	}
	for p := range putters {
		puts.Go(func() {
			for i := range each {
				if err := q.Put(ctx, watchword.Outgoing{ChallengeID: strconv.Itoa(p*each + i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	puts.Wait()
	q.Drain(time.Now().Add(time.Minute))
	claims.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d times", id, n)
		}
	}
	if len(seen) != putters*each {
		t.Errorf("%d of %d came out", len(seen), putters*each)
	}
}

// claimOne claims one message.
func claimOne(ctx context.Context, q watchword.Outbox) (watchword.Outgoing, error) {
	out, err := q.Claim(ctx, 1)
	if err != nil {
		return watchword.Outgoing{}, err
	}
	return out[0], nil
}
