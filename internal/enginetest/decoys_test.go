package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/postgres"
)

func decoyStart(strategy, who string) watchword.StartRequest {
	return watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Subject: who, Decoy: true}
}

func answerAs(who string) func(*watchword.CheckRequest) {
	return func(r *watchword.CheckRequest) { r.Subject = who }
}

// describeRefusal returns everything in a refusal that could distinguish a real subject from a decoy.
func (k *kit) describeRefusal(err error) string {
	var known *watchword.Error
	if !errors.As(err, &known) {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%s, %d left, after %s", known.Code, known.Remaining, known.RetryAfter)
}

// Wrong answers to a decoy cause the same temporary locks as those to an enrolled subject, until both are disabled, on every
// node.
func TestDecoyIsLockedAsLongAsARealFactor(t *testing.T) {
	for _, strategy := range []string{"totp", "hotp", "recovery"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			k := newFactorKit(t, func(c *watchword.Config) { c.NoBudget = true })
			nodes := []*watchword.Engine{k.Engine, k.newNode()}
			lockOut := func(e *watchword.Engine, req watchword.StartRequest) (refusals []string, wait time.Duration) {
				s, err := e.Start(context.Background(), req)
				if err != nil {
					var known *watchword.Error
					_ = errors.As(err, &known)
					return []string{k.describeRefusal(err)}, known.RetryAfter
				}
				for range s.TriesLeft + 1 {
					_, err := check(e, s.ID, k.wrongAnswer(strategy), answerAs(req.Subject))
					refusals = append(refusals, k.describeRefusal(err))
				}
				v, _ := e.Status(context.Background(), s.ID)
				return append(refusals, string(v.Status)), 0
			}
			for round := range 36 {
				real, wait := lockOut(nodes[round%2], watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Subject: subject})
				decoy, _ := lockOut(nodes[(round+1)%2], decoyStart(strategy, "nobody"))
				if !slices.Equal(real, decoy) {
					t.Fatalf("round %d: real subject %v, a decoy %v", round, real, decoy)
				}
				k.clock.advance(wait)
			}
		})
	}
}

// The state of decoys is bounded, expires and is not stored among the factors.
func TestDecoyFailuresExpireAndAreNotFactors(t *testing.T) {
	k := newFactorKit(t, func(c *watchword.Config) { c.NoBudget = true })
	spy := &recordingStore{Store: k.store.Store}
	k.store.Store = spy
	lock := func() {
		t.Helper()
		for range 10 {
			s := k.start(decoyStart("totp", "nobody"))
			if _, err := k.check(s.ID, k.wrongAnswer("totp"), answerAs("nobody")); !errors.Is(err, watchword.ErrIncorrectAnswer) {
				t.Fatal(err)
			}
		}
		_, err := k.Start(context.Background(), decoyStart("totp", "nobody"))
		k.requireCode(err, watchword.ErrTooManyGuesses)
	}
	lock()
	if rows, err := k.config.Factors.List(context.Background(), "shop", "nobody"); err != nil || len(rows) != 0 {
		t.Errorf("%d rows of a decoy, %v", len(rows), err)
	}
	kept := 0
	for _, e := range spy.created {
		if e.KeepUntil.Sub(e.ExpiresAt) > time.Hour {
			kept++
			if e.KeepUntil.Sub(k.clock.Now()) > 26*time.Hour {
				t.Errorf("kept until %s", e.KeepUntil)
			}
		}
	}
	if kept != 1 {
		t.Errorf("%d entries for one decoy", kept)
	}
	k.clock.advance(13 * time.Hour) // into the next period, which takes over the state
	s := k.start(decoyStart("totp", "nobody"))
	if _, err := k.check(s.ID, k.wrongAnswer("totp"), answerAs("nobody")); !errors.Is(err, watchword.ErrIncorrectAnswer) {
		t.Fatal(err)
	}
	for range 9 {
		s := k.start(decoyStart("totp", "nobody"))
		_, _ = k.check(s.ID, k.wrongAnswer("totp"), answerAs("nobody"))
	}
	_, err := k.Start(context.Background(), decoyStart("totp", "nobody"))
	if e := k.requireCode(err, watchword.ErrTooManyGuesses); e.RetryAfter != 2*time.Hour {
		t.Errorf("after twenty failures it is locked for %s", e.RetryAfter)
	}
	k.clock.advance(39 * time.Hour)
	lock() // the state has expired
}

