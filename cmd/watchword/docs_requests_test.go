package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

const exampleKey = "the key of this example"

// newExampleServer returns a server with one app that has every strategy and sends nothing.
func newExampleServer(t *testing.T) http.Handler {
	t.Helper()
	_, _, s := newExampleApp(t)
	return s
}

// newExampleApp returns that server with its engine and with the queue in which its messages wait.
func newExampleApp(t *testing.T) (*watchword.Engine, *delivery.Queue, http.Handler) {
	t.Helper()
	codes, errCodes := otp.New(otp.Config{})
	links, errLinks := magiclink.New(magiclink.Config{})
	apps, errApps := totp.New(totp.Config{Issuer: "Shop"})
	tokens, errTokens := totp.NewHOTP(totp.HOTPConfig{Issuer: "Shop"})
	passkeys, errPasskeys := webauthn.New(webauthn.Config{RPID: "example.com", RPName: "Shop", Origins: []string{"https://example.com"},
		Secret: watchword.NewCode(rand.Text() + rand.Text())})
	addresses, errAddresses := delivery.NewAddressPolicy(delivery.Addresses{})
	signing, errSigning := receipt.GenerateKey("1", receipt.EdDSA)
	signer, errSigner := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{signing}})
	ring, errRing := watchword.NewKey("1", []byte(rand.Text()+rand.Text()))
	identity, errIdentity := watchword.NewKey("identity", []byte(rand.Text()+rand.Text()))
	err := errors.Join(errCodes, errLinks, errApps, errTokens, errPasskeys, errAddresses, errSigning, errSigner, errRing, errIdentity)
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://verify.example.com"
	queue := delivery.NewQueue(1000, nil)
	engine, err := watchword.New(watchword.Config{App: "shop", Issuer: url, Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Outbox: queue,
		Strategies: []watchword.Strategy{codes, links, apps, tokens, recovery.New(), passkeys},
		Addresses:  addresses, Channels: []string{"email", "sms", "voice"}, ReturnOrigins: []string{"http://localhost:3000", "https://app.example.com", "https://shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Apps: []server.App{{Engine: engine, Signer: signer, PublicURL: url,
		Keys: []server.APIKey{{SHA256: sha256.Sum256([]byte(exampleKey)), Scopes: []string{server.ScopeChallenges, server.ScopeFactors}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return engine, queue, s
}

// ask sends a request to the server, with its key.
func ask(s http.Handler, method, path, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+exampleKey)
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return recorder
}

// get returns the body of an answer.
func get(t *testing.T, path string) []byte {
	t.Helper()
	answer := ask(newExampleServer(t), http.MethodGet, path, "")
	if answer.Code != http.StatusOK {
		t.Fatalf("GET %s: %d", path, answer.Code)
	}
	return answer.Body.Bytes()
}

// Every request that the documents show is one that the server reads: no name is misspelled or missing, no value refused.
func TestRequestsOfTheDocumentsAreAccepted(t *testing.T) {
	s := newExampleServer(t)
	requests := 0
	for page, text := range documents(t) {
		for _, body := range jsonObjects(text) {
			path, expected := requestOf(body)
			if path == "" {
				continue
			}
			requests++
			if answer := ask(s, http.MethodPost, path, body); answer.Code != expected && !strings.Contains(answer.Body.String(), `"not_enrolled"`) {
				t.Errorf("%s: %s is answered %d: %s", page, body, answer.Code, answer.Body)
			}
		}
	}
	if requests < 25 {
		t.Errorf("only %d requests were found", requests)
	}
}

// jsonObjects lists the blocks of JSON, the bodies of curl and the objects within sentences. Variables of the shell have a value.
func jsonObjects(text string) (found []string) {
	text = regexp.MustCompile(`"'\$[A-Z]+'"`).ReplaceAllString(text, `"492039"`)
	for _, pattern := range []string{"(?s)```json\n(.*?)```", "(?s)-d '(\\{.*?\\})'", "`(\\{\"[^`\n]*\\})`"} {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, strings.TrimSpace(m[1]))
		}
	}
	return found
}

// requestOf returns the path that an object is posted to, by its members, and the status of its answer; empty if it is no request. The
// challenge that is checked or redeemed does not exist.
func requestOf(body string) (path string, status int) {
	var members map[string]any
	if json.Unmarshal([]byte(body), &members) != nil || members["purpose"] == nil || members["id"] != nil || members["status"] != nil {
		return "", 0
	}
	switch {
	case members["methods"] != nil:
		return "/v1/verifications", http.StatusCreated
	case members["answer"] != nil && members["method"] != nil:
		return "/v1/verifications/vf_none/check", http.StatusNotFound
	case members["answer"] != nil:
		return "/v1/challenges/ch_none/check", http.StatusNotFound
	case members["handle"] != nil:
		return "/v1/challenges/ch_none/redeem", http.StatusNotFound
	case members["strategy"] != nil && members["jti"] == nil:
		return "/v1/challenges", http.StatusCreated
	}
	return "", 0
}
