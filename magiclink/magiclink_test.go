package magiclink_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

// An outcome is the effect of one answer on a challenge.
type outcome string

const (
	approves   outcome = "approves"
	refused    outcome = "is wrong"
	locks      outcome = "ends it"
	costsNoTry outcome = "is no answer" // and costs no try
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

// Both orders, from a page and from the backend.
func TestUsingLinkOrCodeInvalidatesTheOther(t *testing.T) {
	for _, first := range []string{"token", "code"} {
		for _, second := range []string{"token", "code"} {
			r := newTestEngine(t, magiclink.Config{})
			s := r.start()
			if _, err := r.check(s.ID, spell(s, first)); err != nil {
				t.Fatal(err)
			}
			_, err := r.check(s.ID, spell(s, second))
			wantError(t, first+" then "+second, err, watchword.ErrChallengeApproved)
			err = r.answer(s.ID, watchword.Answer{Text: spell(s, second), Number: s.number})
			wantError(t, first+" then "+second+" on a page", err, watchword.ErrChallengeApproved)
		}
	}
}

// A resend repeats the link and code, so the older message stays valid. With NewCodes the older one becomes invalid.
func TestResendRepeatsLinkAndCode(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	s := r.start()
	r.now = r.now.Add(time.Minute)
	if _, err := r.Resend(t.Context(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if again := r.read(s.ID); again.token != s.token || again.code != s.code {
		t.Error("a resend brought another link or code")
	}
	must(t, r.answer(s.ID, watchword.Answer{Text: s.token, Number: s.number}))

	r = newTestEngine(t, magiclink.Config{}, func(c *watchword.Config) { c.NewCodes = true })
	s = r.start()
	r.now = r.now.Add(time.Minute)
	if _, err := r.Resend(t.Context(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	again := r.read(s.ID)
	if again.token == s.token {
		t.Fatal("no new link")
	}
	wantError(t, "the older link", r.answer(s.ID, watchword.Answer{Text: s.token, Starter: true}), watchword.ErrIncorrectAnswer)
	must(t, r.answer(s.ID, watchword.Answer{Text: again.token, Starter: true}))
}

// OpenLink refuses forged, used and expired links.
func TestOpenLinkChangesNothing(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	s, other := r.start(), r.start()
	for range 20 {
		v, err := r.OpenLink(t.Context(), s.ID, s.token)
		if err != nil || v.Status != watchword.Pending || v.TriesLeft != 5 {
			t.Fatalf("%+v %v", v, err)
		}
	}
	for name, token := range map[string]string{"empty": "", "forged": spell(s, "wrong token"), "another's": other.token, "a code": s.code} {
		_, err := r.OpenLink(t.Context(), s.ID, token)
		wantError(t, name, err, watchword.ErrUnknownChallenge)
		wantError(t, name, r.ReportLink(t.Context(), s.ID, token), watchword.ErrUnknownChallenge)
	}
	must(t, r.ReportLink(t.Context(), s.ID, s.token))
	if v := r.status(s.ID); v.Status != watchword.Canceled || !slices.Contains(r.events, watchword.EventReported) {
		t.Errorf("after a report: %s, events %v", v.Status, r.events)
	}
	r.now = r.now.Add(10 * time.Minute)
	_, err := r.OpenLink(t.Context(), other.ID, other.token)
	wantError(t, "expired", err, watchword.ErrUnknownChallenge)
}

// A code sent with a link counts like any other code. The first try of a challenge is evaluated even if the limit is reached.
func TestWrongCodesCountAgainstTheAddress(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	s := r.start()
	for range 5 {
		_, err := r.check(s.ID, wrong(s.code))
		wantError(t, "a wrong code", err, watchword.ErrIncorrectAnswer)
	}
	s = r.start()
	_, err := r.check(s.ID, wrong(s.code))
	wantError(t, "the first try", err, watchword.ErrIncorrectAnswer)
	_, err = r.check(s.ID, s.code)
	wantError(t, "the second", err, watchword.ErrTooManyGuesses)
	s = r.start()
	must(t, r.answer(s.ID, watchword.Answer{Text: s.token, Number: s.number}))
}

func TestNoCodeSendsTheLinkAlone(t *testing.T) {
	links, err := magiclink.New(magiclink.Config{NoCode: true})
	must(t, err)
	if got := links.Candidates(watchword.Answer{Text: "123456", Starter: true}); got != nil {
		t.Errorf("a code means %v", got)
	}
	r := newTestEngine(t, magiclink.Config{NoCode: true})
	s := r.start()
	if s.code != "" || s.Public["code"] != false {
		t.Errorf("code %q, public %v", s.code, s.Public)
	}
	for range 5 {
		wantError(t, "a code", r.answer(s.ID, watchword.Answer{Text: "123456", Starter: true}), watchword.ErrIncorrectAnswer)
	}
	s = r.start()
	wantError(t, "the first try", r.answer(s.ID, watchword.Answer{Text: s.token + "x", Number: s.number}), watchword.ErrIncorrectAnswer)
	must(t, r.answer(s.ID, watchword.Answer{Text: s.token, Number: s.number}))
}

// A decoy's starting screen shows a number, and no message is composed.
func TestDecoyShowsNumberAndSendsNothing(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	s, err := r.Start(t.Context(), watchword.StartRequest{Strategy: "magiclink", Purpose: purpose, To: ada, Decoy: true})
	must(t, err)
	if number, _ := s.Public["number"].(string); len(number) != 2 || s.Public["code"] != true {
		t.Errorf("public %v", s.Public)
	}
	_, err = r.ComposeMessage(t.Context(), r.outbox.all[0])
	wantError(t, "the message", err, watchword.ErrClosed)
}

func TestStartAcceptsEmailAndSMSOnly(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	by := func(channel string) func(*watchword.StartRequest) {
		return func(q *watchword.StartRequest) { q.Channel = channel }
	}
	for channel, want := range map[string][]string{"": nil, "email": nil, "sms": {"sms"}} {
		s := r.start(by(channel))
		got, err := r.check(s.ID, s.token)
		if err != nil || !slices.Equal(got.Claims.AMR, want) {
			t.Errorf("%q: %v %v", channel, got, err)
		}
	}
	var refused *watchword.Error
	_, err := r.Start(t.Context(), watchword.StartRequest{Strategy: "magiclink", Purpose: purpose, To: ada, Channel: "voice"})
	if !errors.As(err, &refused) || refused.Code != "invalid_request" || len(refused.Fields) != 1 || refused.Fields[0].Field != "channel" {
		t.Errorf("a link by voice: %v", err)
	}
	s := r.start()
	r.now = r.now.Add(time.Minute)
	_, err = r.Resend(t.Context(), s.ID, watchword.ResendRequest{Channel: "voice"})
	wantError(t, "resend by voice", err, watchword.ErrInvalidRequest)
}

// Tokens have at least 128 bits, differ from each other and are no codes. Numbers have two digits and all values.
func TestDerivedSecretsHaveTheirForm(t *testing.T) {
	form := regexp.MustCompile(`^lk_[0-9A-Za-z]{22}$`)
	r := newTestEngine(t, magiclink.Config{})
	tokens, numbers := map[string]bool{}, map[string]bool{}
	for range 2000 {
		s := r.start()
		if !form.MatchString(s.token) || tokens[s.token] || len(s.code) != 6 || len(s.number) != 2 {
			t.Fatalf("token %q, code %q, number %q", s.token, s.code, s.number)
		}
		tokens[s.token], numbers[s.number] = true, true
	}
	if len(numbers) != 100 {
		t.Errorf("%d numbers", len(numbers))
	}
}

// A link is bound to its challenge, its purpose and its address.
func TestCheckRefusesLinkOfAnotherChallengePurposeOrAddress(t *testing.T) {
	r := newTestEngine(t, magiclink.Config{})
	s, other := r.start(), r.start(func(q *watchword.StartRequest) { q.To = "eve@example.com" })
	wantError(t, "another challenge", r.answer(other.ID, watchword.Answer{Text: s.token, Starter: true}), watchword.ErrIncorrectAnswer)
	for name, req := range map[string]watchword.CheckRequest{
		"another purpose": {Purpose: "password_reset", To: ada},
		"another address": {Purpose: purpose, To: "eve@example.com"},
		"a subject":       {Purpose: purpose, Subject: ada},
	} {
		req.Answer.Text = s.token
		_, err := r.Check(t.Context(), s.ID, req)
		wantError(t, name, err, watchword.ErrIncorrectAnswer)
	}
	if _, err := r.check(s.ID, s.token); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesInvalidSettings(t *testing.T) {
	for _, confirm := range []magiclink.Confirm{"none", "Match", " "} {
		if _, err := magiclink.New(magiclink.Config{Confirm: confirm}); err == nil {
			t.Errorf("%q was accepted", confirm)
		}
	}
	links, err := magiclink.New(magiclink.Config{})
	must(t, err)
	_, err = watchword.New(watchword.Config{App: "shop", Keys: []watchword.Key{key(t, "k")}, Identity: key(t, "i"), Tries: 11, Strategies: []watchword.Strategy{links}})
	if err == nil || !strings.Contains(err.Error(), "1 in 100,000") {
		t.Errorf("eleven tries at six digits: %v", err)
	}
}

// A candidate that approves contains the number that was typed, whatever the page sends.
func TestCandidatesApproveOnlyWithTheGivenNumber(t *testing.T) {
	s, err := magiclink.New(magiclink.Config{})
	must(t, err)
	rapid.Check(t, func(t *rapid.T) {
		a := watchword.Answer{Text: rapid.String().Draw(t, "text"), Number: rapid.String().Draw(t, "number")}
		for _, c := range s.Candidates(a) {
			if _, number, with := strings.Cut(c.Text, "|"); c.LocksChallenge == with || with && number != a.Number {
				t.Fatalf("%+v means %+v", a, c)
			}
		}
	})
}

func FuzzCandidates(f *testing.F) {
	s, err := magiclink.New(magiclink.Config{})
	must(f, err)
	form := regexp.MustCompile(`^(lk_[0-9A-Za-z]{22}|[0-9]{6})(\|[0-9]{2})?$`)
	f.Add("lk_0123456789ABCDEFGHabcd", "42", false)
	f.Add("123 456", "07", true)
	f.Fuzz(func(t *testing.T, text, number string, starter bool) {
		for _, c := range s.Candidates(watchword.Answer{Text: text, Number: number, Starter: starter}) {
			if !form.MatchString(c.Text) {
				t.Fatalf("%q with %q means %q", text, number, c.Text)
			}
		}
	})
}
