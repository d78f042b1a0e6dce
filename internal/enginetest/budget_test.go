package enginetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestFiveOfManyConcurrentWrongAnswersAreCompared(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	wrong := wrongCode(k.code(s.ID))
	got := runConcurrently(500, func(int) error { _, err := k.check(s.ID, wrong); return err })
	if got["incorrect_answer"] != 5 || got["attempts_exhausted"]+got["too_many_guesses"] != 495 {
		t.Fatalf("outcomes: %v", got)
	}
	_, err := k.check(s.ID, wrong)
	k.requireCode(err, watchword.ErrAttemptsExhausted)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Locked {
		t.Fatalf("status %s", v.Status)
	}
}

func TestWrongAnswerReturnsRemainingTries(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	for left := 4; left >= 0; left-- {
		if e := k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer); e.Remaining != left {
			t.Fatalf("%d tries left, want %d", e.Remaining, left)
		}
	}
}

// No request refills a group's budget, except a right answer for that address.
func TestGuessBudgetIsSharedByChallengesOfAnAddress(t *testing.T) {
	spend := func(k *kit) {
		s := k.start(startByEmail())
		for range 4 {
			k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		}
		req := startByEmail()
		req.Purpose, req.Subject = "password_reset", "user_43"
		s2 := k.start(req)
		_, err := k.check(s2.ID, wrongCode(k.code(s2.ID)), func(r *watchword.CheckRequest) { r.Purpose, r.Subject = "password_reset", "user_43" })
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	refused := func(k *kit, req watchword.StartRequest) {
		t.Helper()
		s := k.start(req)
		as := func(r *watchword.CheckRequest) { r.Purpose, r.Subject = req.Purpose, req.Subject }
		_, err := k.check(s.ID, wrongCode(k.code(s.ID)), as)
		k.requireCode(err, watchword.ErrIncorrectAnswer) // the first try of a challenge is always compared
		_, err = k.check(s.ID, k.code(s.ID), as)
		if e := k.requireCode(err, watchword.ErrTooManyGuesses); e.RetryAfter <= 0 || e.RetryAfter > 15*time.Minute {
			t.Fatalf("retry after %s", e.RetryAfter)
		}
	}
	t.Run("purpose, subject, restart", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		refused(k, startByEmail())
		req := startByEmail()
		req.Purpose, req.Subject = "mfa", "user_44"
		refused(k, req)
		req = startByEmail()
		req.To = "ALICE@example.com" // another spelling of the same mailbox
		refused(k, req)
	})
	t.Run("cancel and resend", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		s := k.start(startByEmail())
		if _, err := k.Cancel(context.Background(), s.ID); err != nil {
			t.Fatal(err)
		}
		s = k.start(startByEmail())
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.clock.advance(31 * time.Second)
		if _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); err != nil {
			t.Fatal(err)
		}
		k.requireCode(k.answerWrong(s.ID), watchword.ErrTooManyGuesses)
	})
	t.Run("another address and a known device do", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		req := startByEmail()
		req.To = "bob@example.com"
		s := k.start(req)
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
			t.Fatal(err)
		}
		refused(k, startByEmail())
		req = startByEmail()
		req.Client.Known = true
		s = k.start(req)
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
			t.Fatal(err)
		}
		refused(k, startByEmail())
	})
	t.Run("a right answer clears it", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		s := k.start(startByEmail())
		if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
			t.Fatal(err) // the first try, so it is compared
		}
		s = k.start(startByEmail())
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
	})
	t.Run("time does", func(t *testing.T) {
		k := newKit(t)
		spend(k)
		k.clock.advance(15*time.Minute + time.Second)
		s := k.start(startByEmail())
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
		k.requireCode(k.answerWrong(s.ID), watchword.ErrIncorrectAnswer)
	})
}

