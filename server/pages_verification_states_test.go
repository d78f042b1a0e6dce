package server_test

import (
	"slices"
	"strconv"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
)

// openVerificationOf returns a function that starts a verification, opens its page and waits for the methods to choose from; then
// happens what then does.
func openVerificationOf(then func(*site, *tab, startedVerification), change ...func(*watchword.VerificationRequest)) func(*site, *tab) {
	return func(s *site, p *tab) {
		v := s.startVerification(change...)
		p.open(s.verificationURL(v))
		p.waitVisible(".ways")
		if then != nil {
			then(s, p, v)
		}
	}
}

// choose returns a step that chooses the method at a position, and what happens then.
func choose(position int, shown string, then ...func(*site, *tab, startedVerification)) func(*site, *tab, startedVerification) {
	return func(s *site, p *tab, v startedVerification) {
		p.click(".ways li:nth-child(" + strconv.Itoa(position) + ") button")
		p.waitVisible(shown)
		for _, f := range then {
			f(s, p, v)
		}
	}
}

// listVerificationStates returns the states of the page of a verification.
func listVerificationStates() []pageState {
	all := func(r *watchword.VerificationRequest) {
		r.Methods = slices.Concat([]watchword.MethodRequest{{Strategy: "webauthn"}, {Strategy: "recovery"}, {Strategy: "otp", Channel: "voice", To: annsPhone}, {Strategy: "otp", Channel: "email", To: annsMailbox}}, r.Methods)
	}
	locked := func(_ *site, p *tab, _ startedVerification) {
		for _, wrong := range []string{"000000", "000001", "000002"} {
			p.waitVisible("#answer")
			p.typeText("#answer", wrong+"\r")
			p.waitUntil(`document.querySelector("main").ariaBusy === "false" && (document.querySelector("[data-rejected]")?.value === "` + wrong + `" || document.querySelector(".ways"))`)
		}
	}
	otherMethod := func(_ *site, p *tab, _ startedVerification) { p.click(otherWay) }
	return []pageState{
		{"choose", ".ways", openVerificationOf(nil), same},
		{"choose-many", ".ways", openVerificationOf(nil, all), same},
		{"choose-payment", ".ways", openVerificationOf(nil, func(r *watchword.VerificationRequest) {
			var q watchword.StartRequest
			withPayment(&q)
			r.Purpose, r.Transaction = q.Purpose, q.Transaction
		}), same},
		{"choose-back", goBack, openVerificationOf(choose(2, otherWay, otherMethod)), other},
		{"method-app", "#answer", openVerificationOf(choose(1, "#answer")), same},
		{"method-app-wrong", "#error", openVerificationOf(choose(1, "#answer", func(_ *site, p *tab, _ startedVerification) { p.typeText("#answer", "000000") })), same},
		{"method-sms", "#answer", openVerificationOf(choose(2, "#answer")), same},
		{"method-link", ".number", openVerificationOf(choose(3, ".number")), same},
		{"method-recovery", "#answer", func(s *site, p *tab) {
			s.enrolRecoveryCodes()
			openVerificationOf(choose(1, "#answer"), func(r *watchword.VerificationRequest) {
				r.Methods = append([]watchword.MethodRequest{{Strategy: "recovery"}}, r.Methods...)
			})(s, p)
		}, same},
		{"method-recovery-wrong", "#error", func(s *site, p *tab) {
			codes := s.enrolRecoveryCodes()
			openVerificationOf(choose(1, "#answer", func(_ *site, p *tab, _ startedVerification) {
				p.typeText("#answer", codes[0][1:]+codes[0][:1]+"\r")
			}), func(r *watchword.VerificationRequest) {
				r.Methods = append([]watchword.MethodRequest{{Strategy: "recovery"}}, r.Methods...)
			})(s, p)
		}, same},
		{"method-locked", ".ways", openVerificationOf(choose(1, "#answer", locked)), same},
		{"method-expired", ".notice", openVerificationOf(choose(2, "#answer", func(s *site, p *tab, _ startedVerification) {
			s.clock.advance(11 * time.Minute)
			p.do(chromedp.Reload())
		})), same},
		{"method-not-delivered", "#note:not(:empty)", openVerificationOf(choose(2, "#answer", func(s *site, p *tab, v startedVerification) {
			s.reportFailure(s.methodView(v, v.methodID("otp", "sms")).Challenge)
			p.do(chromedp.Reload())
		})), same},
		{"method-fallback", ".notice", func(s *site, p *tab) {
			v := s.startVerification(func(r *watchword.VerificationRequest) {
				r.Open, r.Fallback = watchword.OpenFirst, 30*time.Second
				r.Methods = []watchword.MethodRequest{{Strategy: "otp", Channel: "sms", To: annsPhone}, {Strategy: "otp", Channel: "email", To: annsMailbox, Fallback: true}}
			})
			p.open(s.verificationURL(v))
			p.waitVisible("#answer")
			s.reportFailure(s.methodView(v, "m1").Challenge)
			all := s.outbox.all()
			_, _ = s.engine.ComposeMessage(s.t.Context(), all[len(all)-1])
			p.do(chromedp.Reload())
		}, same},
		{"verification-done", ".sign.good", openVerificationOf(choose(2, "#answer", func(s *site, p *tab, v startedVerification) {
			p.typeText("#answer", s.sentMessage(v, v.methodID("otp", "sms")).Code.Reveal())
		}), func(r *watchword.VerificationRequest) { r.ReturnURL = "" }), same},
		{"verification-canceled", ".sign", openVerificationOf(func(s *site, _ *tab, v startedVerification) {
			_, err := s.engine.CancelVerification(s.t.Context(), v.ID)
			must(s.t, err)
		}), same},
		{"verification-expired", ".sign", openVerificationOf(func(s *site, _ *tab, _ startedVerification) { s.clock.advance(16 * time.Minute) }), same},
		{"verification-opened-elsewhere", ".sign", func(s *site, p *tab) {
			v := s.startVerification()
			s.openVerification(v)
			p.open(s.verificationURL(v))
		}, other},
		{"verification-unknown", ".sign", func(s *site, p *tab) { p.open(s.public + "/v/vf_x") }, same},
	}
}

// enrolRecoveryCodes gives user_42 new recovery codes.
func (s *site) enrolRecoveryCodes() []string {
	s.t.Helper()
	c := s.startForSubject("recovery", watchword.PurposeEnrol)
	codes := c.Public["codes"].([]string)
	_, err := s.engine.Check(s.t.Context(), c.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Answer: watchword.Answer{Text: codes[0]}})
	must(s.t, err)
	return codes
}
