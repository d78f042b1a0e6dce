package receipt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// The app "shop" asked user_42 to verify before a password reset, received a receipt, and verifies it.
func ExampleVerifier() {
	server, token := serverWithReceipt() // the watchword server, and what its "check" answered
	defer server.Close()
	ctx := context.Background()

	// Create the Verifier once, when the app starts. The issuer is the server's public URL. Keys are fetched when they are
	// needed.
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: server.URL})
	if err != nil {
		log.Fatal(err)
	}

	// Expect what the app stored in its own session, never what the browser sends.
	claims, err := verifier.Verify(ctx, token, receipt.Expect{
		Purpose:  "password_reset",
		Audience: "shop",
		Subject:  "user_42",
		Nonce:    "session-7f3a",
		MaxAge:   5 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("proven by", claims.Strategy, "over", claims.Channel)

	// The same receipt is refused for another purpose.
	_, err = verifier.Verify(ctx, token, receipt.Expect{
		Purpose:  "sign_in",
		Audience: "shop",
		Subject:  "user_42",
		Nonce:    "session-7f3a",
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, watchword.ErrReceiptInvalid))

	// Output:
	// proven by otp over sms
	// watchword: receipt invalid: for another purpose
	// true
}

// A payment is approved for one amount and one payee. The app compares the receipt's transaction with the payment that it is
// about to make.
func ExampleExpect_transaction() {
	signer, err := newSigner()
	if err != nil {
		log.Fatal(err)
	}
	ctx, now := context.Background(), time.Now().Unix()
	token, err := signer.Sign(ctx, watchword.Claims{
		Issuer: "https://verify.example.com", Audience: "shop", Subject: "user_42", ID: "ch_2",
		IssuedAt: now, ExpiresAt: now + 300, AuthTime: now, Purpose: "payment", Strategy: "totp", AMR: []string{"otp"},
		Transaction: map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"},
	})
	if err != nil {
		log.Fatal(err)
	}

	// If the app runs in the server's process, the keys need not be fetched.
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: "https://verify.example.com", JWKS: signer.JWKS()})
	if err != nil {
		log.Fatal(err)
	}
	for _, amount := range []string{"40.00", "4000.00"} {
		_, err := verifier.Verify(ctx, token, receipt.Expect{
			Purpose: "payment", Audience: "shop", Subject: "user_42",
			Transaction: map[string]string{"amount": amount, "currency": "EUR", "payee": "ACME GmbH"},
		})
		fmt.Println(amount, err)
	}

	// Output:
	// 40.00 <nil>
	// 4000.00 watchword: receipt invalid: about another transaction
}

// To rotate keys without an interruption, publish the next key before it signs, and keep the previous one a while to verify.
func ExampleNewSigner_rotation() {
	var keys []receipt.Key
	for _, kid := range []string{"2026-11", "2026-12"} {
		key, err := receipt.GenerateKey(kid, receipt.EdDSA) // or ParseKey, from the file that Key.PEM was written to
		if err != nil {
			log.Fatal(err)
		}
		keys = append(keys, key)
	}
	november, december := keys[0], keys[1]
	for _, step := range [][]receipt.Key{
		{november},           // one key
		{november, december}, // the next one is published; wait an hour
		{december, november}, // it signs; receipts of the last one are still valid; wait ten minutes
		{december},           // the last one is removed
	} {
		signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: step})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(step[0], "signs,", len(step), "published,", len(signer.JWKS()) > 0)
	}

	// Output:
	// receipt key "2026-11" signs, 1 published, true
	// receipt key "2026-11" signs, 2 published, true
	// receipt key "2026-12" signs, 2 published, true
	// receipt key "2026-12" signs, 1 published, true
}

func newSigner() (*receipt.Signer, error) {
	key, err := receipt.GenerateKey("2026-11", receipt.EdDSA)
	if err != nil {
		return nil, err
	}
	return receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{key}})
}

// serverWithReceipt starts a server that publishes the keys of one receipt.
func serverWithReceipt() (*httptest.Server, string) {
	signer, err := newSigner()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(signer.JWKS())
	})
	server := httptest.NewServer(mux)
	now := time.Now().Unix()
	token, err := signer.Sign(context.Background(), watchword.Claims{
		Issuer: server.URL, Audience: "shop", Subject: "user_42", ID: "ch_1", IssuedAt: now, ExpiresAt: now + 300,
		AuthTime: now, Purpose: "password_reset", Strategy: "otp", Channel: "sms", AMR: []string{"otp", "sms"},
		SentTo: "+1 ••• ••• ••23", Nonce: "session-7f3a",
	})
	if err != nil {
		log.Fatal(err)
	}
	return server, token
}
