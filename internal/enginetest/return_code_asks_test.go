package enginetest_test

import (
	"context"
	"encoding/base32"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A stranger starts a challenge and passes its page on. Somebody else opens the page and answers what it asks for. Whatever that is,
// the stranger cannot redeem, and cannot open the page; the browser that opened it gets the return code.
func TestRedeemNeedsReturnCodeWhateverThePageAsksFor(t *testing.T) {
	ctx := context.Background()
	k := newVerificationKit(t, withKeys(acceptAll))
	k.enrolKey()
	message := func(s *watchword.Started) *watchword.Message {
		m, err := k.ComposeMessage(ctx, k.outbox.last(s.ID))
		if err != nil {
			t.Fatal(err)
		}
		return &m
	}
	ofFactor := func(s *watchword.Started) string { return k.rightAnswer(s.Strategy) }
	ofShownSecret := func(s *watchword.Started) string {
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s.Public["secret"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return hotpCode(secret, uint64(k.clock.Now().Unix()/30))
	}
	for _, c := range []struct {
		name   string
		req    watchword.StartRequest
		ask    watchword.Ask
		answer func(*watchword.Started) string
	}{
		{"a sent code", watchword.StartRequest{Strategy: "otp", Channel: "email", To: alice}, watchword.AskCode, func(s *watchword.Started) string { return message(s).Code.Reveal() }},
		{"a link", watchword.StartRequest{Strategy: "magiclink", To: alice}, watchword.AskLink, func(s *watchword.Started) string {
			_, token, _ := strings.Cut(message(s).Link.Reveal(), "#")
			return token
		}},
		{"a code of an app", watchword.StartRequest{Strategy: "totp"}, watchword.AskCode, ofFactor},
		{"a code of a token", watchword.StartRequest{Strategy: "hotp"}, watchword.AskCode, ofFactor},
		{"a recovery code", watchword.StartRequest{Strategy: "recovery"}, watchword.AskCode, ofFactor},
		{"what a strategy evaluates itself, as keys do", watchword.StartRequest{Strategy: "scripted"}, "", func(*watchword.Started) string { return "assertion" }},
		{"to enrol an app", watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeEnrol}, watchword.AskScan, ofShownSecret},
		{"to enrol recovery codes", watchword.StartRequest{Strategy: "recovery", Purpose: watchword.PurposeEnrol}, watchword.AskCode, func(s *watchword.Started) string { return s.Public["codes"].([]string)[0] }},
	} {
		k.clock.advance(time.Hour)
		req := withPage(c.req)
		req.Subject, req.Authority.Admin = subject, true
		if req.Purpose == "" {
			req.Purpose = "sign_in"
		}
		s := k.start(req)
		if s.Ask != c.ask {
			t.Errorf("%s: asks for %s", c.name, s.Ask)
		}
		cookie := k.openPage(s)
		if err := k.Answer(ctx, s.ID, watchword.Answer{Text: c.answer(s), Starter: true}, watchword.Client{}); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		k.requireCode(k.kit.redeem(s), watchword.ErrReturnCodeInvalid)
		if _, err := k.OpenPage(ctx, s.ID, s.Ticket.Reveal(), nil); !errors.Is(err, watchword.ErrPageOpened) {
			t.Errorf("%s: the stranger opens the page: %v", c.name, err)
		}
		if err := k.kit.redeem(s, withReturnCode(k.kit.returnCode(s, cookie))); err != nil {
			t.Errorf("%s: the browser that opened the page: %v", c.name, err)
		}
	}
}
