package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// scriptedVerifier is a Verifier and Enroller with functions of the test. The engine's guarantees must hold whatever they do.
type scriptedVerifier struct {
	verify     func(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error)
	enrol      func(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error)
	properties watchword.StrategyProperties
	begin      watchword.Prompt
}

func (*scriptedVerifier) Name() string                               { return "scripted" }
func (l *scriptedVerifier) Properties() watchword.StrategyProperties { return l.properties }
func (l *scriptedVerifier) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return l.begin, nil
}
func (l *scriptedVerifier) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	c.Data = c.DeriveBytes("secret", 20)
	return watchword.Prompt{Ask: watchword.AskScan, Public: map[string]any{"secret": string(c.Data)}}, nil
}
func (l *scriptedVerifier) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	return l.verify(ctx, c, answer)
}
func (l *scriptedVerifier) VerifyEnrol(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	return l.enrol(ctx, c, answer)
}

func acceptAll(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{AMR: []string{"otp"}}, nil
}

func rejectAll(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{}, watchword.ErrMismatch
}

func withVerifier(l *scriptedVerifier) func(*watchword.Config) {
	l.properties.Group, l.properties.Subject, l.properties.Tries = watchword.GroupSubject, true, 3
	return func(c *watchword.Config) { c.Strategies = append(c.Strategies, l) }
}

func verifierStart() watchword.StartRequest {
	return watchword.StartRequest{Strategy: "scripted", Purpose: "sign_in", Subject: subject}
}

