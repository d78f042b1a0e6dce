package server_test

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// listVerificationStates returns the states of the page of a verification.
func listVerificationStates() []pageState {
	start := func(locale string, then func(*tab)) func(*site, *tab) {
		return func(s *site, p *tab) {
			v := s.startVerification(func(r *watchword.VerificationRequest) { r.Locale = locale })
			p.open(s.verificationURL(v))
			p.waitVisible(".ways")
			then(p)
		}
	}
	choose := func(n string) func(*tab) {
		return func(p *tab) { p.click(".ways li:nth-child(" + n + ") button") }
	}
	locked := func(p *tab) {
		choose("1")(p)
		for _, wrong := range []string{"000000", "000001", "000002"} {
			p.waitVisible("#answer")
			p.typeText("#answer", wrong+"\r")
			p.waitUntil(`document.querySelector("main").ariaBusy === "false" && (document.querySelector("[data-rejected]")?.value === "` + wrong + `" || document.querySelector(".ways"))`)
		}
	}
	return []pageState{
		{"choose", ".ways", start("en", func(*tab) {})},
		{"choose-de", ".ways", start("de", func(*tab) {})},
		{"method-app", "#answer", start("en", choose("1"))},
		{"method-sms-de", "#answer", start("de", choose("2"))},
		{"method-link", ".number", start("en", choose("3"))},
		{"choose-back-zh", goBack, start("zh", func(p *tab) {
			choose("2")(p)
			p.waitVisible(otherWay)
			p.click(otherWay)
		})},
		{"method-locked", ".ways", start("en", locked)},
		{"method-fallback", ".notice", func(s *site, p *tab) {
			v := s.startVerification(func(r *watchword.VerificationRequest) {
				r.Open, r.Fallback = watchword.OpenFirst, 30*time.Second
				r.Methods = []watchword.MethodRequest{{Strategy: "otp", Channel: "sms", To: annsPhone}, {Strategy: "otp", Channel: "email", To: annsMailbox, Fallback: true}}
			})
			p.open(s.verificationURL(v))
			p.waitVisible("#answer")
			out, _ := s.outbox.last(s.methodView(v, "m1").Challenge)
			must(s.t, s.engine.RecordDelivery(s.t.Context(), out, watchword.Delivery{Status: watchword.DeliveryFailed, Channel: "sms"}))
			all := s.outbox.all()
			_, _ = s.engine.ComposeMessage(s.t.Context(), all[len(all)-1])
		}},
	}
}
