package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestFactorIsLockedAndDisabledAfterFailures(t *testing.T) {
	t.Parallel()
	l := &scriptedVerifier{
		enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
			return watchword.Factor{ID: "fa_1"}, nil
		},
		verify: func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
			f, err := c.FindFactor(ctx, "fa_1")
			if err != nil {
				return watchword.Proof{}, err
			}
			if err := f.Usable(c); err != nil {
				return watchword.Proof{}, err
			}
			return watchword.Proof{Compared: []watchword.Factor{f}}, watchword.ErrMismatch
		},
	}
	k := newKit(t, withVerifier(l), func(c *watchword.Config) { c.NoBudget = true })
	if _, err := k.check(k.start(enrolmentStart()).ID, "x", forEnrolment); err != nil {
		t.Fatal(err)
	}
	failures, locks := 0, []time.Duration{}
	for failures < 100 {
		_, err := k.check(k.start(verifierStart()).ID, "x")
		var e *watchword.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		switch e.Code {
		case "incorrect_answer":
			failures++
		case "too_many_guesses":
			locks = append(locks, e.RetryAfter)
			k.clock.advance(e.RetryAfter)
		default:
			t.Fatal(err)
		}
	}
	h := time.Hour
	if want := []time.Duration{h, 2 * h, 4 * h, 8 * h, 12 * h, 12 * h, 12 * h, 12 * h, 12 * h}; !slices.Equal(locks, want) {
		t.Fatalf("locks %v", locks)
	}
	k.clock.advance(365 * 24 * time.Hour)
	_, err := k.newNode().Status(context.Background(), "x")
	k.requireCode(err, watchword.ErrUnknownChallenge)
	_, err = k.check(k.start(verifierStart()).ID, "x")
	k.requireCode(err, watchword.ErrFactorDisabled)
	types := k.events.types()
	if n := len(slices.DeleteFunc(types, func(s string) bool { return s != "factor.failing" && s != "factor.disabled" })); n != 4 {
		t.Fatalf("%d events about failures", n)
	}
}

func TestFactorOfAnotherSubjectIDOrVersionDoesNotDecrypt(t *testing.T) {
	l := &scriptedVerifier{
		enrol: func(_ context.Context, c *watchword.Challenge, _ string) (watchword.Factor, error) {
			return watchword.Factor{ID: "fa_" + c.Subject, Data: []byte(c.Subject)}, nil
		},
		verify: func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
			factors, err := c.Factors(ctx)
			if err != nil {
				return watchword.Proof{}, err
			}
			return watchword.Proof{}, factors[0].Usable(c)
		},
	}
	k := newKit(t, withVerifier(l))
	ctx := context.Background()
	for _, who := range []string{"user_42", "user_43"} {
		req := enrolmentStart()
		req.Subject = who
		if _, err := k.check(k.start(req).ID, "x", forEnrolment, func(r *watchword.CheckRequest) { r.Subject = who }); err != nil {
			t.Fatal(err)
		}
	}
	// version 2 is the factor without the enrolment's note
	second := func(id string) watchword.SealedFactor {
		for {
			f, err := k.config.Factors.Get(ctx, "shop", id)
			if err != nil {
				t.Fatal(err)
			}
			if f.Version == 2 {
				return f
			}
			time.Sleep(time.Millisecond)
		}
	}
	mine, others := second("fa_user_42"), second("fa_user_43")
	put := func(f watchword.SealedFactor) error {
		t.Helper()
		if err := k.config.Factors.Delete(ctx, "shop", mine.ID); err != nil {
			t.Fatal(err)
		}
		f.Version = 1
		if err := errors.Join(k.config.Factors.Create(ctx, f), k.config.Factors.Update(ctx, f)); err != nil {
			t.Fatal(err)
		}
		k.clock.advance(time.Hour)
		_, err := k.check(k.start(verifierStart()).ID, "x")
		return err
	}
	if err := put(mine); err != nil {
		t.Fatal(err)
	}
	moved := mine
	moved.Data = others.Data
	if put(moved) == nil {
		t.Fatal("another subject's ciphertext opened")
	}
	if err := put(mine); err != nil {
		t.Fatal(err)
	}
	if err := k.config.Factors.Update(ctx, mine); err != nil {
		t.Fatal(err)
	}
	_, err := k.check(k.start(verifierStart()).ID, "x")
	k.requireCode(err, watchword.ErrFactorDisabled) // an older ciphertext is not accepted as the newer version
}
