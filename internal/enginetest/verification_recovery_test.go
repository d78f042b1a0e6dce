package enginetest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// answerAndDie gives a right answer on a node that dies before it has written it into the verification. A code that was sent has
// approved its challenge by then; what a factor spends is spent.
func (k *verificationKit) answerAndDie(v *watchword.StartedVerification, method, answer string, seed []byte) {
	k.t.Helper()
	node := k.newNode(func(c *watchword.Config) { c.Store = &dyingStore{Store: c.Store, step: "update"} })
	_, err := checkMethod(node, v.ID, method, answer, func(r *watchword.VerificationCheck) { r.Seed = seed })
	k.requireCode(err, watchword.ErrUnavailable)
}

// A right answer whose process died before it was recorded is not lost: the same request gets the receipt, and another method can be
// answered instead. The starter can collect that of a sent code at once, and that of a factor once the answer was sent again. Whichever
// comes first, there is one receipt.
func TestRightAnswerIsNotLostWhenItsProcessDies(t *testing.T) {
	type way func(k *verificationKit, v *watchword.StartedVerification, method, answer string) error
	seeded := func(r *watchword.VerificationCheck) { r.Seed = []byte("one") }
	ways := map[string]way{
		"the same request": func(k *verificationKit, v *watchword.StartedVerification, method, answer string) error {
			_, err := k.checkMethod(v.ID, method, answer, seeded)
			return err
		},
		"redeem": func(k *verificationKit, v *watchword.StartedVerification, method, answer string) error {
			if method == "m1" {
				if _, err := k.redeem(v); !errors.Is(err, watchword.ErrNotAnswered) && !errors.Is(err, watchword.ErrReceiptUsed) {
					k.t.Errorf("redeem before the answer is sent again: %v", err)
				}
				if err := k.answerOnPage(v.ID, method, answer); err != nil {
					return err
				}
			}
			_, err := k.redeem(v)
			return err
		},
		"another method": func(k *verificationKit, v *watchword.StartedVerification, _, _ string) error {
			_, err := k.checkMethod(v.ID, "m4", k.rightAnswer("recovery"))
			return err
		},
	}
	for name, way := range ways {
		for method, answer := range map[string]func(k *verificationKit, v *watchword.StartedVerification) string{
			"m1": func(k *verificationKit, _ *watchword.StartedVerification) string { return k.rightAnswer("totp") },
			"m2": func(k *verificationKit, v *watchword.StartedVerification) string { return k.code(k.open(v.ID, "m2")) },
		} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				k := newVerificationKit(t)
				v := k.startVerification(verificationOf())
				right := answer(k, v)
				k.open(v.ID, "m4")
				k.answerAndDie(v, method, right, []byte("one"))
				if method == "m1" {
					if status := k.view(v.ID).Status; status != watchword.Pending {
						t.Errorf("status %s", status)
					}
				} else if name != "another method" { // its answer is recorded as soon as somebody looks
					if status := k.view(v.ID).Status; status != watchword.Approved {
						t.Errorf("status %s", status)
					}
					_, err := k.checkMethod(v.ID, method, right, func(r *watchword.VerificationCheck) { r.Seed = []byte("two") })
					k.requireCode(err, watchword.ErrChallengeApproved)
				}
				if err := way(k, v, method, right); err != nil {
					t.Fatal(err)
				}
				_, err := k.checkMethod(v.ID, method, right, func(r *watchword.VerificationCheck) { r.Seed = []byte("two") })
				k.requireCode(err, watchword.ErrChallengeApproved)
				for _, again := range ways {
					if err := again(k.sibling(), v, method, right); err == nil && name != "the same request" {
						t.Error("there is a second receipt")
					}
				}
				if n := k.failures("totp"); n != 0 {
					t.Errorf("%d failures", n)
				}
			})
		}
	}
}

// sibling returns the kit with a node that has nothing in memory.
func (k *verificationKit) sibling() *verificationKit {
	inner := *k.kit
	inner.Engine = k.newNode()
	factors := *k.factorKit
	factors.kit = &inner
	return &verificationKit{&factors}
}

