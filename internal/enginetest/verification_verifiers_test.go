package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// The verification decides which right answer of a strategy that evaluates answers itself approves, and the challenge is closed after
// that. These tests try it on two nodes, also if no challenge is ever closed.

func startOn(t *testing.T, e *watchword.Engine, req watchword.VerificationRequest) *watchword.StartedVerification {
	t.Helper()
	v, err := e.StartVerification(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func redeemOn(e *watchword.Engine, v *watchword.StartedVerification) (*watchword.VerificationResult, error) {
	return e.RedeemVerification(context.Background(), v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
}

func answerOn(e *watchword.Engine, v *watchword.StartedVerification, method, answer string) error {
	return e.AnswerVerification(context.Background(), v.ID, method, watchword.Answer{Text: answer}, watchword.Client{})
}

// Of many copies of a right answer on two nodes, one gets the receipt, and the others are refused as copies, also beyond the last try.
func TestCopiesOfAnEvaluatedAnswerOnTwoNodesGiveOneReceipt(t *testing.T) {
	eachVerifierStore(t, func(t *testing.T, k *verifierKit, nodes []*watchword.Engine) {
		for round := range rounds() {
			strategy := []string{"hotp", "scripted", "recovery"}[round%3]
			if round >= 15 && strategy == "recovery" || round == 0 {
				strategy = []string{"totp", "hotp"}[min(round, 1)]
			}
			v := startOn(t, nodes[0], verificationOf(watchword.MethodRequest{Strategy: strategy}))
			answer, copies := k.rightVerifierAnswer(strategy), []int{2, 8}[round%2]
			got := runConcurrently(copies, func(i int) error {
				return repeatInFlight(func() error { _, err := checkMethod(nodes[i%2], v.ID, "", answer); return err })
			})
			if got[""] != 1 || got["challenge_approved"] != copies-1 {
				t.Fatalf("round %d, %s: %v", round, strategy, got)
			}
			_, err := redeemOn(nodes[1], v)
			k.requireCode(err, watchword.ErrReceiptUsed)
		}
		for _, strategy := range []string{"totp", "hotp", "recovery"} {
			if n := k.failures(strategy); n != 0 {
				t.Errorf("%s: %d failures", strategy, n)
			}
		}
		if n := len(k.events.ofType(watchword.EventVerificationApproved)); n != rounds() {
			t.Errorf("%d events of %d approvals", n, rounds())
		}
	})
}

// Of right answers by different methods on two nodes, evaluated by their strategies or compared by the store, one gets the receipt.
func TestEvaluatedAnswersOfSeveralMethodsGiveOneReceipt(t *testing.T) {
	eachVerifierStore(t, func(t *testing.T, k *verifierKit, nodes []*watchword.Engine) {
		for round := range rounds() {
			second := []watchword.MethodRequest{smsMethod, recoveryMethod}[round%2]
			if len(k.codes) == 0 {
				second = smsMethod
			}
			v := startOn(t, nodes[0], verificationOf(keyMethod, second))
			opened, err := nodes[1].OpenMethod(t.Context(), v.ID, "m2")
			if err != nil {
				t.Fatal(err)
			}
			answers := []string{k.rightVerifierAnswer("scripted"), ""}
			if second == recoveryMethod {
				answers[1] = k.rightAnswer("recovery")
			} else {
				m, err := nodes[1].ComposeMessage(t.Context(), k.outbox.last(opened.Challenge.ID))
				if err != nil {
					t.Fatal(err)
				}
				answers[1] = m.Code.Reveal()
			}
			copies := []int{1, 1, 4}[round%3]
			got := runConcurrently(2*copies, func(i int) error {
				_, err := checkMethod(nodes[i%2], v.ID, []string{"m1", "m2"}[i%2], answers[i%2])
				return err
			})
			if got[""] != 1 || got["challenge_approved"]+got["challenge_canceled"] != 2*copies-1 {
				t.Fatalf("round %d: %v", round, got)
			}
			_, err = redeemOn(nodes[0], v)
			k.requireCode(err, watchword.ErrReceiptUsed)
		}
	})
}

// A page's answer and the backend's copy of it at the same time, with a redeem: one receipt, by the check or by the redeem.
func TestEvaluatedAnswersOfAPageAndABackendGiveOneReceipt(t *testing.T) {
	eachVerifierStore(t, func(t *testing.T, k *verifierKit, nodes []*watchword.Engine) {
		for round := range rounds() {
			strategy := []string{"hotp", "scripted"}[round%2]
			v := startOn(t, nodes[0], verificationOf(watchword.MethodRequest{Strategy: strategy}))
			answer := k.rightVerifierAnswer(strategy)
			got := runConcurrently(6, func(i int) error {
				switch i % 3 {
				case 0:
					_, err := checkMethod(nodes[0], v.ID, "", answer)
					return err
				case 1:
					if err := answerOn(nodes[1], v, "", answer); err != nil {
						return fmt.Errorf("page: %w", err)
					}
				}
				_, err := redeemOn(nodes[i%2], v)
				return err
			})
			receipts := got[""]
			if _, err := redeemOn(nodes[0], v); err == nil {
				receipts++
			}
			if receipts != 1 {
				t.Fatalf("round %d, %s: %d receipts: %v", round, strategy, receipts, got)
			}
		}
	})
}

// Repetitions of one request that arrive at the same time, on two nodes, get the same receipt.
func TestConcurrentRepetitionsOfAnEvaluatedCheckGetTheSameReceipt(t *testing.T) {
	eachVerifierStore(t, func(t *testing.T, k *verifierKit, nodes []*watchword.Engine) {
		for round := range min(rounds(), 10) {
			strategy := []string{"hotp", "scripted"}[round%2]
			v := startOn(t, nodes[0], verificationOf(watchword.MethodRequest{Strategy: strategy}))
			answer := k.rightVerifierAnswer(strategy)
			var mu sync.Mutex
			var receipts []string
			got := runConcurrently(4, func(i int) error {
				r, err := checkMethod(nodes[i%2], v.ID, "", answer, func(r *watchword.VerificationCheck) { r.Seed = []byte(v.ID) })
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				receipts = append(receipts, fmt.Sprint(r.Claims.ID, r.Claims.IssuedAt, r.Claims.ExpiresAt))
				return nil
			})
			if slices.Sort(receipts); got[""] != 4 || len(slices.Compact(receipts)) != 1 {
				t.Fatalf("round %d, %s: %v, %v", round, strategy, got, receipts)
			}
		}
	})
}

// overtake checks an answer on a node for which something else happens between the evaluation and the step that writes it into the
// verification.
func (k *verifierKit) overtake(v *watchword.StartedVerification, method, answer string, seed []byte, meanwhile func()) (*watchword.VerificationResult, error) {
	var once sync.Once
	node := k.newNode(func(c *watchword.Config) {
		c.Store = &beforeUpdateStore{c.Store, func() { once.Do(meanwhile) }}
	})
	return checkMethod(node, v.ID, method, answer, func(r *watchword.VerificationCheck) { r.Seed = seed })
}

// A beforeUpdateStore calls run before an entry is updated.
type beforeUpdateStore struct {
	watchword.Store
	run func()
}

func (s *beforeUpdateStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.run()
	return s.Store.Update(ctx, e, out...)
}

// A right answer that was evaluated, and spent what it spends, approves nothing if the verification or the method has ended before it was
// written into the verification.
func TestOvertakenEvaluatedAnswerApprovesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(k *verifierKit, v *watchword.StartedVerification)
		want      *watchword.Error
		status    watchword.Status
	}{
		"canceled": {func(k *verifierKit, v *watchword.StartedVerification) {
			if _, err := k.newNode().CancelVerification(context.Background(), v.ID); err != nil {
				k.t.Error(err)
			}
		}, watchword.ErrChallengeCanceled, watchword.Canceled},
		"by another method": {func(k *verifierKit, v *watchword.StartedVerification) {
			k.open(v.ID, "m2")
			if err := answerOn(k.newNode(), v, "m2", k.rightAnswer("recovery")); err != nil {
				k.t.Error(err)
			}
		}, watchword.ErrChallengeApproved, watchword.Approved},
		"its factor was removed": {func(k *verifierKit, v *watchword.StartedVerification) {
			e, challenge := k.newNode(), v.Challenge.ID
			all, err := e.ListFactors(context.Background(), subject)
			if err != nil {
				k.t.Error(err)
			}
			for _, f := range all {
				if f.Strategy == "hotp" {
					if err := e.RemoveFactor(context.Background(), f.ID, watchword.Authority{Admin: true}); err != nil {
						k.t.Error(err)
					}
				}
			}
			if view, err := e.Status(context.Background(), challenge); err != nil || view.Status != watchword.Canceled {
				k.t.Errorf("challenge %s, %v", view.Status, err)
			}
		}, watchword.ErrChallengeCanceled, watchword.Pending},
		"its try is over": {func(k *verifierKit, _ *watchword.StartedVerification) {
			k.clock.advance(10 * time.Second)
		}, watchword.ErrUnavailable, watchword.Pending},
		"the challenge has expired": {func(k *verifierKit, _ *watchword.StartedVerification) {
			k.clock.advance(10 * time.Minute)
		}, watchword.ErrChallengeExpired, watchword.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newVerifierKit(t)
			v := k.startVerification(verificationOf(watchword.MethodRequest{Strategy: "hotp"}, recoveryMethod))
			answer := k.rightAnswer("hotp")
			_, err := k.overtake(v, "m1", answer, nil, func() {
				c.meanwhile(k, v)
				k.touch(v)
			})
			k.requireCode(err, c.want)
			if view := k.view(v.ID); view.Status != c.status {
				t.Errorf("status %s", view.Status)
			}
			if c.status != watchword.Approved {
				if _, err := redeemOn(k.newNode(), v); err == nil {
					t.Error("there is a receipt")
				}
			}
		})
	}
}

