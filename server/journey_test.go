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

// TestAChallengeFromStartToReceipt walks the whole way and looks at every name of every answer.
func TestAChallengeFromStartToReceipt(t *testing.T) {
	b := newBench(t, options{})
	started := b.post("/v1/challenges", `{"strategy":"otp","purpose":"pay","channel":"sms","to":"+14155550123","subject":"user_42","locale":"en",
		"transaction":{"amount":"40.00","payee":"ACME <GmbH>"},"client":{"ip":"203.0.113.7","user_agent":"Mozilla/5.0"},
		"return_url":"https://app.example.com/done","nonce":"n-1","metadata":{"order":"17"},"label":"x","decoy":false}`).want(t, http.StatusCreated, "")
	id := started.str("id")
	names(t, started, "id", "handle", "status", "strategy", "channel", "purpose", "subject", "sent_to", "ask", "public", "created_at", "expires_at",
		"attempts_remaining", "sends_remaining", "resend_at", "delivery", "page_url")
	for name, want := range map[string]any{"status": "pending", "strategy": "otp", "channel": "sms", "purpose": "pay", "subject": "user_42",
		"sent_to": "+•••", "ask": "code", "public": map[string]any{}, "created_at": "2026-11-24T12:00:00Z", "expires_at": "2026-11-24T12:10:00Z",
		"attempts_remaining": 5.0, "sends_remaining": 4.0, "resend_at": "2026-11-24T12:00:30Z", "delivery": map[string]any{"status": "queued"}} {
		if !reflect.DeepEqual(started.at(name), want) {
			t.Errorf("%s is %v, want %v", name, started.at(name), want)
		}
	}
	if !strings.HasPrefix(started.str("page_url"), "https://shop.example.com/c/"+id+"#pt_") || !strings.HasPrefix(started.str("handle"), "hd_") {
		t.Errorf("page_url or handle: %s", started.text)
	}

	view := b.get("/v1/challenges/"+id).want(t, http.StatusOK, "")
	names(t, view, "id", "status", "strategy", "channel", "purpose", "subject", "sent_to", "ask", "created_at", "expires_at", "attempts_remaining",
		"sends_remaining", "resend_at", "delivery")

	code := b.code("shop", id)
	body := func(answer string) string {
		return `{"purpose":"pay","subject":"user_42","answer":"` + answer + `","transaction":{"payee":"ACME <GmbH>","amount":"40.00"}}`
	}
	r := b.post("/v1/challenges/"+id+"/check", body(wrong(code))).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if r.at("attempts_remaining") != 4.0 {
		t.Errorf("attempts_remaining: %s", r.text)
	}
	approved := b.post("/v1/challenges/"+id+"/check", body(" "+code[:3]+"-"+code[3:])).want(t, http.StatusOK, "")
	names(t, approved, "status", "receipt", "claims")
	isReceipt(t, approved)
	if approved.str("status") != "approved" || approved.str("claims", "transaction", "payee") != "ACME <GmbH>" || approved.str("claims", "nonce") != "n-1" {
		t.Errorf("not the claims: %s", approved.text)
	}
	if got := b.get("/v1/challenges/" + id).str("status"); got != "approved" {
		t.Errorf("status %q", got)
	}
	b.post("/v1/challenges/"+id+"/check", body(code)).want(t, http.StatusConflict, "challenge_approved")
	b.post("/v1/challenges/"+id+"/cancel", "").want(t, http.StatusConflict, "challenge_approved")
	b.post("/v1/challenges/"+id+"/resend", "").want(t, http.StatusConflict, "challenge_approved")

	redeem := func(purpose string) *reply {
		return b.post("/v1/receipts/redeem", `{"receipt":"`+approved.str("receipt")+`","purpose":"`+purpose+`"}`)
	}
	redeem("sign_in").want(t, http.StatusUnprocessableEntity, "receipt_invalid")
	if r := redeem("pay").want(t, http.StatusOK, ""); !reflect.DeepEqual(r.body, approved.at("claims")) {
		t.Errorf("redeemed %s", r.text)
	}
	redeem("pay").want(t, http.StatusConflict, "receipt_used")
}

