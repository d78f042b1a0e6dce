package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestChallengeOfAVerificationRefusesEverythingButItsAnswer(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf(smsMethod))
	id, code := v.Challenge.ID, k.code(v.Challenge.ID)
	ctx := context.Background()
	steps := map[string]func() error{
		"check": func() error { _, err := k.check(id, code); return err },
		"redeem": func() error {
			_, err := k.Redeem(ctx, id, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
			return err
		},
		"resend": func() error { _, err := k.Resend(ctx, id, watchword.ResendRequest{}); return err },
		"cancel": func() error { _, err := k.Cancel(ctx, id); return err },
	}
	k.clock.advance(time.Minute)
	if _, err := k.OpenPage(ctx, id, v.Ticket.Reveal(), nil); !errors.Is(err, watchword.ErrUnknownChallenge) { // it has no page
		t.Errorf("open the page: %v", err)
	}
	if _, err := k.ViewPage(ctx, id, v.Ticket.Reveal()); !errors.Is(err, watchword.ErrUnknownChallenge) {
		t.Errorf("view the page: %v", err)
	}
	for name, step := range steps {
		if err := step(); !errors.Is(err, watchword.ErrPartOfVerification) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if view := k.view(v.ID); view.Challenge.TriesLeft != 5 || view.Challenge.SendsLeft != 4 || view.Status != watchword.Pending {
		t.Errorf("it changed something: %+v", view.Challenge)
	}
	if _, err := k.checkMethod(v.ID, "", code); err != nil {
		t.Fatal(err)
	}
	for name, step := range steps { // also when it is approved
		if err := step(); !errors.Is(err, watchword.ErrPartOfVerification) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same challenge, in an id that says that it is no part of a verification, or the other way round, is unknown.
func TestPartOfAVerificationIsNotReachedByAnotherID(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf(smsMethod))
	for _, id := range []string{v.Challenge.ID, k.start(startByEmail()).ID} {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		for i := 3; i < len(id); i++ {
			at := strings.IndexByte(alphabet, id[i])
			for bit := range 6 {
				changed := id[:i] + string(alphabet[at^1<<bit]) + id[i+1:]
				if _, err := k.check(changed, "123456"); !errors.Is(err, watchword.ErrUnknownChallenge) {
					t.Fatalf("%d.%d: %v", i, bit, err)
				}
			}
		}
	}
}

func TestAnswerIsComparedWithTheNamedMethodAlone(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	sms, mail := k.open(v.ID, "m2"), k.open(v.ID, "m3")
	free := map[string]func() error{
		"without a method": func() error { _, err := k.checkMethod(v.ID, "", k.code(sms)); return err },
		"not open":         func() error { _, err := k.checkMethod(v.ID, "m5", k.code(sms)); return err },
		"not listed":       func() error { _, err := k.checkMethod(v.ID, "m9", k.code(sms)); return err },
		"malformed":        func() error { _, err := k.checkMethod(v.ID, "m2", "hello"); return err },
		"no purpose": func() error {
			_, err := k.checkMethod(v.ID, "m2", k.code(sms), func(r *watchword.VerificationCheck) { r.Purpose = "" })
			return err
		},
		"subject and address": func() error {
			_, err := k.checkMethod(v.ID, "m2", k.code(sms), func(r *watchword.VerificationCheck) { r.To = alice })
			return err
		},
	}
	want := map[string]string{"without a method": "method", "not open": "method", "malformed": "answer", "no purpose": "purpose", "subject and address": "to"}
	for name, try := range free {
		err := try()
		if name == "not listed" {
			k.requireCode(err, watchword.ErrUnknownMethod)
		} else if got := fieldsOf(err); !slices.Equal(got, []string{want[name]}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range k.openViews(v.ID) {
		if m.TriesLeft != 5 && m.TriesLeft != 3 {
			t.Errorf("a refusal cost a try: %+v", m)
		}
	}
	_, err := k.checkMethod(v.ID, "m3", wrongIfEqual(k.code(sms), k.code(mail)))
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	for _, change := range []func(*watchword.VerificationCheck){
		func(r *watchword.VerificationCheck) { r.Purpose = "mfa" },
		func(r *watchword.VerificationCheck) { r.Subject = "user_43" },
		func(r *watchword.VerificationCheck) { r.Transaction = map[string]string{"a": "b"} },
	} {
		_, err := k.checkMethod(v.ID, "m3", k.code(mail), change)
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	if _, err := k.checkMethod(v.ID, "m3", k.code(mail)); err != nil {
		t.Fatal(err)
	}
}

// wrongIfEqual returns the answer, unless it happens to be the right one.
func wrongIfEqual(answer, right string) string {
	if answer == right {
		return wrongCode(right)
	}
	return answer
}

func (k *verificationKit) openViews(id string) (out []watchword.View) {
	for _, m := range k.view(id).Methods {
		if m.Challenge != "" {
			v, err := k.Status(context.Background(), m.Challenge)
			if err != nil {
				k.t.Fatal(err)
			}
			out = append(out, v)
		}
	}
	return out
}

func TestOpenedMethodIsTheSameChallengeAndSendsNothingAgain(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf())
	first := k.open(v.ID, "m5")
	again, err := k.OpenMethod(context.Background(), v.ID, "m5")
	if err != nil || again.Challenge.ID != first || again.Challenge.Public["number"] == nil {
		t.Fatalf("%+v, %v", again.Challenge, err)
	}
	if n := len(k.outbox.ofChallenge(first)); n != 1 {
		t.Errorf("%d messages", n)
	}
	if back := k.open(v.ID, "m1"); back != v.Challenge.ID {
		t.Error("going back opened another challenge")
	}
	if view := k.view(v.ID); view.Method != "m1" || view.Methods[4].Status != watchword.Pending || view.Methods[1].Status != "" {
		t.Errorf("%+v", view)
	}
	_, err = k.OpenMethod(context.Background(), v.ID, "m6")
	k.requireCode(err, watchword.ErrUnknownMethod)
}

func TestConcurrentOpeningsMakeOneChallenge(t *testing.T) {
	k := newVerificationKit(t)
	other := k.newNode()
	v := k.startVerification(verificationOf(smsMethod, totpMethod))
	got := runConcurrently(20, func(i int) error {
		_, err := []*watchword.Engine{k.Engine, other}[i%2].OpenMethod(context.Background(), v.ID, "m1")
		return err
	})
	if got[""] != 20 {
		t.Fatalf("outcomes %v", got)
	}
	if n := len(k.outbox.list()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// Two nodes open a method, and one of them is between writing the verification and storing the challenge when the other comes: both
// get the same challenge, and one message is sent.
func TestOpeningsThatMeetMakeOneChallenge(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf(smsMethod, totpMethod))
	met := ""
	slow := k.newNode(func(c *watchword.Config) {
		c.Store = &beforeCreateStore{c.Store, func() { met = k.open(v.ID, "m1") }}
	})
	view, err := slow.OpenMethod(context.Background(), v.ID, "m1")
	if err != nil || met == "" || view.Challenge.ID != met {
		t.Fatalf("%+v, %v; the other node has %s", view.Challenge, err, met)
	}
	if n := len(k.outbox.list()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// beforeCreateStore calls run before an entry is created.
type beforeCreateStore struct {
	watchword.Store
	run func()
}

func (s *beforeCreateStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.run()
	return s.Store.Create(ctx, e, out...)
}

func TestLockedOrCanceledMethodDoesNotOpenAgainAndAnExpiredOneDoes(t *testing.T) {
	k := newVerificationKit(t, withKeys(rejectAll))
	k.enrolKey()
	v := k.startVerification(verificationOf(smsMethod, totpMethod, keyMethod))
	code := k.code(k.open(v.ID, "m1"))
	for range 5 {
		_, err := k.checkMethod(v.ID, "m1", wrongCode(code))
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	_, err := k.OpenMethod(context.Background(), v.ID, "m1")
	k.requireCode(err, watchword.ErrAttemptsExhausted)
	_, err = k.checkMethod(v.ID, "m1", code)
	k.requireCode(err, watchword.ErrAttemptsExhausted)
	k.open(v.ID, "m2")
	factors, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range factors {
		if f.Strategy == "totp" {
			if err := k.RemoveFactor(context.Background(), f.ID, watchword.Authority{Admin: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if view := k.view(v.ID); view.Methods[1].Status != watchword.Canceled || view.Methods[0].Status != watchword.Locked || view.Status != watchword.Pending {
		t.Errorf("%+v", view)
	}
	_, err = k.OpenMethod(context.Background(), v.ID, "m2")
	k.requireCode(err, watchword.ErrChallengeCanceled)
	first := k.open(v.ID, "m3")
	k.clock.advance(6 * time.Minute)
	second := k.open(v.ID, "m3")
	if first == second {
		t.Error("an expired challenge was opened again")
	}
	_, err = k.checkMethod(v.ID, "m3", "x")
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	if view := k.view(v.ID); view.Status != watchword.Locked {
		t.Errorf("nothing is left, and the status is %s", view.Status)
	}
	_, err = k.redeem(v)
	k.requireCode(err, watchword.ErrAttemptsExhausted)
}

// The end of a method is recorded in the background. A check that names no method gets the same answer before and after that.
func TestCheckWithoutMethodAnswersHowTheLastOneEnded(t *testing.T) {
	k := newVerificationKit(t)
	v := k.startVerification(verificationOf(smsMethod, totpMethod))
	_, err := k.checkMethod(v.ID, "", "123456")
	k.requireCode(err, watchword.ErrInvalidRequest)
	code := k.code(k.open(v.ID, "m1"))
	for range 5 {
		_, err := k.checkMethod(v.ID, "", wrongCode(code))
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	for range 40 {
		_, err := k.checkMethod(v.ID, "", code)
		k.requireCode(err, watchword.ErrAttemptsExhausted)
		time.Sleep(time.Millisecond)
	}
}

// A closing verification does not care how far an answer has come: its challenge is approved, and the verification is canceled.
func TestNoAnswerWinsAfterTheVerificationHasEnded(t *testing.T) {
	t.Run("canceled before", func(t *testing.T) {
		k := newVerificationKit(t)
		v := k.startVerification(verificationOf())
		sms, code := k.open(v.ID, "m2"), ""
		code = k.code(sms)
		view, err := k.CancelVerification(context.Background(), v.ID)
		if err != nil || view.Status != watchword.Canceled {
			t.Fatalf("%s, %v", view.Status, err)
		}
		if _, err := k.CancelVerification(context.Background(), v.ID); err != nil {
			t.Errorf("again: %v", err)
		}
		_, err = k.checkMethod(v.ID, "m2", code)
		k.requireCode(err, watchword.ErrChallengeCanceled)
		k.requireCode(k.Answer(context.Background(), sms, watchword.Answer{Text: code}, watchword.Client{}), watchword.ErrChallengeCanceled)
		k.requireCode(k.AnswerVerification(context.Background(), v.ID, "m2", watchword.Answer{Text: code}, watchword.Client{}), watchword.ErrChallengeCanceled)
		_, err = k.OpenMethod(context.Background(), v.ID, "m3")
		k.requireCode(err, watchword.ErrChallengeCanceled)
		_, err = k.ResendVerification(context.Background(), v.ID, "m2", nil)
		k.requireCode(err, watchword.ErrChallengeCanceled)
		_, err = k.redeem(v)
		k.requireCode(err, watchword.ErrChallengeCanceled)
		k.awaitChallenge(sms, watchword.Canceled)
		k.awaitChallenge(v.Challenge.ID, watchword.Canceled)
		if n := len(k.events.ofType(watchword.EventVerificationCanceled)); n != 1 {
			t.Errorf("%d events", n)
		}
	})
	ends := map[string]struct {
		end  func(k *verificationKit, id string)
		want *watchword.Error
	}{
		"canceled meanwhile": {func(k *verificationKit, id string) { _, _ = k.newNode().CancelVerification(context.Background(), id) }, watchword.ErrChallengeCanceled},
		"expired meanwhile":  {func(k *verificationKit, _ string) { k.clock.advance(15 * time.Minute) }, watchword.ErrChallengeExpired},
	}
	for name, c := range ends {
		t.Run(name, func(t *testing.T) {
			k := newVerificationKit(t)
			v := k.startVerification(verificationOf(smsMethod))
			code := k.code(v.Challenge.ID)
			k.store.Store = &afterAttemptStore{k.store.Store, func() { c.end(k, v.ID) }} // the challenge is approved, and the verification not yet
			_, err := k.checkMethod(v.ID, "", code)
			k.requireCode(err, c.want)
			_, err = k.redeem(v)
			k.requireCode(err, c.want)
			if n := len(k.events.ofType(watchword.EventVerificationApproved)); n != 0 {
				t.Error("it was approved")
			}
		})
	}
}
