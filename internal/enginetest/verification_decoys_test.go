package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// decoyVerification is a verification for a subject that does not exist.
func decoyVerification(who string, methods ...watchword.MethodRequest) watchword.VerificationRequest {
	req := verificationOf(methods...)
	req.Subject, req.Decoy = who, true
	return req
}

func TestDecoyVerificationOffersAStableSet(t *testing.T) {
	k := newVerificationKit(t)
	other := k.newNode(func(c *watchword.Config) { c.Keys = []watchword.Key{newTestKey(t, "k2"), c.Keys[0]} })
	bank := k.newNode(func(c *watchword.Config) { c.App = "bank" })
	offered := func(e *watchword.Engine, req watchword.VerificationRequest) string {
		req.Open = watchword.OpenNone
		v, err := e.StartVerification(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		var strategies []string
		for _, m := range v.Methods {
			strategies = append(strategies, m.Strategy+m.Channel)
		}
		return strings.Join(strategies, " ")
	}
	sets, differs := map[string]int{}, false
	for n := range 60 {
		who := fmt.Sprint("nobody ", n)
		set := offered(k.Engine, decoyVerification(who, totpMethod, recoveryMethod, mailMethod))
		sets[set]++
		for _, e := range []*watchword.Engine{k.Engine, other} { // another node, after the keys have rotated
			if again := offered(e, decoyVerification(who, totpMethod, recoveryMethod, mailMethod)); again != set {
				t.Fatalf("%s: %s, and then %s", who, set, again)
			}
		}
		// What else is asked for does not change whether a method is offered.
		if more := offered(k.Engine, decoyVerification(who, smsMethod, recoveryMethod, totpMethod)); strings.Contains(more, "totp") != strings.Contains(set, "totp") ||
			strings.Contains(more, "recovery") != strings.Contains(set, "recovery") {
			t.Fatalf("%s: %s, and then %s", who, set, more)
		}
		differs = differs || offered(bank, decoyVerification(who, totpMethod, recoveryMethod, mailMethod)) != set
		if offered(k.Engine, decoyVerification(who, totpMethod, recoveryMethod)) == "" {
			t.Fatalf("%s: nothing is offered", who)
		}
	}
	if len(sets) != 4 || !differs {
		t.Errorf("sets of 60 subjects: %v; another app differs: %t", sets, differs)
	}
}

// Step by step, a decoy answers as a real subject with the same methods does.
func TestDecoyVerificationLooksLikeARealOneAndIsNotApproved(t *testing.T) {
	k := newVerificationKit(t, withReturnURL, withReports)
	nobody := ""
	for n := 0; nobody == ""; n++ { // one whose decoys offer what the real subject has
		req := decoyVerification(fmt.Sprint("nobody ", n))
		req.Open = watchword.OpenNone
		if len(k.startVerification(req).Methods) == 5 {
			nobody = req.Subject
		}
	}
	type step struct {
		name string
		do   func(v *watchword.StartedVerification, who string) (any, error)
	}
	ctx := context.Background()
	as := func(who string) func(*watchword.VerificationCheck) {
		return func(r *watchword.VerificationCheck) { r.Subject = who }
	}
	var cookie watchword.Code
	steps := []step{
		{"start", func(v *watchword.StartedVerification, _ string) (any, error) { return v.VerificationView, nil }},
		{"page", func(v *watchword.StartedVerification, _ string) (_ any, err error) {
			if cookie, err = k.OpenVerificationPage(ctx, v.ID, v.Ticket.Reveal(), nil); err != nil {
				return nil, err
			}
			p, err := k.ViewVerificationPage(ctx, v.ID, cookie.Reveal())
			return p.VerificationView, err
		}},
		{"wrong answer", func(v *watchword.StartedVerification, who string) (any, error) {
			_, err := k.checkMethod(v.ID, "m1", k.wrongAnswer("totp"), as(who))
			return nil, err
		}},
		{"open a text message", func(v *watchword.StartedVerification, _ string) (any, error) { return k.OpenMethod(ctx, v.ID, "m2") }},
		{"send it", func(v *watchword.StartedVerification, _ string) (any, error) {
			o := k.outbox.last(k.view(v.ID).Challenge.ID)
			if m, err := k.ComposeMessage(ctx, o); err == nil {
				k.record(o.Composed(m), watchword.Delivery{Status: watchword.DeliverySent, Channel: "sms"})
			} else if !errors.Is(err, watchword.ErrClosed) {
				return nil, err
			}
			return k.VerificationStatus(ctx, v.ID)
		}},
		{"wrong code", func(v *watchword.StartedVerification, who string) (any, error) {
			_, err := k.checkMethod(v.ID, "m2", "000001", as(who))
			return nil, err
		}},
		{"open a link", func(v *watchword.StartedVerification, _ string) (any, error) { return k.OpenMethod(ctx, v.ID, "m5") }},
		{"wrong recovery code", func(v *watchword.StartedVerification, who string) (any, error) {
			if _, err := k.OpenMethod(ctx, v.ID, "m4"); err != nil {
				return nil, err
			}
			_, err := k.checkMethod(v.ID, "m4", k.wrongAnswer("recovery"), as(who))
			return nil, err
		}},
		{"an unknown method", func(v *watchword.StartedVerification, _ string) (any, error) { return k.OpenMethod(ctx, v.ID, "m6") }},
		{"redeem", func(v *watchword.StartedVerification, who string) (any, error) {
			_, err := k.redeem(v, func(r *watchword.RedeemRequest) { r.Subject = who })
			return nil, err
		}},
		{"resend", func(v *watchword.StartedVerification, _ string) (any, error) {
			return k.ResendVerification(ctx, v.ID, "m2", nil)
		}},
		{"cancel", func(v *watchword.StartedVerification, _ string) (any, error) { return k.CancelVerification(ctx, v.ID) }},
		{"after the end", func(v *watchword.StartedVerification, _ string) (any, error) { return k.OpenMethod(ctx, v.ID, "m2") }},
	}
	req, decoy := verificationOf(), decoyVerification(nobody)
	req.ReturnURL, decoy.ReturnURL = pageReturnURL, pageReturnURL
	real, unreal := k.startVerification(req), k.startVerification(decoy)
	for _, s := range steps {
		want, errReal := s.do(real, subject)
		got, errDecoy := s.do(unreal, nobody)
		if a, b := describe(want, real), describe(got, unreal); a != b {
			t.Errorf("%s: a real subject sees\n%s\na decoy\n%s", s.name, a, b)
		}
		if a, b := k.describeRefusal(errReal), k.describeRefusal(errDecoy); a != b {
			t.Errorf("%s: a real subject gets %s, a decoy %s", s.name, a, b)
		}
	}
	for _, m := range k.outbox.list() {
		if _, err := k.ComposeMessage(ctx, m); err == nil && slices.ContainsFunc(k.events.list(), func(ev watchword.Event) bool {
			return ev.ChallengeID == m.ChallengeID && ev.Verification == unreal.ID
		}) {
			t.Error("a decoy's message is sent")
		}
	}
}

// describe returns everything in a view that could distinguish a decoy, with what is random, or of the subject, replaced.
func describe(what any, v *watchword.StartedVerification) string {
	view, ok := what.(watchword.VerificationView)
	if !ok {
		return fmt.Sprint(what)
	}
	out := fmt.Sprintf("%s %s %s %v %d", view.Status, view.Method, view.Purpose, view.Fallback, len(view.ID))
	for _, m := range view.Methods {
		out += fmt.Sprintf("\n%s %s %s %s %s %s %d", m.ID, m.Strategy, m.Channel, m.SentTo, m.Ask, m.Status, len(m.Challenge))
	}
	if c := view.Challenge; c != nil {
		out += fmt.Sprintf("\n%s %s %s %d %d %s %s %s %d", c.Status, c.Strategy, c.Ask, c.TriesLeft, c.SendsLeft, c.Delivery.Status, c.ResendAt.Sub(c.CreatedAt), c.ExpiresAt.Sub(c.CreatedAt), len(c.Public))
	}
	return strings.ReplaceAll(out, v.Subject, "subject")
}

// A start, an opening, a status and a wrong answer of a decoy take as long as those of a real subject. It needs an idle machine:
//
//	WATCHWORD_TIMING=1 go test ./internal/enginetest -run DecoyVerificationTakesAsLong
func TestDecoyVerificationTakesAsLongAsARealOne(t *testing.T) {
	if os.Getenv("WATCHWORD_TIMING") == "" {
		t.Skip("measures time: WATCHWORD_TIMING=1")
	}
	k := newVerificationKit(t, withoutBudget)
	var decoys []string
	for n := 0; len(decoys) < 8; n++ {
		req := decoyVerification(fmt.Sprint("nobody ", n), totpMethod, mailMethod)
		if len(k.startVerification(req).Methods) == 2 {
			decoys = append(decoys, req.Subject)
		}
	}
	ctx := context.Background()
	measure := map[string]func(req watchword.VerificationRequest) time.Duration{
		"start": func(req watchword.VerificationRequest) time.Duration {
			began := time.Now()
			k.startVerification(req)
			return time.Since(began)
		},
		"open": func(req watchword.VerificationRequest) time.Duration {
			v := k.startVerification(req)
			began := time.Now()
			_, _ = k.OpenMethod(ctx, v.ID, "m2")
			return time.Since(began)
		},
		"status": func(req watchword.VerificationRequest) time.Duration {
			v := k.startVerification(req)
			began := time.Now()
			_, _ = k.VerificationStatus(ctx, v.ID)
			return time.Since(began)
		},
		"wrong answer": func(req watchword.VerificationRequest) time.Duration {
			v := k.startVerification(req)
			began := time.Now()
			_, _ = k.checkMethod(v.ID, "m1", k.wrongAnswer("totp"), func(r *watchword.VerificationCheck) { r.Subject = req.Subject })
			return time.Since(began)
		},
	}
	for what, f := range measure {
		var a, b []time.Duration
		for n := range 400 {
			k.clock.advance(13 * time.Hour)
			pair := []func(){
				func() { a = append(a, f(verificationOf(totpMethod, mailMethod))) },
				func() { b = append(b, f(decoyVerification(decoys[n/50], totpMethod, mailMethod))) },
			}
			pair[n%2]()
			pair[1-n%2]()
			if n%5 == 4 {
				k.clock.advance(13 * time.Hour)
				if _, err := k.check(k.startChallenge("totp"), k.rightAnswer("totp")); err != nil {
					t.Fatal(err)
				}
			}
		}
		auc, apart := areaUnderCurve(a, b), median(b).Seconds()/median(a).Seconds()-1
		t.Logf("%s: real subject %s, a decoy %s (medians, %+.1f %%), AUC %.3f", what, median(a), median(b), 100*apart, auc)
		if max(auc, 1-auc) > 0.55 || max(apart, -apart) > 0.05 {
			t.Errorf("%s: a decoy can be distinguished", what)
		}
	}
}