func TestEngineLimitsVerifierThatAcceptsEverything(t *testing.T) {
	l := &scriptedVerifier{verify: acceptAll}
	k := newKit(t, withVerifier(l))
	t.Run("one of many wins", func(t *testing.T) {
		s := k.start(verifierStart())
		other := k.newNode()
		got := runConcurrently(100, func(i int) error {
			_, err := check([]*watchword.Engine{k.Engine, other}[i%2], s.ID, "x")
			return err
		})
		if got[""] != 1 {
			t.Fatalf("outcomes: %v", got)
		}
	})
	t.Run("not for another purpose, subject, transaction or a decoy", func(t *testing.T) {
		for name, change := range map[string]func(*watchword.CheckRequest){
			"purpose":     func(r *watchword.CheckRequest) { r.Purpose = "mfa" },
			"subject":     func(r *watchword.CheckRequest) { r.Subject = "user_43" },
			"address":     func(r *watchword.CheckRequest) { r.Subject, r.To = "", alice },
			"transaction": func(r *watchword.CheckRequest) { r.Transaction = map[string]string{"a": "b"} },
		} {
			k.clock.advance(time.Hour)
			s := k.start(verifierStart())
			_, err := k.check(s.ID, "x", change)
			if e := k.requireCode(err, watchword.ErrIncorrectAnswer); e.Remaining != 2 {
				t.Errorf("%s: %d tries left", name, e.Remaining)
			}
		}
		req := verifierStart()
		req.Decoy = true
		_, err := k.check(k.start(req).ID, "x")
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	})
	t.Run("not when it took too long", func(t *testing.T) {
		k.clock.advance(time.Hour)
		s := k.start(verifierStart())
		l.verify = func(ctx context.Context, c *watchword.Challenge, a string) (watchword.Proof, error) {
			k.clock.advance(time.Hour)
			return acceptAll(ctx, c, a)
		}
		defer func() { l.verify = acceptAll }()
		_, err := k.check(s.ID, "x")
		if err == nil {
			t.Fatal("approved")
		}
		if v, err := k.Status(context.Background(), s.ID); err == nil && v.Status == watchword.Approved {
			t.Fatal("reads approved")
		}
	})
	t.Run("Redeem returns its claims", func(t *testing.T) {
		s := k.start(verifierStart())
		if err := k.Answer(context.Background(), s.ID, watchword.Answer{Text: "x"}, watchword.Client{}); err != nil {
			t.Fatal(err)
		}
		k.clock.advance(time.Minute)
		r, err := k.newNode().Redeem(context.Background(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		if err != nil || !slices.Equal(r.Claims.AMR, []string{"otp"}) || r.Claims.IssuedAt-r.Claims.AuthTime != 60 {
			t.Fatalf("%+v %v", r, err)
		}
	})
}

func TestTryIsChargedBeforeVerify(t *testing.T) {
	calls := make(chan struct{}, 1000)
	l := &scriptedVerifier{verify: func(ctx context.Context, c *watchword.Challenge, a string) (watchword.Proof, error) {
		calls <- struct{}{}
		return rejectAll(ctx, c, a)
	}}
	k := newKit(t, withVerifier(l))
	s := k.start(verifierStart())
	got := runConcurrently(200, func(int) error { _, err := k.check(s.ID, "x"); return err })
	if got["incorrect_answer"] != 3 || len(calls) != 3 {
		t.Fatalf("outcomes: %v, %d compared", got, len(calls))
	}
	if v, _ := k.newNode().Status(context.Background(), s.ID); v.Status != watchword.Locked {
		t.Fatal(v.Status)
	}
	s = k.start(verifierStart())
	_, _ = k.check(s.ID, "x")
	_, _ = k.check(s.ID, "x")
	_, err := k.check(k.start(verifierStart()).ID, "x")
	k.requireCode(err, watchword.ErrTooManyGuesses) // without a message even the first try of a challenge needs budget
}

func TestChallengeLocksWhenVerifyNeverReturns(t *testing.T) {
	l := &scriptedVerifier{verify: func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		return watchword.Proof{}, errors.New("the node died")
	}}
	k := newKit(t, withVerifier(l))
	s := k.start(verifierStart())
	for range 3 {
		_, err := k.check(s.ID, "x")
		k.requireCode(err, watchword.ErrUnavailable)
	}
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Pending {
		t.Fatal(v.Status)
	}
	k.clock.advance(31 * time.Second)
	if v, _ := k.Status(context.Background(), s.ID); v.Status != watchword.Locked {
		t.Fatal(v.Status)
	}
}

func TestFactorIsSpentOnce(t *testing.T) {
	l := &scriptedVerifier{
		enrol: func(_ context.Context, c *watchword.Challenge, _ string) (watchword.Factor, error) {
			return watchword.Factor{ID: "fa_1", Data: []byte{1}}, nil
		},
		verify: func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
			factors, err := c.Factors(ctx)
			if err != nil || len(factors) != 1 {
				return watchword.Proof{}, errors.Join(err, watchword.ErrNotEnrolled)
			}
			f := factors[0]
			if f.Data[0] == 0 {
				return watchword.Proof{Compared: factors}, watchword.ErrMismatch
			}
			f.Data = []byte{f.Data[0] - 1}
			return watchword.Proof{Spend: &f}, nil
		},
	}
	k := newKit(t, withVerifier(l))
	started := k.start(enrolmentStart())
	r, err := k.check(started.ID, "x", forEnrolment)
	if err != nil || r.Factor.ID != "fa_1" || r.Factor.Label != "my phone" || r.Claims.Purpose != "manage_factors" {
		t.Fatalf("%+v %v", r, err)
	}
	var ids []string
	for range 20 {
		ids = append(ids, k.start(verifierStart()).ID)
	}
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	got := runConcurrently(20, func(i int) error { _, err := check(nodes[i%2], ids[i], "x"); return err })
	if got[""] != 1 {
		t.Fatalf("a step was spent by %v", got)
	}
	if !slices.Contains(k.events.types(), "factor.enrolled") {
		t.Error("no event of the enrolment")
	}
}

