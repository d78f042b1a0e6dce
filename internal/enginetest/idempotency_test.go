package enginetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestReserveReturnsStoredAnswerOrRefuses(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	reserve := func(e *watchword.Engine, scope, key, body string) (*watchword.Reservation, error) {
		return e.Reserve(ctx, scope, key, []byte(body))
	}
	r, err := reserve(k.Engine, "POST /a", "key", "body")
	if err != nil || r.Response != nil {
		t.Fatalf("%v %v", r, err)
	}
	_, err = reserve(k.newNode(), "POST /a", "key", "body")
	k.requireCode(err, watchword.ErrIdempotencyInFlight)
	_, err = reserve(k.Engine, "POST /a", "key", "another")
	k.requireCode(err, watchword.ErrIdempotencyMismatch)
	for name, e := range map[string]*watchword.Engine{"POST /b": k.Engine, "POST /a": k.newNode(func(c *watchword.Config) { c.App = "bank" })} {
		if _, err := reserve(e, name, "key", "another"); err != nil {
			t.Fatalf("another scope or app: %v", err)
		}
	}
	if err := r.Finish(ctx, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	repeated, err := reserve(k.newNode(), "POST /a", "key", "body")
	if err != nil || string(repeated.Response) != "answer" {
		t.Fatalf("%q %v", repeated.Response, err)
	}
	_, err = reserve(k.Engine, "POST /a", "key", "another")
	k.requireCode(err, watchword.ErrIdempotencyMismatch)
}

func TestReserveTakesOverAbandonedReservation(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	first, err := k.Reserve(ctx, "POST /a", "key", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("released at once", func(t *testing.T) {
		r, _ := k.Reserve(ctx, "POST /a", "other", nil)
		if err := r.Release(ctx); err != nil {
			t.Fatal(err)
		}
		if r, err = k.Reserve(ctx, "POST /a", "other", nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Release(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := k.Reserve(ctx, "POST /a", "other", []byte("another body"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Finish(ctx, []byte("answer")); err != nil {
			t.Fatal(err)
		}
		_, err = k.Reserve(ctx, "POST /a", "other", nil)
		k.requireCode(err, watchword.ErrIdempotencyMismatch)
	})
	k.clock.advance(31 * time.Second)
	won := make(chan *watchword.Reservation, 50)
	got := runConcurrently(50, func(int) error {
		r, err := k.Reserve(ctx, "POST /a", "key", nil)
		if err == nil {
			won <- r
		}
		return err
	})
	if got[""] != 1 || got["idempotency_in_flight"] != 49 {
		t.Fatalf("outcomes: %v", got)
	}
	if string((<-won).Seed) != string(first.Seed) {
		t.Fatal("the one that takes over would start another challenge")
	}
	k.requireCode(first.Finish(ctx, []byte("late")), watchword.ErrIdempotencyInFlight)
}

func TestExpiredReservationGivesAnotherSeed(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	first, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(26 * time.Minute) // the reservation has expired
	second, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("bob"))
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Seed) == string(second.Seed) {
		t.Fatal("bob would be answered with alice's challenge")
	}
}
