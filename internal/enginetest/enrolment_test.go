package enginetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestEnrolmentLeavesGuessBudgetUnchanged(t *testing.T) {
	l := &scriptedVerifier{verify: rejectAll, enrol: func(_ context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
		if answer != "x" {
			return watchword.Factor{}, watchword.ErrMismatch
		}
		return watchword.Factor{ID: "fa_1"}, nil
	}}
	k := newKit(t, withVerifier(l))
	guesses := func(n int) (judgedWrong int) {
		for range n {
			if _, err := k.check(k.start(verifierStart()).ID, "wrong"); errors.Is(err, watchword.ErrIncorrectAnswer) {
				judgedWrong++
			}
		}
		return judgedWrong
	}
	if n := guesses(4); n != 4 {
		t.Fatalf("%d compared", n)
	}
	s := k.start(enrolmentStart())
	for range 2 {
		_, err := k.check(s.ID, "fumbled", forEnrolment)
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	if _, err := k.check(s.ID, "x", forEnrolment); err != nil {
		t.Fatal(err)
	}
	if n := guesses(5); n != 1 {
		t.Fatalf("%d more guesses compared after an enrolment", n)
	}
}

func TestEnrolmentFailsWhenStrongerFactorBecameActive(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	begin := func(strategy string, a watchword.Authority) string {
		s, err := k.Start(ctx, watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: a})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	thiefs := begin("last_resort", k.proof("weak"))
	if _, err := k.enrol("strong", k.proof("weak")); err != nil {
		t.Fatal(err)
	}
	_, err := k.check(thiefs, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
	for _, a := range []watchword.Authority{k.proof("strong"), {Admin: true}} {
		pending := begin("weak", a)
		if err := k.RemoveSubject(ctx, subject, watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
		_, err = k.check(pending, "x", forEnrolment)
		k.requireCode(err, watchword.ErrProofRequired)
		if _, err := k.enrol("weak", watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCanceledEnrolmentLeavesNoFactor(t *testing.T) {
	ctx := context.Background()
	var k *kit
	var id string
	l := &scriptedVerifier{verify: rejectAll, enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		if _, err := k.Cancel(ctx, id); err != nil {
			t.Error(err)
		}
		return watchword.Factor{ID: "fa_1"}, nil
	}}
	k = newKit(t, withVerifier(l))
	id = k.start(enrolmentStart()).ID
	_, err := k.check(id, "x", forEnrolment)
	k.requireCode(err, watchword.ErrChallengeCanceled)
	if f, err := k.ListFactors(ctx, subject); err != nil || len(f) != 0 {
		t.Fatalf("%+v %v", f, err)
	}
}

func TestRepeatedEnrolmentStartReusesItsSpentProof(t *testing.T) {
	k := newEnrolmentKit(t)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	req := watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: subject, Authority: k.proof("weak"), Seed: []byte("of one idempotency key")}
	first, repeated := k.start(req), k.start(req)
	if first.ID != repeated.ID || first.Public["secret"] != repeated.Public["secret"] {
		t.Fatal("the second one is another enrolment")
	}
}

func enrolmentStart() watchword.StartRequest {
	return watchword.StartRequest{Strategy: "scripted", Purpose: "enrol", Subject: subject, Label: "my phone"}
}

func forEnrolment(r *watchword.CheckRequest) { r.Purpose = "enrol" }

func TestEnrolmentCreatesFactorOnlyAfterProof(t *testing.T) {
	l := &scriptedVerifier{enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		return watchword.Factor{}, watchword.ErrMismatch
	}}
	k := newKit(t, withVerifier(l))
	s := k.start(enrolmentStart())
	if s.Ask != watchword.AskScan || s.Public["secret"] == "" {
		t.Fatalf("%+v", s)
	}
	_, err := k.check(s.ID, "x", forEnrolment)
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	if f, _ := k.config.Factors.List(context.Background(), "shop", subject); len(f) != 0 {
		t.Fatal("a factor was stored")
	}
	l.enrol = func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		return watchword.Factor{ID: "fa_taken"}, nil
	}
	if _, err := k.check(s.ID, "x", forEnrolment); err != nil {
		t.Fatal(err)
	}
	repeated := enrolmentStart()
	repeated.Authority.Admin = true
	_, err = k.check(k.start(repeated).ID, "x", forEnrolment)
	k.requireCode(err, watchword.ErrIncorrectAnswer) // the id belongs to another enrolment
}

// firstClosesFailStore fails the first calls of Close.
type firstClosesFailStore struct {
	watchword.Store
	failures int
}

func (c *firstClosesFailStore) Close(ctx context.Context, id string, closing watchword.Closing) error {
	if c.failures > 0 {
		c.failures--
		return errors.New("no route")
	}
	return c.Store.Close(ctx, id, closing)
}

// If closing an enrolment fails, its factor exists, the app has got its event, and the same answer continues with it.
func TestSameAnswerCompletesEnrolmentAfterFailedClose(t *testing.T) {
	store := &firstClosesFailStore{failures: 1}
	removals := 0
	k := newKit(t, withVerifier(&scriptedVerifier{verify: rejectAll, enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		return watchword.Factor{ID: "fa_1"}, nil
	}}), func(c *watchword.Config) {
		store.Store, c.Store = c.Store, store
		c.Events = func(_ context.Context, e watchword.Event) {
			if e.Type == watchword.EventFactorEnrolled {
				removals++
			}
		}
	})
	id := k.start(enrolmentStart()).ID
	_, err := k.check(id, "x", forEnrolment)
	k.requireCode(err, watchword.ErrUnavailable)
	if removals != 1 {
		t.Errorf("%d events about the factor that is there", removals)
	}
	if r, err := k.check(id, "x", forEnrolment); err != nil || r.Factor == nil {
		t.Fatalf("the same answer: %+v %v", r, err)
	}
	if f, err := k.ListFactors(context.Background(), subject); err != nil || len(f) != 1 {
		t.Errorf("%d factors, %v", len(f), err)
	}
}

// Redeem returns the factor that was enrolled on a page, as Check does.
func TestRedeemReturnsEnrolledFactor(t *testing.T) {
	k := newKit(t, withVerifier(&scriptedVerifier{verify: rejectAll, enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		return watchword.Factor{ID: "fa_1", Data: []byte("secret")}, nil
	}}))
	s := k.start(enrolmentStart())
	if err := k.Answer(context.Background(), s.ID, watchword.Answer{Text: "x"}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	r, err := k.newNode().Redeem(context.Background(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "enrol", Subject: subject})
	if err != nil || r.Factor == nil || r.Factor.ID != "fa_1" || r.Factor.Label != "my phone" || r.Factor.Data != nil {
		t.Fatalf("%+v %v", r, err)
	}
}