func TestCheckAcceptsAnswerWithoutSubjectForChallengeWithoutSubject(t *testing.T) {
	l := &scriptedVerifier{verify: func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		return watchword.Proof{Subject: "user_7"}, nil
	}}
	k := newKit(t, withVerifier(l), func(*watchword.Config) { l.properties = watchword.StrategyProperties{Tries: 1} })
	nobody := func(r *watchword.CheckRequest) { r.Subject = "" }
	req := verifierStart()
	req.Subject = ""
	r, err := k.check(k.start(req).ID, "x", nobody)
	if err != nil || r.Claims.Subject != "user_7" {
		t.Fatalf("%+v %v", r, err)
	}
	_, err = k.check(k.start(req).ID, "x")
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	challengeWithSubject := k.start(verifierStart())
	_, err = k.check(challengeWithSubject.ID, "x", nobody)
	k.requireCode(err, watchword.ErrInvalidRequest)
	if v, _ := k.Status(context.Background(), challengeWithSubject.ID); v.TriesLeft != 1 {
		t.Fatal("it cost a try")
	}
}

func TestWrongAnswerDetailsAreReturnedToBackendOnly(t *testing.T) {
	l := &scriptedVerifier{verify: func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		return watchword.Proof{Extra: map[string]any{"clock_offset_seconds": 70}}, watchword.ErrMismatch
	}}
	k := newKit(t, withVerifier(l))
	s := k.start(verifierStart())
	_, err := k.check(s.ID, "x")
	if e := k.requireCode(err, watchword.ErrIncorrectAnswer); e.Extra["clock_offset_seconds"] != 70 {
		t.Fatalf("%+v", e)
	}
	err = k.Answer(context.Background(), s.ID, watchword.Answer{Text: "x"}, watchword.Client{})
	if e := k.requireCode(err, watchword.ErrIncorrectAnswer); e.Extra != nil {
		t.Fatalf("%+v", e)
	}
}

// A challenge whose subject has removed the needed factor is canceled when it is read, and Wait returns.
func TestChallengeIsCanceledWhenItsFactorIsRemoved(t *testing.T) {
	ctx := context.Background()
	gone := false
	l := &factorDependentVerifier{scriptedVerifier{verify: rejectAll}, &gone}
	k := newKit(t, withVerifier(&l.scriptedVerifier), func(c *watchword.Config) { c.Strategies[len(c.Strategies)-1] = l })
	s, onPage, enrolling, decoy := k.start(verifierStart()), k.start(withPage(verifierStart())), k.start(enrolmentStart()), verifierStart()
	decoy.Decoy = true
	d := k.start(decoy)
	cookie, err := k.OpenPage(ctx, onPage.ID, onPage.Ticket.Reveal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*watchword.Started{s, onPage, enrolling, d} {
		if v, err := k.Status(ctx, c.ID); err != nil || v.Status != watchword.Pending {
			t.Fatalf("%+v %v", v, err)
		}
	}
	gone = true
	ended, cancel := context.WithCancel(ctx)
	cancel() // the context is canceled: Wait reads once
	if v, err := k.newNode().Wait(ended, s.ID); err != nil || v.Status != watchword.Canceled {
		t.Errorf("%+v %v", v, err)
	}
	if p, err := k.ViewPage(ctx, onPage.ID, cookie.Reveal()); err != nil || p.Status != watchword.Canceled {
		t.Errorf("the page: %+v %v", p, err)
	}
	for _, c := range []*watchword.Started{enrolling, d} {
		if v, err := k.Status(ctx, c.ID); err != nil || v.Status != watchword.Pending {
			t.Errorf("an enrolment, a decoy: %+v %v", v, err)
		}
	}
}

// factorDependentVerifier needs a factor that may be removed.
type factorDependentVerifier struct {
	scriptedVerifier
	gone *bool
}

func (n *factorDependentVerifier) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	if *n.gone {
		return watchword.Prompt{}, watchword.ErrNotEnrolled
	}
	return n.scriptedVerifier.Begin(ctx, c)
}
