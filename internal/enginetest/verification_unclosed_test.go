package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// answerAndDieUnclosed answers a method on a node that dies after it has written the right answer into the verification, and before it
// closes the challenge.
func (k *verifierKit) answerAndDieUnclosed(v *watchword.StartedVerification, answer string, purpose string) *watchword.VerificationResult {
	k.t.Helper()
	node := k.newNode(func(c *watchword.Config) { c.Store = &unclosingStore{c.Store} })
	r, err := checkMethod(node, v.ID, "m1", answer, func(r *watchword.VerificationCheck) { r.Purpose, r.Seed = purpose, []byte("one") })
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

func withPurpose(purpose string, methods ...watchword.MethodRequest) watchword.VerificationRequest {
	req := verificationOf(methods...)
	req.Purpose = purpose
	return req
}

// The challenge of an approved verification that was never closed is approved all the same, for every node: until its tries would be
// over, and until it would have expired. No event says anything else, its answer is worth nothing again, and its receipt is spent once.
func TestUnclosedChallengeOfAnApprovedVerificationIsApproved(t *testing.T) {
	for _, strategy := range verifierStrategies {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			k := newVerifierKit(t)
			v := k.startVerification(verificationOf(watchword.MethodRequest{Strategy: strategy}, smsMethod))
			challenge := k.view(v.ID).Challenge.ID
			answer := k.rightAnswerByKitClock(strategy)
			result := k.answerAndDieUnclosed(v, answer, "sign_in")
			for _, later := range []time.Duration{0, 11 * time.Second, 11 * time.Minute} {
				k.clock.advance(later)
				k := k.sibling()
				if view, err := k.Status(ctx, challenge); err != nil || view.Status != watchword.Approved {
					t.Errorf("after %s the challenge is %s, %v", later, view.Status, err)
				}
				if view := k.view(v.ID); view.Status != watchword.Approved || view.Methods[0].Status != watchword.Approved {
					t.Errorf("after %s: %+v", later, view)
				}
				_, err := k.checkMethod(v.ID, "m1", answer)
				k.requireCode(err, watchword.ErrChallengeApproved)
				k.requireCode(k.Answer(ctx, challenge, watchword.Answer{Text: answer}, watchword.Client{}), watchword.ErrChallengeApproved)
				_, err = k.redeem(v)
				k.requireCode(err, watchword.ErrReceiptUsed)
				if later < 5*time.Minute {
					again, err := k.checkMethod(v.ID, "m1", answer, func(r *watchword.VerificationCheck) { r.Seed = []byte("one") })
					if err != nil || again.Claims.ID != result.Claims.ID || again.Claims.ExpiresAt != result.Claims.ExpiresAt {
						t.Errorf("after %s the repetition gets %+v, %v", later, again, err)
					}
				}
			}
			if err := k.sibling().RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("a")); err != nil {
				t.Errorf("its receipt: %v", err)
			}
			k.requireCode(k.sibling().RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("b")), watchword.ErrReceiptUsed)
			if err := k.sibling().RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("a")); err != nil {
				t.Errorf("the repetition of its redemption: %v", err)
			}
			if strategy != "scripted" && k.failures(strategy) != 0 {
				t.Errorf("%d failures", k.failures(strategy))
			}
			for _, wrong := range []string{watchword.EventLocked, watchword.EventExpired, watchword.EventFailed, watchword.EventApproved} {
				for _, ev := range k.events.ofType(wrong) {
					if ev.ChallengeID == challenge {
						t.Errorf("event %s", wrong)
					}
				}
			}
		})
	}
}

// A receipt that was spent before its challenge is closed stays spent: closing keeps what was written meanwhile.
func TestReceiptThatIsSpentBeforeItsChallengeIsClosedStaysSpent(t *testing.T) {
	ctx := context.Background()
	k := newVerifierKit(t)
	v := k.startVerification(verificationOf(watchword.MethodRequest{Strategy: "hotp"}))
	held := &heldClosings{Store: k.config.Store, gate: make(chan struct{}), done: make(chan error, 1024)}
	node := k.newNode(func(c *watchword.Config) { c.Store = held })
	result, err := checkMethod(node, v.ID, "", k.rightAnswer("hotp"))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []*watchword.Engine{k.newNode(), node} {
		if err := e.RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("one")); err != nil {
			t.Fatal(i, err)
		}
	}
	close(held.gate)
	await, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := node.AwaitBackground(await); err != nil {
		t.Fatal(err)
	}
	var closings []error
	for range len(held.done) {
		closings = append(closings, <-held.done)
	}
	if len(closings) != 2 || !errors.Is(closings[0], watchword.ErrConflict) || closings[1] != nil {
		t.Fatalf("closed %v, want once with content that was replaced, and once with that of now", closings)
	}
	for _, e := range []*watchword.Engine{k.newNode(), node} {
		k.requireCode(e.RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("two")), watchword.ErrReceiptUsed)
	}
}

