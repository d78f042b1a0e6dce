package enginetest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestRedeemReturnsReceiptOnceForTheHandle(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(startByEmail())
	redeem := func(e *watchword.Engine, handle string) error {
		r, err := e.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: handle, Purpose: "sign_in", Subject: subject})
		if err == nil && r.Claims.Subject != subject {
			t.Errorf("claims: %+v", r.Claims)
		}
		return err
	}
	k.requireCode(redeem(k.Engine, s.Handle.Reveal()), watchword.ErrNotAnswered)
	if err := k.Answer(ctx, s.ID, watchword.Answer{Text: k.code(s.ID)}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	k.requireCode(redeem(k.Engine, "hd_wrong"), watchword.ErrUnknownChallenge)
	k.requireCode(redeem(k.Engine, ""), watchword.ErrUnknownChallenge)
	_, err := k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "mfa", Subject: subject})
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	_, err = k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: "user_43"})
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	_, err = k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in"})
	k.requireCode(err, watchword.ErrInvalidRequest)
	nodes := []*watchword.Engine{k.Engine, k.newNode(), k.newNode()}
	got := runConcurrently(60, func(i int) error { return redeem(nodes[i%3], s.Handle.Reveal()) })
	if got[""] != 1 || got["receipt_used"] != 59 {
		t.Fatalf("outcomes: %v", got)
	}
}

func TestCheckCollectsReceiptItReturns(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*watchword.Engine{k.Engine, k.newNode()} {
		_, err := e.Redeem(context.Background(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		k.requireCode(err, watchword.ErrReceiptUsed)
	}
}

func TestRedeemReceiptSpendsReceiptOnce(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(startByEmail())
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	k.requireCode(k.RedeemReceipt(ctx, *r.Claims, "mfa", nil), watchword.ErrReceiptInvalid)
	pending := k.start(startByEmail())
	forged := *r.Claims
	forged.ID = pending.ID
	k.requireCode(k.RedeemReceipt(ctx, forged, "sign_in", nil), watchword.ErrReceiptInvalid)
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	got := runConcurrently(60, func(i int) error { return nodes[i%2].RedeemReceipt(ctx, *r.Claims, "sign_in", nil) })
	if got[""] != 1 || got["receipt_used"] != 59 {
		t.Fatalf("outcomes: %v", got)
	}
	k.clock.advance(26 * time.Minute)
	k.requireCode(k.newNode().RedeemReceipt(ctx, *r.Claims, "sign_in", nil), watchword.ErrReceiptInvalid)
}

// Two deployments may share a signing key, so a valid signature alone does not identify the issuer.
func TestRedeemReceiptRejectsAnotherIssuerOrAudience(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	s := k.start(startByEmail())
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*watchword.Claims){
		"another issuer":                 func(c *watchword.Claims) { c.Issuer = "https://staging.example.com" },
		"an issuer spelled with a slash": func(c *watchword.Claims) { c.Issuer += "/" },
		"no issuer":                      func(c *watchword.Claims) { c.Issuer = "" },
		"another audience":               func(c *watchword.Claims) { c.Audience = "bank" },
	} {
		claims := *r.Claims
		change(&claims)
		if err := k.RedeemReceipt(ctx, claims, "sign_in", nil); !errors.Is(err, watchword.ErrReceiptInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.RedeemReceipt(ctx, *r.Claims, "sign_in", nil); err != nil {
		t.Errorf("its own receipt, after the others: %v", err)
	}
}

func TestAddressHashIsHMACUnderAddressKey(t *testing.T) {
	k := newKit(t)
	key, err := base64.RawURLEncoding.DecodeString(k.AddressKey().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(alice))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); k.AddressHash(alice) != want {
		t.Fatalf("%s, want %s", k.AddressHash(alice), want)
	}
	if k.AddressHash(alice) == k.newNode(func(c *watchword.Config) { c.App = "bank" }).AddressHash(alice) {
		t.Fatal("two apps can match their users")
	}
}

func TestRedeemCollectsChallengeWithoutSubject(t *testing.T) {
	ctx := context.Background()
	l := &scriptedVerifier{verify: func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		return watchword.Proof{Subject: "owner"}, nil
	}}
	k := newKit(t, func(c *watchword.Config) { c.Strategies = append(c.Strategies, l) })
	s := k.start(watchword.StartRequest{Strategy: "scripted", Purpose: "sign_in"})
	if err := k.Answer(ctx, s.ID, watchword.Answer{Text: "x"}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	r, err := k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in"})
	if err != nil || r.Claims.Subject != "owner" {
		t.Fatalf("%+v %v", r, err)
	}
}
