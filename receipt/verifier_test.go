package receipt_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// expect returns the expectation that claims meets.
func expect() receipt.Expect {
	c := claims()
	return receipt.Expect{
		Purpose: c.Purpose, Audience: c.Audience, Subject: c.Subject, AddressHash: c.AddressHash, Nonce: c.Nonce,
		Transaction: c.Transaction, MaxAge: 2 * time.Second,
	}
}

func TestVerifyRefusesReceiptsForOtherExpectations(t *testing.T) {
	signer := mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: claims().Issuer, JWKS: signer.JWKS(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		claims func(c *watchword.Claims) // changes the receipt
		expect func(e *receipt.Expect)   // changes the expectation
		reason string                    // of the refusal; empty: it is accepted
	}{
		{"all that is expected", nil, nil, ""},
		{"another issuer", func(c *watchword.Claims) { c.Issuer += "/" }, nil, "another issuer"},
		{"another audience", nil, func(e *receipt.Expect) { e.Audience = "bank" }, "for another audience"},
		{"another purpose", nil, func(e *receipt.Expect) { e.Purpose = "sign_in" }, "for another purpose"},
		{"another subject", nil, func(e *receipt.Expect) { e.Subject = "user_43" }, "another subject"},
		{"no subject in the receipt", func(c *watchword.Claims) { c.Subject = "" }, nil, "another subject"},
		{"an address alone is expected", nil, func(e *receipt.Expect) { e.Subject = "" }, "about a subject, and none is expected"},
		{"an address alone", func(c *watchword.Claims) { c.Subject = "" }, func(e *receipt.Expect) { e.Subject = "" }, ""},
		{"a subject alone", nil, func(e *receipt.Expect) { e.AddressHash = "" }, ""},
		{"another address", nil, func(e *receipt.Expect) { e.AddressHash = "hasH" }, "another address"},
		{"no address in the receipt", func(c *watchword.Claims) { c.AddressHash = "" }, nil, "another address"},
		{"any subject", nil, func(e *receipt.Expect) { e.Subject, e.AddressHash, e.AnySubject = "", "", true }, ""},
		{"any subject, but there is none", func(c *watchword.Claims) { c.Subject = "" },
			func(e *receipt.Expect) { e.Subject, e.AddressHash, e.AnySubject = "", "", true }, "about no subject"},
		{"another nonce", nil, func(e *receipt.Expect) { e.Nonce = "n-0S6_WzA2MJ" }, "another nonce"},
		{"no nonce in the receipt", func(c *watchword.Claims) { c.Nonce = "" }, nil, "another nonce"},
		{"no nonce is expected", nil, func(e *receipt.Expect) { e.Nonce = "" }, "another nonce"},
		{"no nonce at all", func(c *watchword.Claims) { c.Nonce = "" }, func(e *receipt.Expect) { e.Nonce = "" }, ""},
		{"another amount", func(c *watchword.Claims) { c.Transaction["amount"] = "4000" }, nil, "about another transaction"},
		{"one thing more", func(c *watchword.Claims) { c.Transaction["currency"] = "EUR" }, nil, "about another transaction"},
		{"no transaction in the receipt", func(c *watchword.Claims) { c.Transaction = nil }, nil, "about another transaction"},
		{"no transaction is expected", nil, func(e *receipt.Expect) { e.Transaction = nil }, "about another transaction"},
		{"no transaction at all", func(c *watchword.Claims) { c.Transaction = nil },
			func(e *receipt.Expect) { e.Transaction = map[string]string{} }, ""},
		{"another assurance", nil, func(e *receipt.Expect) { e.ACR = "phrh" }, "of another assurance"},
		{"no assurance in the receipt", func(c *watchword.Claims) { c.ACR = "" }, func(e *receipt.Expect) { e.ACR = "phr" }, "of another assurance"},
		{"the assurance", nil, func(e *receipt.Expect) { e.ACR = watchword.ACRPhishingResistant }, ""},
		{"any assurance", nil, func(e *receipt.Expect) { e.ACR = "" }, ""},
		{"answered too long ago", func(c *watchword.Claims) { c.AuthTime-- }, nil, "answered too long ago"},
		{"answered long ago, and that is fine", func(c *watchword.Claims) { c.AuthTime -= 600 }, func(e *receipt.Expect) { e.MaxAge = 0 }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, e := claims(), expect()
			if test.claims != nil {
				test.claims(&c)
			}
			if test.expect != nil {
				test.expect(&e)
			}
			got, err := verifier.Verify(t.Context(), mustSign(t, signer, c), e)
			if test.reason == "" {
				if err != nil || got.ID != c.ID {
					t.Fatalf("%+v, %v", got, err)
				}
				return
			}
			if !errors.Is(err, watchword.ErrReceiptInvalid) || err.Error() != "watchword: receipt invalid: "+test.reason {
				t.Errorf("%v; want: %s", err, test.reason)
			}
			if got.ID != "" {
				t.Errorf("gave out %+v", got)
			}
		})
	}
}

