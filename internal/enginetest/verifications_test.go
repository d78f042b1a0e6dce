package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestVerificationIsApprovedByOneOfItsMethods(t *testing.T) {
	k := newVerificationKit(t)
	req := verificationOf()
	req.Nonce, req.Transaction = "n1", map[string]string{"amount": "40.00"}
	v := k.startVerification(req)
	k.requireMethods(v.VerificationView, "m1", "m2", "m3", "m4", "m5")
	if v.Method != "m1" || v.Challenge == nil || v.Challenge.Ask != watchword.AskCode || v.Status != watchword.Pending || v.Methods[1].SentTo == "" || v.Methods[4].Ask != watchword.AskLink {
		t.Fatalf("started %+v", v.VerificationView)
	}
	authenticator := v.Challenge.ID
	sms := k.open(v.ID, "m2")
	link := k.open(v.ID, "m5")
	k.clock.advance(10 * time.Second)
	result, err := k.checkMethod(v.ID, "m2", k.code(sms))
	if err != nil {
		t.Fatal(err)
	}
	c := result.Claims
	if result.Method != "m2" || c.ID != sms || c.Verification != v.ID || c.Strategy != "otp" || c.Channel != "sms" || c.Nonce != "n1" || c.Subject != subject ||
		c.Transaction["amount"] != "40.00" || c.AuthTime != k.clock.Now().Unix() || c.ExpiresAt-c.IssuedAt != 300 || !slices.Equal(c.AMR, []string{"otp", "sms"}) {
		t.Errorf("claims %+v", c)
	}
	k.awaitChallenge(authenticator, watchword.Canceled)
	k.awaitChallenge(link, watchword.Canceled)
	view := k.view(v.ID)
	if view.Status != watchword.Approved {
		t.Errorf("status %s", view.Status)
	}
	for i, want := range []watchword.Status{watchword.Canceled, watchword.Approved, "", "", watchword.Canceled} {
		if got := view.Methods[i].Status; got != want {
			t.Errorf("status of method %d: %s, want %s", i+1, got, want)
		}
	}
	for _, method := range []string{"m1", "m2", "m5", ""} {
		_, err := k.checkMethod(v.ID, method, "123456")
		k.requireCode(err, watchword.ErrChallengeApproved)
	}
	_, err = k.redeem(v)
	k.requireCode(err, watchword.ErrReceiptUsed)
	if err := k.RedeemReceipt(context.Background(), *c, "sign_in", nil); err != nil {
		t.Errorf("the receipt: %v", err)
	}
	if err := k.RedeemReceipt(context.Background(), *c, "sign_in", nil); !errors.Is(err, watchword.ErrReceiptUsed) {
		t.Errorf("the receipt again: %v", err)
	}
	approved := k.events.ofType(watchword.EventVerificationApproved)
	if len(approved) != 1 || approved[0].Verification != v.ID || approved[0].ChallengeID != sms || approved[0].Channel != "sms" || approved[0].Prefix != "+1415" {
		t.Errorf("events of the approval: %+v", approved)
	}
	for _, ev := range k.events.ofType(watchword.EventApproved) {
		if ev.Verification != "" {
			t.Errorf("event of a challenge that is part of a verification: %+v", ev)
		}
	}
}