// The duration does not distinguish a decoy: of 400 interleaved pairs of wrong answers, to an enrolled subject and to a
// decoy, the area under the ROC curve is at most 0.55, and the medians are within 5 %. It needs an idle machine:
//
//	WATCHWORD_TIMING=1 go test -run TestDecoyTakesAsLong -count=3 -v ./internal/enginetest
func TestDecoyTakesAsLongAsARealFactor(t *testing.T) {
	if os.Getenv("WATCHWORD_TIMING") == "" {
		t.Skip("measures time: WATCHWORD_TIMING=1")
	}
	t.Run("memory", func(t *testing.T) { compareTimes(t, newFactorKit(t, withoutBudget)) })
	t.Run("postgres", func(t *testing.T) {
		f, err := postgres.Open(t.Context(), pgtest.Start(t).Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		compareTimes(t, newFactorKit(t, withoutBudget, func(c *watchword.Config) { c.Factors = f }))
	})
}

func withoutBudget(c *watchword.Config) { c.NoBudget = true }

func compareTimes(t *testing.T, k *factorKit) {
	const pairs = 400
	for _, strategy := range []string{"totp", "hotp", "recovery"} {
		for _, what := range []string{"start", "wrong answer"} {
			var real, decoy []time.Duration
			for n := range pairs {
				k.clock.advance(13 * time.Hour) // the longest temporary lock is over
				who := fmt.Sprint("nobody ", n/50)
				measure := []func(){
					func() {
						real = append(real, k.measure(what, watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Subject: subject}))
					},
					func() { decoy = append(decoy, k.measure(what, decoyStart(strategy, who))) },
				}
				measure[n%2]()
				measure[1-n%2]()
				if n%5 == 4 && strategy != "recovery" { // a right answer ends the consecutive failures
					k.clock.advance(13 * time.Hour)
					if _, err := k.check(k.startChallenge(strategy), k.rightAnswer(strategy)); err != nil {
						t.Fatal(err)
					}
				}
			}
			auc, apart := areaUnderCurve(real, decoy), median(decoy).Seconds()/median(real).Seconds()-1
			t.Logf("%s, %s: real subject %s, a decoy %s (medians, %+.1f %%), AUC %.3f", strategy, what, median(real), median(decoy), 100*apart, auc)
			if max(auc, 1-auc) > 0.55 || max(apart, -apart) > 0.05 {
				t.Errorf("%s: a decoy can be distinguished", strategy)
			}
		}
	}
}

func (k *factorKit) measure(what string, req watchword.StartRequest) time.Duration {
	began := time.Now()
	s, err := k.Start(context.Background(), req)
	if what == "start" {
		return time.Since(began)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	began = time.Now()
	_, _ = k.check(s.ID, k.wrongAnswer(req.Strategy), answerAs(req.Subject))
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// areaUnderCurve returns the probability that a random duration of a is longer than one of b.
func areaUnderCurve(a, b []time.Duration) float64 {
	longer := 0.0
	for _, x := range a {
		for _, y := range b {
			if x > y {
				longer++
			} else if x == y {
				longer += 0.5
			}
		}
	}
	return longer / float64(len(a)*len(b))
}

func TestDecoyRejectsRightCode(t *testing.T) {
	k := newKit(t, withFixedCode(t))
	if _, err := k.check(k.start(startByEmail()).ID, "000000"); err != nil {
		t.Fatal(err)
	}
	req := startByEmail()
	req.Decoy = true
	_, err := k.check(k.start(req).ID, "000000")
	k.requireCode(err, watchword.ErrIncorrectAnswer)
}

func TestDecoyLooksLikeRealChallengeAndIsNotApproved(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	real := k.start(startByEmail())
	req := startByEmail()
	req.Decoy = true
	s := k.start(req)
	view := s.View
	view.ID, view.CreatedAt, view.ExpiresAt = real.ID, real.CreatedAt, real.ExpiresAt
	if view.Status != real.Status || view.SentTo != real.SentTo || view.TriesLeft != real.TriesLeft || !reflect.DeepEqual(view.Delivery, real.Delivery) || len(s.ID) != len(real.ID) {
		t.Fatalf("a decoy shows: %+v", view)
	}
	if _, err := k.ComposeMessage(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("a decoy is sent: %v", err)
	}
	if v, _ := k.Status(ctx, s.ID); v.Delivery.Status != "sent" {
		t.Fatalf("a decoy's delivery: %+v", v.Delivery)
	}
	_, err := k.check(s.ID, "123456")
	k.requireCode(err, watchword.ErrIncorrectAnswer)
}

// The entries of decoys do not use up a bounded store.
func TestDecoyEntriesLeaveRoomInStore(t *testing.T) {
	t.Parallel()
	var c *clock
	k := newFactorKit(t, func(cfg *watchword.Config) {
		cfg.Store = memory.New(memory.Config{Clock: cfg.Clock, MaxEntries: 100})
	})
	c = k.clock
	for n := range 100 { // one wrong answer for each subject, ten minutes apart: their challenges have expired
		who := fmt.Sprint("nobody ", n)
		s, err := k.Start(context.Background(), decoyStart("totp", who))
		if err != nil {
			t.Fatalf("decoy %d: %v: the store is full", n, err)
		}
		if _, err := k.check(s.ID, k.wrongAnswer("totp"), answerAs(who)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Fatalf("decoy %d: %v: the store is full", n, err)
		}
		c.advance(30 * time.Minute)
	}
	if _, err := k.Start(context.Background(), startByEmail()); err != nil {
		t.Errorf("100 decoys, one in half an hour, and the store is full: %v", err)
	}
}
