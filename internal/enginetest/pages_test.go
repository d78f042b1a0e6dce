package enginetest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

func TestOpenLinkReturnsViewAndSendsEventOnce(t *testing.T) {
	ctx := context.Background()
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKit(t, func(c *watchword.Config) { c.Strategies = append(c.Strategies, links) })
	s := k.start(watchword.StartRequest{Strategy: "magiclink", Purpose: "sign_in", To: alice, Subject: subject})
	m, err := k.ComposeMessage(ctx, k.outbox.last(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(m.Link.Reveal(), "#")
	for range 3 {
		if v, err := k.OpenLink(ctx, s.ID, token); err != nil || v.ID != s.ID {
			t.Fatalf("%+v %v", v, err)
		}
	}
	for _, wrong := range []string{"", token + "x", m.Code.Reveal(), s.Handle.Reveal()} {
		_, err := k.OpenLink(ctx, s.ID, wrong)
		k.requireCode(err, watchword.ErrUnknownChallenge)
	}
	k.requireCode(k.ReportLink(ctx, s.ID, "forged"), watchword.ErrUnknownChallenge)
	if err := k.ReportLink(ctx, s.ID, token); err != nil {
		t.Fatal(err)
	}
	_, err = k.OpenLink(ctx, s.ID, token)
	k.requireCode(err, watchword.ErrUnknownChallenge)
	want := []string{"challenge.started", "link.opened", "challenge.canceled", "challenge.reported"}
	if got := k.events.types(); !slices.Equal(got, want) {
		t.Fatalf("events: %v", got)
	}
}

func TestOpenPageRequiresTicket(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(withPage(startByEmail()))
	other := k.start(withPage(startByEmail()))
	cookie, err := k.OpenPage(ctx, s.ID, s.Ticket.Reveal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := k.ViewPage(ctx, s.ID, cookie.Reveal()); err != nil || p.ID != s.ID {
		t.Fatalf("%+v %v", p, err)
	}
	for _, wrong := range []string{"", "x", s.Ticket.Reveal(), s.Handle.Reveal(), other.Ticket.Reveal()} {
		_, err := k.ViewPage(ctx, s.ID, wrong)
		k.requireCode(err, watchword.ErrUnknownChallenge)
	}
	for _, wrong := range []string{"", "x", cookie.Reveal(), s.Handle.Reveal(), other.Ticket.Reveal()} {
		_, err := k.OpenPage(ctx, s.ID, wrong, nil)
		k.requireCode(err, watchword.ErrUnknownChallenge)
	}
}

// A page offers the channels by which Resend reaches the same address, for a decoy as for a real challenge.
func TestPageListsOtherChannels(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	for _, decoy := range []bool{false, true} {
		for channel, want := range map[string][]string{"sms": {"voice"}, "voice": {"sms"}, "email": nil} {
			req := withPage(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: channel, To: alicePhone, Subject: subject, Decoy: decoy})
			if channel == "email" {
				req.To = alice
			}
			s := k.start(req)
			cookie, err := k.OpenPage(ctx, s.ID, s.Ticket.Reveal(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := k.ViewPage(ctx, s.ID, cookie.Reveal()); err != nil || !slices.Equal(p.OtherChannels, want) {
				t.Errorf("%s, decoy %t: %v %v, want %v", channel, decoy, p.OtherChannels, err, want)
			}
			k.clock.advance(time.Minute)
			for _, other := range want {
				if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{Channel: other}); err != nil {
					t.Errorf("%s does not reach the address: %v", other, err)
				}
			}
		}
	}
}

func TestStartersNumberStaysWhenResendBringsNewCode(t *testing.T) {
	ctx := context.Background()
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true; c.Strategies = append(c.Strategies, links) })
	s := k.start(watchword.StartRequest{Strategy: "magiclink", Purpose: "sign_in", To: alice, Subject: subject})
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	m, err := k.ComposeMessage(ctx, k.outbox.last(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(m.Link.Reveal(), "#")
	err = k.Answer(ctx, s.ID, watchword.Answer{Text: token, Number: s.Public["number"].(string)}, watchword.Client{})
	if err != nil {
		t.Fatalf("the number on the screen with the new link: %v", err)
	}
}
