package enginetest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

// verificationKit is a factorKit with links, whose subject has enrolled an authenticator app, a token and recovery codes.
type verificationKit struct{ *factorKit }

func newVerificationKit(t *testing.T, options ...func(*watchword.Config)) *verificationKit {
	t.Helper()
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &verificationKit{newFactorKit(t, append([]func(*watchword.Config){func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, links)
	}}, options...)...)}
}

// The methods of most tests, with the ids that they get.
var (
	totpMethod     = watchword.MethodRequest{Strategy: "totp"}
	recoveryMethod = watchword.MethodRequest{Strategy: "recovery"}
	smsMethod      = watchword.MethodRequest{Strategy: "otp", Channel: "sms", To: alicePhone}
	mailMethod     = watchword.MethodRequest{Strategy: "otp", Channel: "email", To: alice}
	linkMethod     = watchword.MethodRequest{Strategy: "magiclink", To: alice}
)

// verificationOf asks for an authenticator app (m1), a text message (m2), a mail (m3), recovery codes (m4) and a link (m5).
func verificationOf(methods ...watchword.MethodRequest) watchword.VerificationRequest {
	if len(methods) == 0 {
		methods = []watchword.MethodRequest{totpMethod, smsMethod, mailMethod, recoveryMethod, linkMethod}
	}
	return watchword.VerificationRequest{Purpose: "sign_in", Subject: subject, Methods: methods}
}

func (k *verificationKit) startVerification(req watchword.VerificationRequest) *watchword.StartedVerification {
	k.t.Helper()
	v, err := k.StartVerification(context.Background(), req)
	if err != nil {
		k.t.Fatalf("start: %v", err)
	}
	return v
}

// open opens a method and returns its challenge.
func (k *verificationKit) open(id, method string) string {
	k.t.Helper()
	v, err := k.OpenMethod(context.Background(), id, method)
	if err != nil {
		k.t.Fatalf("open %s: %v", method, err)
	}
	if v.Method != method || v.Challenge == nil || v.Challenge.Status != watchword.Pending || v.Challenge.Verification != id {
		k.t.Fatalf("opened %s: %+v", method, v)
	}
	return v.Challenge.ID
}

// checkMethod answers a method as the app's backend.
func checkMethod(e *watchword.Engine, id, method, answer string, change ...func(*watchword.VerificationCheck)) (*watchword.VerificationResult, error) {
	req := watchword.VerificationCheck{Method: method, CheckRequest: watchword.CheckRequest{Purpose: "sign_in", Subject: subject, Answer: watchword.Answer{Text: answer}}}
	for _, c := range change {
		c(&req)
	}
	return e.CheckVerification(context.Background(), id, req)
}

func (k *verificationKit) checkMethod(id, method, answer string, change ...func(*watchword.VerificationCheck)) (*watchword.VerificationResult, error) {
	return checkMethod(k.Engine, id, method, answer, change...)
}

func (k *verificationKit) redeem(v *watchword.StartedVerification, change ...func(*watchword.RedeemRequest)) (*watchword.VerificationResult, error) {
	req := watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject}
	for _, c := range change {
		c(&req)
	}
	return k.RedeemVerification(context.Background(), v.ID, req)
}

func (k *verificationKit) view(id string) watchword.VerificationView {
	k.t.Helper()
	v, err := k.VerificationStatus(context.Background(), id)
	if err != nil {
		k.t.Fatalf("status: %v", err)
	}
	return v
}

// awaitChallenge waits until a challenge has the status, which the engine changes in the background.
func (k *verificationKit) awaitChallenge(id string, want watchword.Status) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if v, err := k.Wait(ctx, id); err != nil || v.Status != want {
		k.t.Fatalf("challenge is %s, %v; want %s", v.Status, err, want)
	}
}

// awaitClosed waits until an entry is closed, which may happen after the answer.
func (k *kit) awaitClosed(entryID string) {
	k.t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if e, err := k.store.Get(context.Background(), entryID); err == nil && e.State != watchword.StatePending {
			return
		}
	}
	k.t.Fatal("the entry is not closed")
}

// afterAttemptStore calls run after an answer has approved a challenge.
type afterAttemptStore struct {
	watchword.Store
	run func()
}

func (s *afterAttemptStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	e, err := s.Store.Attempt(ctx, id, g, b)
	if err == nil {
		s.run()
	}
	return e, err
}

func methodIDs(v watchword.VerificationView) (out []string) {
	for _, m := range v.Methods {
		out = append(out, m.ID)
	}
	return out
}

func (k *verificationKit) requireMethods(v watchword.VerificationView, want ...string) {
	k.t.Helper()
	if got := methodIDs(v); !slices.Equal(got, want) {
		k.t.Fatalf("offers %v, want %v", got, want)
	}
}