// heldClosings holds the closing of answered challenges.
type heldClosings struct {
	watchword.Store
	gate chan struct{}
	done chan error
}

func (s *heldClosings) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State != watchword.StateApproved {
		return s.Store.Close(ctx, id, c)
	}
	<-s.gate
	err := s.Store.Close(context.WithoutCancel(ctx), id, c)
	s.done <- err
	return err
}

// A receipt of such a challenge authorizes a change of factors as long as its factor is there, like that of a closed one.
func TestReceiptOfAnUnclosedChallengeAuthorizesChangesOfFactors(t *testing.T) {
	ctx := context.Background()
	k := newVerifierKit(t)
	for _, removed := range []bool{true, false} {
		v := k.startVerification(withPurpose(watchword.PurposeManageFactors, recoveryMethod))
		result := k.answerAndDieUnclosed(v, k.rightAnswer("recovery"), watchword.PurposeManageFactors)
		if result.Claims.Factor == "" {
			t.Fatal("no factor")
		}
		if removed {
			if err := k.RemoveFactor(ctx, result.Claims.Factor, watchword.Authority{Admin: true}); err != nil {
				t.Fatal(err)
			}
			k.enrolAll("recovery")
		}
		_, err := k.sibling().startEnrolmentWith(result.Claims)
		if removed {
			k.requireCode(err, watchword.ErrProofRequired)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// startEnrolmentWith starts the enrolment of a token with a receipt.
func (k *verificationKit) startEnrolmentWith(receipt *watchword.Claims) (*watchword.Started, error) {
	return k.Start(context.Background(), watchword.StartRequest{Strategy: "hotp", Purpose: watchword.PurposeEnrol, Subject: subject,
		Authority: watchword.Authority{Claims: receipt}})
}

// rightAnswerByKitClock is rightVerifierAnswer by the clock of the tests.
func (k *verifierKit) rightAnswerByKitClock(strategy string) string {
	if strategy == "totp" {
		return k.rightAnswer(strategy)
	}
	return k.rightVerifierAnswer(strategy)
}

// An approved verification closes its challenge in the background, and then removes the answer's note.
func TestAnsweredChallengeIsClosedAfterItsVerification(t *testing.T) {
	for _, strategy := range verifierStrategies {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			k := newVerifierKit(t)
			v := k.startVerification(verificationOf(watchword.MethodRequest{Strategy: strategy}))
			spy := &closingsStore{Store: k.config.Store, closed: make(chan watchword.Closing, 16)}
			node := k.newNode(func(c *watchword.Config) { c.Store = spy })
			if _, err := checkMethod(node, v.ID, "", k.rightAnswerByKitClock(strategy)); err != nil {
				t.Fatal(err)
			}
			if err := node.AwaitBackground(t.Context()); err != nil {
				t.Fatal(err)
			}
			select {
			case c := <-spy.closed:
				if c.State != watchword.StateApproved || len(c.Mark) == 0 || c.Sealed == nil {
					t.Errorf("closed %+v", c)
				}
			default:
				t.Error("not closed")
			}
			if !slices.Contains(k.events.types(), watchword.EventVerificationApproved) {
				t.Error("no event")
			}
		})
	}
}

type closingsStore struct {
	watchword.Store
	closed chan watchword.Closing
}

func (s *closingsStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	err := s.Store.Close(ctx, id, c)
	if err == nil {
		s.closed <- c
	}
	return err
}

// A receipt that is spent on two nodes at once, while its challenge is being closed or never is, is spent once.
func TestReceiptOfAnEvaluatedAnswerIsSpentOnceOnTwoNodes(t *testing.T) {
	eachVerifierStore(t, func(t *testing.T, k *verifierKit, nodes []*watchword.Engine) {
		for round := range rounds() {
			strategy := []string{"hotp", "scripted"}[round%2]
			v := startOn(t, nodes[0], verificationOf(watchword.MethodRequest{Strategy: strategy}))
			result, err := checkMethod(nodes[0], v.ID, "", k.rightVerifierAnswer(strategy))
			if err != nil {
				t.Fatal(err)
			}
			got := runConcurrently(4, func(i int) error {
				return nodes[i%2].RedeemReceipt(context.Background(), *result.Claims, "sign_in", []byte{byte(i)})
			})
			if got[""] != 1 || got["receipt_used"] != 3 {
				t.Fatalf("round %d, %s: %v", round, strategy, got)
			}
			if view, err := nodes[1].Status(t.Context(), result.Claims.ID); err != nil || view.Status != watchword.Approved {
				t.Fatalf("round %d, %s: %s, %v", round, strategy, view.Status, err)
			}
		}
	})
}