// names wants exactly these in an answer.
func names(t *testing.T, r *reply, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(r.body))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

// isReceipt compares the receipt's payload with the claims beside it.
func isReceipt(t *testing.T, r *reply) {
	t.Helper()
	parts := strings.Split(r.str("receipt"), ".")
	if len(parts) != 3 {
		t.Fatalf("no receipt: %s", r.text)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(payload, &claims))
	if !reflect.DeepEqual(claims, r.at("claims")) {
		t.Errorf("claims are not the payload:\n%s\n%v", payload, r.at("claims"))
	}
}

// TestReceiptsVerifyWithThePublishedKeys uses what an app would use.
func TestReceiptsVerifyWithThePublishedKeys(t *testing.T) {
	b := newBench(t, options{})
	id := b.start()
	approved := b.check(id, b.code("shop", id)).want(t, http.StatusOK, "")
	keys := b.get("/.well-known/jwks.json", "Authorization", "").want(t, http.StatusOK, "")
	if list, _ := keys.body["keys"].([]any); len(list) != 1 {
		t.Errorf("two apps with one signer publish %s", keys.text)
	}
	v, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: "https://shop.example.com", Clock: b.clock.Now,
		Client: &http.Client{Transport: b}})
	must(t, err)
	if _, err := v.Verify(t.Context(), approved.str("receipt"), receipt.Expectation{Purpose: "sign_in", Audience: "shop", Subject: "user_42"}); err != nil {
		t.Error(err)
	}
}

func TestAnsweredOnAPageAndCollectedByTheStarter(t *testing.T) {
	b := newBench(t, options{})
	started := b.post("/v1/challenges", signIn)
	id, handle := started.str("id"), started.str("handle")
	redeem := func(handle, purpose, subject string) *reply {
		return b.post("/v1/challenges/"+id+"/redeem", `{"handle":"`+handle+`","purpose":"`+purpose+`","subject":"`+subject+`"}`)
	}
	redeem(handle, "sign_in", "user_42").want(t, http.StatusConflict, "not_answered")
	redeem("hd_x", "sign_in", "user_42").want(t, http.StatusNotFound, "unknown_challenge")
	must(t, b.engines["shop"].Answer(t.Context(), id, watchword.Answer{Text: b.code("shop", id)}, watchword.Client{}))
	redeem("hd_x", "sign_in", "user_42").want(t, http.StatusNotFound, "unknown_challenge")
	redeem(handle, "mfa", "user_42").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	redeem(handle, "sign_in", "user_43").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	isReceipt(t, redeem(handle, "sign_in", "user_42").want(t, http.StatusOK, ""))
	redeem(handle, "sign_in", "user_42").want(t, http.StatusConflict, "receipt_used")
}

func TestResend(t *testing.T) {
	b := newBench(t, options{})
	id := b.start()
	resend := "/v1/challenges/" + id + "/resend"
	b.clock.move(100 * time.Millisecond)
	r := b.post(resend, `{}`).want(t, http.StatusTooManyRequests, "resend_too_soon")
	if got := r.header.Get("Retry-After"); got != "30" { // 29.9 seconds, rounded up
		t.Errorf("Retry-After %q", got)
	}
	for sends, cooldown := 3.0, 30*time.Second; sends >= 0; sends, cooldown = sends-1, 2*cooldown {
		b.clock.move(cooldown)
		r := b.post(resend, `{"channel":"voice"}`).want(t, http.StatusOK, "")
		if r.at("sends_remaining") != sends || r.str("channel") != "voice" || r.str("delivery", "status") != "queued" {
			t.Errorf("after a resend: %s", r.text)
		}
	}
	r = b.post(resend, "").want(t, http.StatusTooManyRequests, "sends_exhausted")
	if r.header.Get("Retry-After") != "" {
		t.Error("sends_exhausted with Retry-After")
	}
	if n := b.outbox.count(); n != 5 {
		t.Errorf("%d messages", n)
	}
}

