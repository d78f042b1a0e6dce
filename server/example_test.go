package server_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// A program with its own HTTP server mounts watchword under a path.
func Example() {
	secret := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) } // in production: 32 random bytes from a file
	key, _ := watchword.NewKey("2026-11", secret(1))
	identity, _ := watchword.NewKey("identity", secret(2))
	codes, _ := otp.New(otp.Config{})
	const publicURL = "https://www.example.com/verify"
	engine, err := watchword.New(watchword.Config{App: "shop", Issuer: publicURL, Keys: []watchword.Key{key}, Identity: identity,
		Store: memory.New(memory.Config{}), Outbox: &outbox{}, Strategies: []watchword.Strategy{codes}, Addresses: acceptAnyAddress, Channels: []string{"sms"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	signing, _ := receipt.GenerateKey("2026-11", receipt.EdDSA)
	signer, _ := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{signing}})

	verify, err := server.New(server.Config{Apps: []server.App{{
		Engine: engine, Signer: signer, PublicURL: publicURL,
		Keys: []server.APIKey{{SHA256: sha256.Sum256([]byte("the app's key")), Scopes: []string{server.ScopeChallenges}}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/verify/", http.StripPrefix("/verify", verify))

	r := httptest.NewRequest(http.MethodPost, "/verify/v1/challenges", strings.NewReader(`{"strategy":"otp","purpose":"sign_in","channel":"sms"}`))
	r.Header.Set("Authorization", "Bearer the app's key")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output:
	// {"type":"https://www.example.com/verify/problems/invalid_request","title":"The request is not valid","status":400,"code":"invalid_request","errors":[{"field":"to","reason":"is required"}]}
}