// The repetition of a check whose response was lost gets the same receipt, until it is used.
func TestRepeatedCheckOfAVerificationGetsItsReceipt(t *testing.T) {
	k := newVerificationKit(t)
	for _, method := range []string{"m1", "m2"} {
		v := k.startVerification(verificationOf())
		answer := ""
		if method == "m1" {
			answer = k.rightAnswer("totp")
		} else {
			answer = k.code(k.open(v.ID, method))
		}
		seeded := func(r *watchword.VerificationCheck) { r.Seed = []byte(v.ID) }
		first, err := k.checkMethod(v.ID, method, answer, seeded)
		if err != nil {
			t.Fatal(err)
		}
		k.clock.advance(10 * time.Second)
		for _, node := range []*watchword.Engine{k.Engine, k.newNode()} {
			again, err := checkMethod(node, v.ID, method, answer, seeded)
			if err != nil || again.Claims.ID != first.Claims.ID || again.Claims.ExpiresAt != first.Claims.ExpiresAt || again.Method != method {
				t.Fatalf("%+v, %v", again, err)
			}
		}
		if err := k.RedeemReceipt(context.Background(), *first.Claims, "sign_in", nil); err != nil {
			t.Fatal(err)
		}
		_, err = k.checkMethod(v.ID, method, answer, seeded)
		k.requireCode(err, watchword.ErrChallengeApproved)
	}
}

// A start with the seed of another one returns its verification with the same secrets, and no message is sent twice, wherever the
// first one has failed.
func TestRepeatedStartOfAVerificationReturnsTheFirst(t *testing.T) {
	for _, failing := range []string{"", "nothing stored", "challenge not stored"} {
		t.Run(failing, func(t *testing.T) {
			k := newVerificationKit(t)
			req := verificationOf(smsMethod, totpMethod)
			req.Open, req.Seed = watchword.OpenFirst, []byte("one")
			var first *watchword.StartedVerification
			if failing == "" {
				first = k.startVerification(req)
			} else {
				creates := map[string]int32{"nothing stored": 0, "challenge not stored": 1}[failing]
				node := k.newNode(func(c *watchword.Config) { c.Store = &failingCreateStore{Store: c.Store, allowed: creates} })
				_, err := node.StartVerification(context.Background(), req)
				k.requireCode(err, watchword.ErrUnavailable)
				req.Unanswered = true
				if len(k.outbox.list()) != 0 {
					t.Fatal("something was sent")
				}
			}
			for _, node := range []*watchword.Engine{k.Engine, k.newNode()} {
				again, err := node.StartVerification(context.Background(), req)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = again
				}
				if again.ID != first.ID || again.Handle.Reveal() != first.Handle.Reveal() || again.Challenge.ID != first.Challenge.ID {
					t.Errorf("another verification: %+v", again)
				}
				req.Unanswered = false
			}
			if n := len(k.outbox.list()); n != 1 {
				t.Errorf("%d messages", n)
			}
			if _, err := k.checkMethod(first.ID, "", k.code(first.Challenge.ID)); err != nil {
				t.Fatal(err)
			}
			_, err := k.StartVerification(context.Background(), req)
			k.requireCode(err, watchword.ErrChallengeApproved)
		})
	}
}

// failingCreateStore is unavailable after some calls of Create.
type failingCreateStore struct {
	watchword.Store
	allowed int32
	calls   atomic.Int32
}

func (s *failingCreateStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if s.calls.Add(1) > s.allowed {
		return errDied
	}
	return s.Store.Create(ctx, e, out...)
}

// The repetition of a resend sends nothing twice.
func TestResendOfAVerificationSendsAgain(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	_, err := k.ResendVerification(context.Background(), v.ID, "m2", nil)
	if got := fieldsOf(err); len(got) != 1 || got[0] != "method" {
		t.Errorf("not open: %v", err)
	}
	sms := k.open(v.ID, "m2")
	_, err = k.ResendVerification(context.Background(), v.ID, "", nil)
	k.requireCode(err, watchword.ErrResendTooSoon)
	k.clock.advance(31 * time.Second)
	for range 2 {
		view, err := k.ResendVerification(context.Background(), v.ID, "", []byte("s"))
		if err != nil || view.Challenge.ID != sms || view.Challenge.SendsLeft != 3 {
			t.Fatalf("%+v, %v", view.Challenge, err)
		}
	}
	if out := k.outbox.last(sms); out.Send != 2 {
		t.Errorf("queued %+v", out)
	}
	_, err = k.ResendVerification(context.Background(), v.ID, "m1", nil)
	if got := fieldsOf(err); len(got) == 0 {
		t.Errorf("nothing is sent with it: %v", err)
	}
	if _, err := k.checkMethod(v.ID, "m2", k.code(sms)); err != nil {
		t.Fatal(err)
	}
}