func TestHowAChallengeEnds(t *testing.T) {
	b := newBench(t, options{})
	canceled, expired, locked := b.start(), b.start(), ""
	b.post("/v1/challenges/"+canceled+"/cancel", `{}`).want(t, http.StatusOK, "")
	if r := b.post("/v1/challenges/"+canceled+"/cancel", "").want(t, http.StatusOK, ""); r.str("status") != "canceled" {
		t.Errorf("canceled twice: %s", r.text)
	}
	b.check(canceled, "000000").want(t, http.StatusGone, "challenge_canceled")
	b.clock.move(10*time.Minute + time.Second)
	b.check(expired, "000000").want(t, http.StatusGone, "challenge_expired")

	locked = b.start()
	code := b.code("shop", locked)
	for left := 4.0; left >= 0; left-- {
		r := b.check(locked, wrong(code)).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
		if r.at("attempts_remaining") != left {
			t.Errorf("attempts_remaining: %s", r.text)
		}
	}
	r := b.check(locked, code).want(t, http.StatusGone, "attempts_exhausted")
	if r.str("challenge_status") != "locked" {
		t.Errorf("locked: %s", r.text)
	}
	for id, status := range map[string]string{canceled: "canceled", expired: "expired", locked: "locked"} {
		if got := b.get("/v1/challenges/" + id).str("status"); got != status {
			t.Errorf("status %q, want %q", got, status)
		}
	}
	next := b.start() // the budget of the address is spent: the first try is judged, the second is not
	b.check(next, wrong(b.code("shop", next))).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if r := b.check(next, b.code("shop", next)).want(t, http.StatusTooManyRequests, "too_many_guesses"); r.header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
}

func TestRefusedDestination(t *testing.T) {
	b := newBench(t, options{})
	r := b.post("/v1/challenges", strings.ReplaceAll(signIn, "+1415", "+9995")).want(t, http.StatusForbidden, "destination_refused")
	if r.str("reason") != "country" {
		t.Errorf("reason: %s", r.text)
	}
}

func TestDecoysLookLikeTheOthers(t *testing.T) {
	b := newBench(t, options{})
	decoy := b.post("/v1/challenges", strings.Replace(signIn, "{", `{"decoy":true,`, 1)).want(t, http.StatusCreated, "")
	names(t, decoy, slices.Collect(maps.Keys(b.post("/v1/challenges", signIn).body))...)
	b.check(decoy.str("id"), "000000").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
}

// TestObjectsAndFactors has what a strategy with keys needs: options that come through as they are, an object as the
// answer, and a factor when that was the purpose.
func TestObjectsAndFactors(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{object: true}}})
	start := func(purpose string) *reply {
		return b.post("/v1/challenges", `{"strategy":"keeper","purpose":"`+purpose+`","subject":"user_42","label":"My key"}`).want(t, http.StatusCreated, "")
	}
	check := func(id, purpose, answer string) *reply {
		return b.post("/v1/challenges/"+id+"/check", `{"purpose":"`+purpose+`","subject":"user_42","answer": `+answer+` }`)
	}
	mfa := start("mfa")
	names(t, mfa, "id", "handle", "status", "strategy", "purpose", "subject", "ask", "public", "created_at", "expires_at", "attempts_remaining", "page_url")
	if mfa.str("public", "challenge") != "<AAA>" || mfa.at("public", "timeout") != 300000.0 {
		t.Errorf("public: %s", mfa.text)
	}
	check(mfa.str("id"), "mfa", `{"id":"other"}`).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	isReceipt(t, check(mfa.str("id"), "mfa", rightObject).want(t, http.StatusOK, ""))

	enrolled := check(start("enrol").str("id"), "enrol", rightObject).want(t, http.StatusOK, "")
	isReceipt(t, enrolled)
	want := map[string]any{"id": "fa_1", "strategy": "keeper", "subject": "user_42", "label": "My key", "status": "active",
		"created_at": "2026-11-24T12:00:00Z", "public": map[string]any{"backed_up": true}}
	if !reflect.DeepEqual(enrolled.at("factor"), want) {
		t.Errorf("factor: %s", enrolled.text)
	}
	if strings.Contains(enrolled.text, base64.StdEncoding.EncodeToString([]byte("a secret"))[:8]) {
		t.Errorf("a factor's secret: %s", enrolled.text)
	}
}
