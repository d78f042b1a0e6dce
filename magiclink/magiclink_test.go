package magiclink_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

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
