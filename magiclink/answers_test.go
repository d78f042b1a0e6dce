package magiclink_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

// An outcome is the effect of one answer on a challenge.
type outcome string

const (
	approves   outcome = "approves"
	refused    outcome = "is refused"
	locks      outcome = "locks the challenge"
	costsNoTry outcome = "is malformed" // and costs no try
)

// The cases include the table in the package documentation.
func TestAnswersOfEveryCombination(t *testing.T) {
	type combination struct {
		text, number string // token, code; right, other, none or anything else literally
		match        outcome
		starter      outcome
		button       outcome
	}
	for _, c := range []combination{
		{"token", "none", costsNoTry, approves, approves},
		{"token", "right", approves, approves, approves},
		{"token", "other", locks, approves, approves},
		{"code", "none", costsNoTry, approves, approves},
		{"code", "right", approves, approves, approves},
		{"code", "other", locks, approves, approves},
		{"token", "7", costsNoTry, approves, approves},
		{"token", "007", costsNoTry, approves, approves},
		{"token", "4²", costsNoTry, approves, approves},
		{"token", "right, spelled", approves, approves, approves},
		{"code", "right, spelled", approves, approves, approves},
		{"token", "other, spelled", locks, approves, approves},
		{" token", "right", costsNoTry, costsNoTry, costsNoTry},
		{"wrong token", "right", refused, refused, refused},
		{"wrong token", "other", refused, refused, refused},
		{"wrong code", "right", refused, refused, refused},
		{"wrong code", "other", refused, refused, refused},
		{"token|number", "none", costsNoTry, refused, refused},
		{"token|number", "right", refused, refused, refused},
		{"number", "right", costsNoTry, costsNoTry, costsNoTry},
		{"", "right", costsNoTry, costsNoTry, costsNoTry},
	} {
		for _, way := range []struct {
			name    string
			cfg     magiclink.Config
			starter bool
			want    outcome
		}{
			{"match", magiclink.Config{}, false, c.match},
			{"match, starter", magiclink.Config{Confirm: magiclink.ConfirmMatch}, true, c.starter},
			{"button", magiclink.Config{Confirm: magiclink.ConfirmButton}, false, c.button},
			{"button, starter", magiclink.Config{Confirm: magiclink.ConfirmButton}, true, c.button},
		} {
			t.Run(strings.Join([]string{c.text, c.number, way.name}, " "), func(t *testing.T) {
				r := newTestEngine(t, way.cfg)
				s := r.start()
				if s.number == "" {
					s.number = "42"
				}
				a := watchword.Answer{Text: spell(s, c.text), Number: spell(s, c.number), Starter: way.starter}
				err := r.answer(s.ID, a)
				v := r.status(s.ID)
				tries := 4
				if way.want == costsNoTry {
					tries = 5
				}
				if got := outcomeOf(err, v); got != way.want || v.TriesLeft != tries {
					t.Errorf("%s: %v, status %s, %d tries left", got, err, v.Status, v.TriesLeft)
				}
			})
		}
	}
}

func spell(s sentChallenge, what string) string {
	switch what {
	case "token":
		return s.token
	case "code":
		return s.code[:3] + " " + s.code[3:]
	case "wrong token":
		return s.token[:len(s.token)-1] + string('0'+(s.token[len(s.token)-1]+1)%10)
	case "wrong code":
		return wrong(s.code)
	case "token|number":
		return s.token + "|" + s.number
	case " token":
		return " " + s.token
	case "number", "right":
		return s.number
	case "right, spelled":
		return respellNumber(s.number)
	case "other, spelled":
		return respellNumber(wrong(s.number))
	case "other":
		return wrong(s.number)
	case "none":
		return ""
	}
	return what
}

// respellNumber returns a number in full-width digits, with a space inside and invisible marks around it.
func respellNumber(number string) string {
	return "\u200e" + string(rune(number[0])-'0'+'０') + " " + string(rune(number[1])-'0'+'０') + "\u2069"
}

func outcomeOf(err error, v watchword.View) outcome {
	switch {
	case err == nil && v.Status == watchword.Approved:
		return approves
	case errors.Is(err, watchword.ErrIncorrectAnswer) && v.Status == watchword.Pending:
		return refused
	case errors.Is(err, watchword.ErrIncorrectAnswer) && v.Status == watchword.Locked:
		return locks
	case errors.Is(err, watchword.ErrInvalidRequest) && v.Status == watchword.Pending:
		return costsNoTry
	}
	return "?"
}

// After one wrong number the right number and the backend are refused too.
func TestWrongNumberLocksTheChallenge(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	s := r.start()
	wantError(t, "wrong number", r.answer(s.ID, watchword.Answer{Text: s.token, Number: wrong(s.number)}), watchword.ErrIncorrectAnswer)
	wantError(t, "right number", r.answer(s.ID, watchword.Answer{Text: s.token, Number: s.number}), watchword.ErrAttemptsExhausted)
	wantError(t, "starter", r.answer(s.ID, watchword.Answer{Text: s.token, Starter: true}), watchword.ErrAttemptsExhausted)
	for _, text := range []string{s.token, s.code} {
		_, err := r.check(s.ID, text)
		wantError(t, "backend", err, watchword.ErrAttemptsExhausted)
	}
	if !slices.Contains(r.events, watchword.EventLocked) {
		t.Errorf("events %v", r.events)
	}
	_, err := r.OpenLink(t.Context(), s.ID, s.token)
	wantError(t, "opened", err, watchword.ErrUnknownChallenge)
}

// The right number and many wrong ones arrive at once: the challenge is either approved or locked.
func TestConcurrentNumbersApproveOrLockOnce(t *testing.T) {
	for range 20 {
		r := newTestEngine(t, magiclink.Config{}, func(c *watchword.Config) { c.Events = nil })
		s := r.start()
		var all sync.WaitGroup
		errs := make([]error, 20)
		for n := range errs {
			number := wrong(s.number)
			if n == 0 {
				number = s.number
			}
			all.Go(func() { errs[n] = r.answer(s.ID, watchword.Answer{Text: s.token, Number: number}) })
		}
		all.Wait()
		want := watchword.Locked
		if errs[0] == nil {
			want = watchword.Approved
		}
		if v := r.status(s.ID); v.Status != want {
			t.Fatalf("the right number: %v; status %s", errs[0], v.Status)
		}
	}
}