func TestFirstTryPassesWhenStrangersSpentTheBudget(t *testing.T) {
	k := newKit(t)
	owners := k.start(startByEmail())
	attackers := k.start(startByEmail())
	for range 5 {
		_ = k.answerWrong(attackers.ID)
	}
	if _, err := k.check(owners.ID, k.code(owners.ID)); err != nil {
		t.Fatalf("the owner's first try: %v", err)
	}
}

func TestStartIsUnavailableWithoutLimiter(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) {
		c.Starts = limiterFunc(func(...watchword.Bucket) error { return errors.New("no route") })
	})
	_, err := k.Start(context.Background(), startByEmail())
	k.requireCode(err, watchword.ErrUnavailable)
	if len(k.outbox.list()) != 0 {
		t.Fatal("something was sent")
	}
}

type limiterFunc func(...watchword.Bucket) error

func (f limiterFunc) Take(_ context.Context, b ...watchword.Bucket) error { return f(b...) }

func TestStartPassesKeyedDigestsToLimiter(t *testing.T) {
	var seen [][]watchword.Bucket
	k := newKit(t, func(c *watchword.Config) {
		c.Starts = limiterFunc(func(b ...watchword.Bucket) error { seen = append(seen, b); return nil })
	})
	req := watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject,
		Client: watchword.Client{IP: "2001:db8:1:2:3:4:5:6"}}
	k.start(req)
	req.Client = watchword.Client{IP: "2001:db8:1:2:ffff::1", Known: true}
	k.start(req)
	by := map[string]int{}
	for i, b := range seen[0] {
		by[b.By]++
		if strings.Contains(b.Key, alicePhone) || strings.Contains(b.Key, subject) || strings.Contains(b.Key, "2001") || b.Channel != "sms" {
			t.Errorf("bucket %+v", b)
		}
		if known := seen[1][i]; b.Key == known.Key || b.Known || !known.Known {
			t.Errorf("by %s: a trusted device is counted with strangers: %+v, %+v", b.By, b, known)
		}
	}
	if len(by) != 7 {
		t.Fatalf("counted by %v", by)
	}
}

// A start that the strategy refuses is not counted by the limits.
func TestRefusedStartIsNotCounted(t *testing.T) {
	taken, gone := 0, true
	l := &factorDependentVerifier{scriptedVerifier{verify: rejectAll}, &gone}
	k := newKit(t, withVerifier(&l.scriptedVerifier), func(c *watchword.Config) {
		c.Strategies[len(c.Strategies)-1] = l
		c.Starts = limiterFunc(func(...watchword.Bucket) error { taken++; return nil })
	})
	_, err := k.Start(context.Background(), verifierStart())
	if k.requireCode(err, watchword.ErrNotEnrolled); taken != 0 {
		t.Errorf("counted %d times", taken)
	}
	gone = false
	if k.start(verifierStart()); taken != 1 {
		t.Errorf("counted %d times", taken)
	}
}

// Starts of a page that offers passkeys are counted, but not with other starts.
func TestStartsWithoutSubjectAreCountedAsVisitors(t *testing.T) {
	counted := map[string]bool{}
	k := newKit(t, func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, &scriptedVerifier{verify: rejectAll, properties: watchword.StrategyProperties{Tries: 1}})
		c.Starts = limiterFunc(func(buckets ...watchword.Bucket) error {
			clear(counted)
			for _, b := range buckets {
				counted[b.By] = true
			}
			return nil
		})
	})
	req := watchword.StartRequest{Strategy: "scripted", Purpose: "sign_in", Client: watchword.Client{IP: "203.0.113.7"}}
	k.start(req)
	if !counted["visitor"] || counted["ip"] || !counted["app"] || !counted["all"] {
		t.Errorf("without subject: counted by %v", counted)
	}
	req.Subject = subject
	k.start(req)
	if counted["visitor"] || !counted["ip"] || !counted["subject"] {
		t.Errorf("with subject: counted by %v", counted)
	}
}