func TestVerifyRefusesIncompleteExpectations(t *testing.T) {
	signer := mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: claims().Issuer, JWKS: signer.JWKS(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, field string
		spoil       func(e *receipt.Expect)
	}{
		{"no purpose", "purpose", func(e *receipt.Expect) { e.Purpose = "" }},
		{"no audience", "audience", func(e *receipt.Expect) { e.Audience = "" }},
		{"no subject", "subject", func(e *receipt.Expect) { e.Subject, e.AddressHash = "", "" }},
		{"somebody and anybody", "subject", func(e *receipt.Expect) { e.AnySubject = true }},
	} {
		e := expect()
		test.spoil(&e)
		_, err := verifier.Verify(t.Context(), mustSign(t, signer, claims()), e)
		var problem *watchword.Error
		if !errors.As(err, &problem) || !errors.Is(err, watchword.ErrInvalidRequest) {
			t.Errorf("%s: %v", test.name, err)
		} else if len(problem.Fields) != 1 || problem.Fields[0].Field != test.field {
			t.Errorf("%s: %v", test.name, problem.Fields)
		}
	}
}

func TestNewVerifierRefusesInvalidConfig(t *testing.T) {
	jwks := mustSigner(t, mustKey(t, "k", receipt.EdDSA)).JWKS()
	for name, test := range map[string]struct {
		config receipt.VerifierConfig
		ok     bool
	}{
		"issuer alone":        {receipt.VerifierConfig{Issuer: "https://verify.example.com"}, true},
		"issuer with a slash": {receipt.VerifierConfig{Issuer: "https://verify.example.com/"}, true},
		"keys":                {receipt.VerifierConfig{Issuer: "anything", JWKS: jwks}, true},
		"address":             {receipt.VerifierConfig{Issuer: "anything", JWKSURL: "https://verify.example.com/jwks"}, true},
		"loopback name":       {receipt.VerifierConfig{Issuer: "http://localhost:8080"}, true},
		"loopback v4":         {receipt.VerifierConfig{Issuer: "http://127.0.0.2:8080"}, true},
		"loopback v6":         {receipt.VerifierConfig{Issuer: "http://[::1]:8080"}, true},
		"nothing":             {receipt.VerifierConfig{}, false},
		"no issuer":           {receipt.VerifierConfig{JWKS: jwks}, false},
		"both":                {receipt.VerifierConfig{Issuer: "https://a.example", JWKS: jwks, JWKSURL: "https://a.example"}, false},
		"plain http":          {receipt.VerifierConfig{Issuer: "http://verify.example.com"}, false},
		"almost loopback":     {receipt.VerifierConfig{Issuer: "http://localhost.example.com"}, false},
		"no URL":              {receipt.VerifierConfig{Issuer: "verify.example.com"}, false},
		"a file":              {receipt.VerifierConfig{Issuer: "file:///etc/jwks.json"}, false},
		"no keys":             {receipt.VerifierConfig{Issuer: "https://a.example", JWKS: []byte(`{"keys":[]}`)}, false},
	} {
		if _, err := receipt.NewVerifier(test.config); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