func TestWaitForAVerificationEndsWithIt(t *testing.T) {
	k := newVerificationKit(t)
	for name, end := range map[string]func(v *watchword.StartedVerification){
		"approved": func(v *watchword.StartedVerification) {
			if err := k.answerOnPage(v.ID, "m2", k.code(k.open(v.ID, "m2"))); err != nil {
				t.Error(err)
			}
		},
		"canceled": func(v *watchword.StartedVerification) {
			_, _ = k.newNode().CancelVerification(context.Background(), v.ID)
		},
	} {
		v := k.startVerification(verificationOf())
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		go end(v)
		got, err := k.WaitVerification(ctx, v.ID)
		if cancel(); err != nil || string(got.Status) != name {
			t.Errorf("%s: %s, %v", name, got.Status, err)
		}
	}
}

// Between the approval of a challenge and that of its verification, another answer, or the starter, may be faster. Then the check gets
// no receipt: there is one already, or one waits for the other answer.
func TestCheckThatIsOvertakenGetsNoReceipt(t *testing.T) {
	redeem := func(e *watchword.Engine, v *watchword.StartedVerification) (*watchword.VerificationResult, error) {
		return e.RedeemVerification(context.Background(), v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
	}
	t.Run("by the starter", func(t *testing.T) {
		k := newVerificationKit(t)
		v := k.startVerification(verificationOf(smsMethod))
		code, other := k.code(v.Challenge.ID), k.newNode()
		overtaken := k.newNode(func(c *watchword.Config) {
			c.Store = &afterAttemptStore{c.Store, func() {
				if _, err := redeem(other, v); err != nil {
					t.Error(err)
				}
			}}
		})
		_, err := checkMethod(overtaken, v.ID, "", code)
		k.requireCode(err, watchword.ErrChallengeApproved)
	})
	t.Run("by its own repetition, which gets the same receipt", func(t *testing.T) {
		k := newVerificationKit(t)
		v := k.startVerification(verificationOf(smsMethod))
		code, other := k.code(v.Challenge.ID), k.newNode()
		seeded := func(r *watchword.VerificationCheck) { r.Seed = []byte("one") }
		var faster *watchword.VerificationResult
		overtaken := k.newNode(func(c *watchword.Config) {
			c.Store = &afterAttemptStore{c.Store, func() {
				var err error
				if faster, err = checkMethod(other, v.ID, "", code, seeded); err != nil {
					t.Error(err)
				}
			}}
		})
		result, err := checkMethod(overtaken, v.ID, "", code, seeded)
		if err != nil || result.Claims.ID != faster.Claims.ID || result.Claims.ExpiresAt != faster.Claims.ExpiresAt {
			t.Errorf("%+v, %v; want %+v", result, err, faster)
		}
	})
	t.Run("by another method on a page", func(t *testing.T) {
		k := newVerificationKit(t)
		v := k.startVerification(verificationOf(smsMethod, mailMethod))
		sms, mail, other := k.code(k.open(v.ID, "m1")), k.code(k.open(v.ID, "m2")), k.newNode()
		overtaken := k.newNode(func(c *watchword.Config) {
			c.Store = &afterAttemptStore{c.Store, func() {
				if err := other.AnswerVerification(context.Background(), v.ID, "m2", watchword.Answer{Text: mail}, watchword.Client{}); err != nil {
					t.Error(err)
				}
			}}
		})
		_, err := checkMethod(overtaken, v.ID, "m1", sms)
		k.requireCode(err, watchword.ErrChallengeApproved)
		if result, err := redeem(other, v); err != nil || result.Method != "m2" || result.Claims.Channel != "email" {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// A wait whose context ends while the verification is read again returns its pending status.
func TestWaitVerificationReturnsPendingWhenItsContextEndsDuringARead(t *testing.T) {
	t.Parallel()
	store := &endingStore{}
	k := newVerificationKit(t, func(c *watchword.Config) { store.Store, c.Store = c.Store, store })
	v := k.startVerification(verificationOf(smsMethod))
	ctx, cancel := context.WithCancel(t.Context())
	store.end = cancel
	got, err := k.WaitVerification(ctx, v.ID)
	if err != nil || got.Status != watchword.Pending {
		t.Errorf("got %q, %v", got.Status, err)
	}
	if ctx.Err() == nil {
		t.Error("the verification was not read again")
	}
}

// An endingStore ends the context of a caller during its read. A read whose context has no end is as usual.
type endingStore struct {
	watchword.Store
	end context.CancelFunc
}

func (s *endingStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	if _, limited := ctx.Deadline(); s.end == nil || limited {
		return s.Store.Get(ctx, id)
	}
	s.end()
	return watchword.Entry{}, ctx.Err()
}
