package server_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// TestChallengeLifecycleReturnsDocumentedFields starts, reads, checks and redeems, and compares all fields of each response.
func TestChallengeLifecycleReturnsDocumentedFields(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	started := ts.post("/v1/challenges", `{"strategy":"otp","purpose":"pay","channel":"sms","to":"+14155550123","subject":"user_42","locale":"en",
		"transaction":{"amount":"40.00","payee":"ACME <GmbH>"},"client":{"ip":"203.0.113.7","user_agent":"Mozilla/5.0"},
		"return_url":"https://app.example.com/done","nonce":"n-1","metadata":{"order":"17"},"label":"x","decoy":false}`).want(t, http.StatusCreated, "")
	id := started.stringAt("id")
	requireFields(t, started, "id", "handle", "status", "strategy", "channel", "purpose", "subject", "sent_to", "ask", "public", "created_at", "expires_at",
		"attempts_remaining", "sends_remaining", "resend_at", "delivery", "page_url")
	for name, want := range map[string]any{"status": "pending", "strategy": "otp", "channel": "sms", "purpose": "pay", "subject": "user_42",
		"sent_to": "+•••", "ask": "code", "public": map[string]any{"length": 6.0, "alphabet": "0123456789"}, "created_at": "2026-11-24T12:00:00Z", "expires_at": "2026-11-24T12:10:00Z",
		"attempts_remaining": 5.0, "sends_remaining": 4.0, "resend_at": "2026-11-24T12:00:30Z", "delivery": map[string]any{"status": "queued"}} {
		if !reflect.DeepEqual(started.valueAt(name), want) {
			t.Errorf("%s is %v, want %v", name, started.valueAt(name), want)
		}
	}
	if !strings.HasPrefix(started.stringAt("page_url"), "https://shop.example.com/c/"+id+"#pt_") || !strings.HasPrefix(started.stringAt("handle"), "hd_") {
		t.Errorf("page_url or handle: %s", started.text)
	}

	view := ts.get("/v1/challenges/"+id).want(t, http.StatusOK, "")
	requireFields(t, view, "id", "status", "strategy", "channel", "purpose", "subject", "sent_to", "ask", "created_at", "expires_at", "attempts_remaining",
		"sends_remaining", "resend_at", "delivery")

	code := ts.sentCode("shop", id)
	body := func(answer string) string {
		return `{"purpose":"pay","subject":"user_42","answer":"` + answer + `","transaction":{"payee":"ACME <GmbH>","amount":"40.00"}}`
	}
	r := ts.post("/v1/challenges/"+id+"/check", body(wrongCode(code))).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if r.valueAt("attempts_remaining") != 4.0 {
		t.Errorf("attempts_remaining: %s", r.text)
	}
	approved := ts.post("/v1/challenges/"+id+"/check", body(" "+code[:3]+"-"+code[3:])).want(t, http.StatusOK, "")
	requireFields(t, approved, "status", "receipt", "claims")
	requireReceipt(t, approved)
	if approved.stringAt("status") != "approved" || approved.stringAt("claims", "transaction", "payee") != "ACME <GmbH>" || approved.stringAt("claims", "nonce") != "n-1" {
		t.Errorf("not the claims: %s", approved.text)
	}
	if got := ts.get("/v1/challenges/" + id).stringAt("status"); got != "approved" {
		t.Errorf("status %q", got)
	}
	ts.post("/v1/challenges/"+id+"/check", body(code)).want(t, http.StatusConflict, "challenge_approved")
	ts.post("/v1/challenges/"+id+"/cancel", "").want(t, http.StatusConflict, "challenge_approved")
	ts.post("/v1/challenges/"+id+"/resend", "").want(t, http.StatusConflict, "challenge_approved")

	redeem := func(purpose string) *apiResponse {
		return ts.post("/v1/receipts/redeem", `{"receipt":"`+approved.stringAt("receipt")+`","purpose":"`+purpose+`"}`)
	}
	redeem("sign_in").want(t, http.StatusUnprocessableEntity, "receipt_invalid")
	if r := redeem("pay").want(t, http.StatusOK, ""); !reflect.DeepEqual(r.body, approved.valueAt("claims")) {
		t.Errorf("redeemed %s", r.text)
	}
	redeem("pay").want(t, http.StatusConflict, "receipt_used")
}