// touch writes the verification again, so that whoever has read it before reads it once more.
func (k *verifierKit) touch(v *watchword.StartedVerification) {
	k.t.Helper()
	_, err := k.newNode().OpenMethod(context.Background(), v.ID, "m2")
	var refusal *watchword.Error
	if err != nil && !errors.As(err, &refusal) {
		k.t.Error(err)
	}
}

// The step that writes a right answer into the verification has no effect once its try is over, by the server's clock: its deadline
// reaches the store.
func TestStepThatApprovesAVerificationEndsWithItsTry(t *testing.T) {
	k := newVerifierKit(t)
	v := k.startVerification(verificationOf(watchword.MethodRequest{Strategy: "hotp"}))
	left := time.Duration(0)
	node := k.newNode(func(c *watchword.Config) { c.Store = &deadlineStore{c.Store, &left} })
	if _, err := checkMethod(node, v.ID, "m1", k.rightAnswer("hotp")); err != nil {
		t.Fatal(err)
	}
	if left <= 0 || left > 10*time.Second {
		t.Errorf("%s are left for it", left)
	}
}

// A deadlineStore records how much time is left for an update.
type deadlineStore struct {
	watchword.Store
	left *time.Duration
}

func (s *deadlineStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if until, ok := ctx.Deadline(); ok {
		*s.left = time.Until(until)
	}
	return s.Store.Update(ctx, e, out...)
}

