package webauthn

import (
	"context"
	"crypto/sha256"
	"maps"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// The transaction's hash is part of the signed challenge.
func TestReceiptNamesSignedTransaction(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	pay := map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"}
	start := func(tx map[string]string) startedChallenge {
		return k.start(watchword.StartRequest{Purpose: "payment", Subject: "user_42", Transaction: tx, Seed: []byte("the same challenge, were it not for its transaction")})
	}
	a := start(pay)
	r, err := k.answer(a, d.get(a.options))
	if err != nil {
		t.Fatal(err)
	}
	if r.Claims.Extra["transaction_signed"] != true || !maps.Equal(r.Claims.Transaction, pay) {
		t.Errorf("the receipt says %v of %v", r.Claims.Extra, r.Claims.Transaction)
	}
	if claims := k.mustSignIn("payment", "user_42", d); claims.Extra["transaction_signed"] != nil {
		t.Errorf("without a transaction: %v", claims.Extra)
	}
}

// The hash covers all entries of the transaction and nothing else.
func TestChallengeIncludesTransactionHash(t *testing.T) {
	spied := &spy{}
	k := newKit(t, func(_ *Config, w *watchword.Config) { w.App = "shop" })
	spied.Strategy = k.strategy
	k.config.Strategies = []watchword.Strategy{spied}
	k.Engine = k.newNode()
	k.start(watchword.StartRequest{Purpose: "payment", Subject: "user_42", Transaction: map[string]string{"amount": "40.00", "payee": "ACME"}})
	seen := map[string]string{}
	for name, tx := range map[string]map[string]string{
		"none":               nil,
		"as it was":          {"amount": "40.00", "payee": "ACME"},
		"another amount":     {"amount": "40.01", "payee": "ACME"},
		"another payee":      {"amount": "40.00", "payee": "ACMF"},
		"another name":       {"amounT": "40.00", "payee": "ACME"},
		"one more":           {"amount": "40.00", "payee": "ACME", "x": ""},
		"moved":              {"amount": "40.00payee", "": "ACME"},
		"one less":           {"amount": "40.00"},
		"split otherwise":    {"amount": "40.00", "paye": "eACME"},
		"values interchange": {"amount": "ACME", "payee": "40.00"},
	} {
		c := spied.challenge
		c.Transaction = tx
		derived := k.strategy.encodeChallenge(&c)
		if other, twice := seen[derived]; twice {
			t.Errorf("%s and %s sign the same", name, other)
		}
		seen[derived] = name
	}
	if seen[k.strategy.encodeChallenge(&spied.challenge)] != "as it was" {
		t.Error("the challenge is not always the same")
	}
	entries := sha256.Sum256(appendLengthPrefixed(nil, "amount", "40.00", "payee", "ACME"))
	sum := sha256.Sum256(append(spied.challenge.DeriveBytes("webauthn", 32), entries[:]...))
	if seen[b64.EncodeToString(sum[:])] != "as it was" {
		t.Error("the hash of the transaction is not in the challenge")
	}
}

// A spy records the challenge that a strategy receives.
type spy struct {
	*Strategy
	challenge watchword.Challenge
}

func (s *spy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	s.challenge = *c
	return s.Strategy.Begin(ctx, c)
}

// Each answer updates the time of the last use.
func TestCheckUpdatesLastUse(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	f := k.enrol("user_42", d)
	k.advance(90 * 24 * time.Hour)
	k.mustSignIn("sign_in", "user_42", d)
	got, err := k.GetFactor(context.Background(), f.ID)
	if err != nil || !got.LastUsedAt.Equal(k.time()) {
		t.Errorf("last used %s, %v", got.LastUsedAt, err)
	}
}
