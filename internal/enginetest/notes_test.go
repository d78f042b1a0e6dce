package enginetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// A note approves no other answer. Each of these answers would be approved without one of the note's bounds.
func TestNoteApprovesNoOtherAnswer(t *testing.T) {
	for name, try := range map[string]func(k *factorKit, factors *clock, id, answer string) error{
		"another challenge": func(k *factorKit, _ *clock, _, answer string) error {
			_, err := k.check(k.startChallenge("hotp"), answer)
			return err
		},
		"another answer": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, wrongCode(answer))
			return err
		},
		"another purpose": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, answer, func(r *watchword.CheckRequest) { r.Purpose = "mfa" })
			return err
		},
		"another subject": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, answer, func(r *watchword.CheckRequest) { r.Subject = "user_43" })
			return err
		},
		"another transaction": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, answer, func(r *watchword.CheckRequest) { r.Transaction = map[string]string{"amount": "1"} })
			return err
		},
		"after a minute by the clock of the store of factors": func(k *factorKit, factors *clock, id, answer string) error {
			factors.advance(time.Minute)
			_, err := k.check(id, answer)
			return err
		},
		"after the challenge expired": func(k *factorKit, _ *clock, id, answer string) error {
			k.clock.advance(11 * time.Minute)
			_, err := k.check(id, answer)
			return err
		},
		"after the challenge was canceled": func(k *factorKit, _ *clock, id, answer string) error {
			if _, err := k.Cancel(context.Background(), id); err != nil {
				k.t.Fatal(err)
			}
			_, err := k.check(id, answer)
			return err
		},
		"after the factor was removed": func(k *factorKit, _ *clock, id, answer string) error {
			k.removeAll()
			_, err := k.check(id, answer)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			factors := &clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
			k := newFactorKit(t, func(c *watchword.Config) { c.Factors = &memory.Factors{Clock: factors.Now} })
			id, answer := k.answerAndCrash("hotp", 0)
			if err := try(k, factors, id, answer); err == nil {
				t.Fatal("approved")
			}
		})
	}
}

func (k *factorKit) removeAll() {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range all {
		if err := k.RemoveFactor(context.Background(), f.ID, watchword.Authority{Admin: true}); err != nil {
			k.t.Fatal(err)
		}
	}
}

// rolledBackStore returns approved challenges as pending, like a store that was rolled back.
type rolledBackStore struct {
	watchword.Store
	old watchword.Entry
}

func (f *rolledBackStore) Attempt(context.Context, string, []watchword.Guess, watchword.Budget) (watchword.Entry, error) {
	return f.old, nil
}

func (f *rolledBackStore) Close(context.Context, string, watchword.Closing) error { return nil }

// The node that approved a challenge does not accept its note again, whatever the store returns. The note is removed when the
// challenge is approved, so other nodes do not accept it either.
func TestNoteIsInvalidAfterApproval(t *testing.T) {
	k := newFactorKit(t)
	id := k.startChallenge("hotp")
	if _, err := k.check(id, k.wrongAnswer("hotp")); err == nil {
		t.Fatal("approved")
	}
	spy := &attemptRecorder{Store: k.store.Store}
	k.store.Store = spy
	answer := k.rightAnswer("hotp")
	if _, err := k.check(id, answer); err != nil {
		t.Fatal(err)
	}
	rolledBack := func(c *watchword.Config) { c.Store = &rolledBackStore{c.Store, spy.charged} }
	k.AwaitBackground(t.Context())
	if _, err := check(k.newNode(rolledBack), id, answer); err == nil {
		t.Error("a rollback approves the same answer for as long as the note lives")
	}
	k.store.Store = &rolledBackStore{spy.Store, spy.charged}
	_, err := k.check(id, answer)
	k.requireCode(err, watchword.ErrChallengeApproved)
}

type attemptRecorder struct {
	watchword.Store
	charged watchword.Entry
}

func (s *attemptRecorder) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	e, err := s.Store.Attempt(ctx, id, g, b)
	s.charged = e
	return e, err
}

// Without tries left an answer is compared with the note at most three times, also concurrently.
func TestNoteIsComparedAtMostThreeTimesWithoutTries(t *testing.T) {
	k := newFactorKit(t)
	id, answer := k.answerAndCrash("hotp", 2)
	got := runConcurrently(20, func(int) error { _, err := k.check(id, wrongCode(answer)); return err })
	if got["unavailable"] != 20 { // the try that left the note may still be approved
		t.Errorf("other answers: %v", got)
	}
	_, err := k.check(id, answer)
	k.requireCode(err, watchword.ErrUnavailable)
	if v, _ := k.Status(context.Background(), id); v.Status != watchword.Pending {
		t.Errorf("while its try may still win the challenge reads %s", v.Status)
	}
	k.clock.advance(10 * time.Second)
	if v, _ := k.newNode().Status(context.Background(), id); v.Status != watchword.Locked {
		t.Errorf("after that it reads %s", v.Status)
	}
	if n := len(k.events.ofType("challenge.locked")); n != 1 {
		t.Errorf("%d events of the lock", n)
	}
}

// The note of a subject's first factor is dated and read by the clock of the factor store.
func TestNoteIsValidForAMinuteByFactorStoreClock(t *testing.T) {
	factors := &clock{now: time.Date(2026, 5, 4, 11, 57, 0, 0, time.UTC)} // the engine's clock is three minutes ahead
	k := newKit(t, func(c *watchword.Config) {
		c.Factors = &memory.Factors{Clock: factors.Now}
		c.Strategies = append(c.Strategies, newEnrollingStrategy("weak", watchword.StrengthOTP))
		c.Budget = []watchword.Window{{Max: 1, Per: time.Hour}}
	})
	started := k.beginEnrolment("weak", subject, watchword.Authority{})
	_, err := check(k.newNode(func(c *watchword.Config) { c.Store = &closeFailingStore{c.Store} }), started, "x", forEnrolment)
	k.requireCode(err, watchword.ErrUnavailable)
	factors.advance(2 * time.Minute)
	k.clock.advance(2 * time.Minute)
	if _, err := k.check(started, "x", forEnrolment); err == nil { // no budget is left: only the note could approve it
		t.Error("a note is believed after two minutes")
	}
}