// requireFields requires exactly these fields in a response.
func requireFields(t *testing.T, r *apiResponse, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(r.body))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

// requireReceipt requires that the receipt's payload equals the claims of the response.
func requireReceipt(t *testing.T, r *apiResponse) {
	t.Helper()
	parts := strings.Split(r.stringAt("receipt"), ".")
	if len(parts) != 3 {
		t.Fatalf("no receipt: %s", r.text)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(payload, &claims))
	if !reflect.DeepEqual(claims, r.valueAt("claims")) {
		t.Errorf("claims are not the payload:\n%s\n%v", payload, r.valueAt("claims"))
	}
}

// TestReceiptVerifiesWithPublishedKeys uses the Verifier, as apps do.
func TestReceiptVerifiesWithPublishedKeys(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	id := ts.startChallenge()
	approved := ts.checkAnswer(id, ts.sentCode("shop", id)).want(t, http.StatusOK, "")
	keys := ts.get("/.well-known/jwks.json", "Authorization", "").want(t, http.StatusOK, "")
	if list, _ := keys.body["keys"].([]any); len(list) != 1 {
		t.Errorf("key set of two apps with the same signer: %s", keys.text)
	}
	v, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: "https://shop.example.com", Clock: ts.clock.Now,
		Client: &http.Client{Transport: ts}})
	must(t, err)
	if _, err := v.Verify(t.Context(), approved.stringAt("receipt"), receipt.Expect{Purpose: "sign_in", Audience: "shop", Subject: "user_42"}); err != nil {
		t.Error(err)
	}
}

func TestRedeemReturnsReceiptOnceToHandle(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	started := ts.post("/v1/challenges", signInRequest)
	id, handle := started.stringAt("id"), started.stringAt("handle")
	redeem := func(handle, purpose, subject string) *apiResponse {
		return ts.post("/v1/challenges/"+id+"/redeem", `{"handle":"`+handle+`","purpose":"`+purpose+`","subject":"`+subject+`"}`)
	}
	redeem(handle, "sign_in", "user_42").want(t, http.StatusConflict, "not_answered")
	redeem("hd_x", "sign_in", "user_42").want(t, http.StatusNotFound, "unknown_challenge")
	must(t, ts.engines["shop"].Answer(t.Context(), id, watchword.Answer{Text: ts.sentCode("shop", id)}, watchword.Client{}))
	redeem("hd_x", "sign_in", "user_42").want(t, http.StatusNotFound, "unknown_challenge")
	redeem(handle, "mfa", "user_42").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	redeem(handle, "sign_in", "user_43").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	requireReceipt(t, redeem(handle, "sign_in", "user_42").want(t, http.StatusOK, ""))
	redeem(handle, "sign_in", "user_42").want(t, http.StatusConflict, "receipt_used")
}

func TestResendEnforcesCooldownAndLimit(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	id := ts.startChallenge()
	resend := "/v1/challenges/" + id + "/resend"
	ts.clock.advance(100 * time.Millisecond)
	r := ts.post(resend, `{}`).want(t, http.StatusTooManyRequests, "resend_too_soon")
	if got := r.header.Get("Retry-After"); got != "30" { // 29.9 seconds, rounded up
		t.Errorf("Retry-After %q", got)
	}
	for sends, cooldown := 3.0, 30*time.Second; sends >= 0; sends, cooldown = sends-1, 2*cooldown {
		ts.clock.advance(cooldown)
		r := ts.post(resend, `{"channel":"voice"}`).want(t, http.StatusOK, "")
		if r.valueAt("sends_remaining") != sends || r.stringAt("channel") != "voice" || r.stringAt("delivery", "status") != "queued" {
			t.Errorf("after a resend: %s", r.text)
		}
	}
	r = ts.post(resend, "").want(t, http.StatusTooManyRequests, "sends_exhausted")
	if r.header.Get("Retry-After") != "" {
		t.Error("sends_exhausted with Retry-After")
	}
	if n := ts.outbox.count(); n != 5 {
		t.Errorf("%d messages", n)
	}
}