// An answer that is overtaken by its copy approves nothing, although its challenge has approved the verification: a check does not
// collect the receipt of a copy that came from a page, which waits for the starter, and a page is not approved by the copy of a check.
func TestEvaluatedAnswerThatIsOvertakenByItsCopyIsRefused(t *testing.T) {
	for _, strategy := range verifierStrategies {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			k := newVerifierKit(t)
			start := func() (*watchword.StartedVerification, string) {
				return k.startVerification(verificationOf(watchword.MethodRequest{Strategy: strategy})), k.rightAnswerByKitClock(strategy)
			}
			v, answer := start()
			_, err := k.overtake(v, "m1", answer, nil, func() {
				if err := answerOn(k.newNode(), v, "m1", answer); err != nil {
					t.Error(err)
				}
			})
			k.requireCode(err, watchword.ErrChallengeApproved)
			if _, err := redeemOn(k.newNode(), v); err != nil {
				t.Errorf("the starter gets no receipt: %v", err)
			}
			k.clock.advance(time.Minute) // to the next code of the authenticator app
			v, answer = start()
			var once sync.Once
			page := k.newNode(func(c *watchword.Config) {
				c.Store = &beforeUpdateStore{c.Store, func() {
					once.Do(func() {
						if _, err := checkMethod(k.newNode(), v.ID, "m1", answer); err != nil {
							t.Error(err)
						}
					})
				}}
			})
			k.requireCode(answerOn(page, v, "m1", answer), watchword.ErrChallengeApproved)
			_, err = redeemOn(k.newNode(), v)
			k.requireCode(err, watchword.ErrReceiptUsed)
		})
	}
}