func TestEndedChallengeRejectsAnswers(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	canceled, expired, locked := ts.startChallenge(), ts.startChallenge(), ""
	ts.post("/v1/challenges/"+canceled+"/cancel", `{}`).want(t, http.StatusOK, "")
	if r := ts.post("/v1/challenges/"+canceled+"/cancel", "").want(t, http.StatusOK, ""); r.stringAt("status") != "canceled" {
		t.Errorf("canceled twice: %s", r.text)
	}
	ts.checkAnswer(canceled, "000000").want(t, http.StatusGone, "challenge_canceled")
	ts.clock.advance(10*time.Minute + time.Second)
	ts.checkAnswer(expired, "000000").want(t, http.StatusGone, "challenge_expired")

	locked = ts.startChallenge()
	code := ts.sentCode("shop", locked)
	for left := 4.0; left >= 0; left-- {
		r := ts.checkAnswer(locked, wrongCode(code)).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
		if r.valueAt("attempts_remaining") != left {
			t.Errorf("attempts_remaining: %s", r.text)
		}
	}
	r := ts.checkAnswer(locked, code).want(t, http.StatusGone, "attempts_exhausted")
	if r.stringAt("challenge_status") != "locked" {
		t.Errorf("locked: %s", r.text)
	}
	for id, status := range map[string]string{canceled: "canceled", expired: "expired", locked: "locked"} {
		if got := ts.get("/v1/challenges/" + id).stringAt("status"); got != status {
			t.Errorf("status %q, want %q", got, status)
		}
	}
	next := ts.startChallenge() // the address has reached its failed-attempt limit: only the first try is evaluated
	ts.checkAnswer(next, wrongCode(ts.sentCode("shop", next))).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if r := ts.checkAnswer(next, ts.sentCode("shop", next)).want(t, http.StatusTooManyRequests, "too_many_guesses"); r.header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
}

func TestStartReportsReasonOfRefusedDestination(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	r := ts.post("/v1/challenges", strings.ReplaceAll(signInRequest, "+1415", "+9995")).want(t, http.StatusForbidden, "destination_refused")
	if r.stringAt("reason") != "country" {
		t.Errorf("reason: %s", r.text)
	}
}

func TestDecoyLooksLikeRealChallenge(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	decoy := ts.post("/v1/challenges", strings.Replace(signInRequest, "{", `{"decoy":true,`, 1)).want(t, http.StatusCreated, "")
	requireFields(t, decoy, slices.Collect(maps.Keys(ts.post("/v1/challenges", signInRequest).body))...)
	ts.checkAnswer(decoy.stringAt("id"), "000000").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
}

// TestCheckAcceptsCredentialAndReturnsFactor checks what strategies with keys need: the response to the start has their
// options unchanged, the answer may be an object, and an enrolment returns the factor.
func TestCheckAcceptsCredentialAndReturnsFactor(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{object: true}}})
	start := func(purpose string) *apiResponse {
		return ts.post("/v1/challenges", `{"strategy":"hardware","purpose":"`+purpose+`","subject":"user_42","label":"My key"}`).want(t, http.StatusCreated, "")
	}
	check := func(id, purpose, answer string) *apiResponse {
		return ts.post("/v1/challenges/"+id+"/check", `{"purpose":"`+purpose+`","subject":"user_42","answer": `+answer+` }`)
	}
	mfa := start("mfa")
	requireFields(t, mfa, "id", "handle", "status", "strategy", "purpose", "subject", "ask", "public", "created_at", "expires_at", "attempts_remaining")
	if mfa.stringAt("public", "challenge") != "<AAA>" || mfa.valueAt("public", "timeout") != 300000.0 {
		t.Errorf("public: %s", mfa.text)
	}
	check(mfa.stringAt("id"), "mfa", `{"id":"other"}`).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	requireReceipt(t, check(mfa.stringAt("id"), "mfa", rightCredential).want(t, http.StatusOK, ""))

	enrolled := check(start("enrol").stringAt("id"), "enrol", rightCredential).want(t, http.StatusOK, "")
	requireReceipt(t, enrolled)
	want := map[string]any{"id": "fa_1", "strategy": "hardware", "subject": "user_42", "label": "My key", "status": "active",
		"created_at": "2026-11-24T12:00:00Z", "public": map[string]any{"backed_up": true}}
	if !reflect.DeepEqual(enrolled.valueAt("factor"), want) {
		t.Errorf("factor: %s", enrolled.text)
	}
	if strings.Contains(enrolled.text, base64.StdEncoding.EncodeToString([]byte("a secret"))[:8]) {
		t.Errorf("a factor's secret: %s", enrolled.text)
	}
}
