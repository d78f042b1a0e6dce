package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// mfaRequest starts a verification with two methods that send codes.
const mfaRequest = `{"purpose":"mfa","subject":"user_42","methods":[{"strategy":"otp","channel":"sms","to":"+14155550123"},{"strategy":"otp","channel":"email","to":"ann@example.com"}]}`

// A verification is a started verification of a test.
type verification struct {
	ts      *testServer
	started *apiResponse
	path    string
}

func (ts *testServer) startVerification(body string, headers ...string) verification {
	ts.t.Helper()
	r := ts.post("/v1/verifications", body, headers...).want(ts.t, http.StatusCreated, "")
	return verification{ts, r, "/v1/verifications/" + r.stringAt("id")}
}

func (v verification) open(method string) *apiResponse {
	v.ts.t.Helper()
	return v.ts.post(v.path+"/open", `{"method":"`+method+`"}`).want(v.ts.t, http.StatusOK, "")
}

// openCode opens a method and returns the code that was sent.
func (v verification) openCode(method string) string {
	v.ts.t.Helper()
	return v.ts.sentCode("shop", v.open(method).stringAt("challenge", "id"))
}

func (v verification) check(answer string, more ...string) *apiResponse {
	v.ts.t.Helper()
	return v.ts.post(v.path+"/check", `{"purpose":"mfa","subject":"user_42","answer":"`+answer+`"`+strings.Join(more, "")+`}`)
}

// methodIDs returns the ids and strategies of the methods that a response offers.
func methodIDs(r *apiResponse) (out []string) {
	list, _ := r.body["methods"].([]any)
	for _, m := range list {
		method, _ := m.(map[string]any)
		out = append(out, fmt.Sprint(method["id"], " ", method["strategy"], " ", method["ask"]))
	}
	return out
}

func TestVerificationIsApprovedByOneOfItsMethods(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(mfaRequest)
	requireFields(t, v.started, "id", "handle", "status", "purpose", "subject", "methods", "created_at", "expires_at")
	if got := methodIDs(v.started); !slices.Equal(got, []string{"m1 otp code", "m2 otp code"}) || ts.outbox.count() != 0 {
		t.Fatalf("methods %q, %d messages", got, ts.outbox.count())
	}
	code := v.openCode("m2")
	opened := v.ts.get(v.path).want(t, http.StatusOK, "")
	requireFields(t, opened, "id", "status", "purpose", "subject", "methods", "method", "challenge", "created_at", "expires_at")
	if opened.stringAt("method") != "m2" || opened.stringAt("challenge", "channel") != "email" || opened.stringAt("challenge", "verification") != v.started.stringAt("id") {
		t.Errorf("after the open: %s", opened.text)
	}
	r := v.check(wrongCode(code)).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if r.valueAt("attempts_remaining") != 4.0 {
		t.Errorf("a wrong answer: %s", r.text)
	}
	r = v.check(code).want(t, http.StatusOK, "")
	requireReceipt(t, r)
	if r.stringAt("method") != "m2" || r.stringAt("claims", "verification") != v.started.stringAt("id") || r.stringAt("claims", "channel") != "email" {
		t.Errorf("approved: %s", r.text)
	}
	v.check(code).want(t, http.StatusConflict, "challenge_approved")
	if status := ts.get(v.path).stringAt("status"); status != "approved" {
		t.Errorf("status %q", status)
	}
}

func TestVerificationReturnsSecretsInResponseToStartOnly(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: realStrategies(t)})
	const body = `{"purpose":"sign_in","methods":[{"strategy":"magiclink","to":"ann@example.com"}],"return_url":"https://app.example.com/done"}`
	v := ts.startVerification(body)
	handle, ticket, number := v.started.stringAt("handle"), v.started.stringAt("ticket"), v.started.stringAt("challenge", "public", "number")
	if want := "https://shop.example.com/v/" + v.started.stringAt("id") + "#" + ticket; v.started.stringAt("page_url") != want || ticket == "" || handle == "" || number == "" {
		t.Fatalf("started: %s", v.started.text)
	}
	read := ts.get(v.path).want(t, http.StatusOK, "")
	opened := v.open("m1")
	resent := v.afterResendWait().want(t, http.StatusOK, "")
	canceled := ts.post(v.path+"/cancel", "").want(t, http.StatusOK, "")
	for _, r := range []*apiResponse{read, opened, resent, canceled} {
		if strings.Contains(r.text, handle) || strings.Contains(r.text, ticket) {
			t.Errorf("a secret: %s", r.text)
		}
		if shown := r.valueAt("challenge", "public") != nil; shown != (r == opened) {
			t.Errorf("public is shown: %t: %s", shown, r.text)
		}
	}
	without := ts.startVerification(strings.Replace(body, `,"return_url":"https://app.example.com/done"`, "", 1)).started
	if without.valueAt("page_url") != nil || without.valueAt("ticket") != nil {
		t.Errorf("a page without return_url: %s", without.text)
	}
}

func (v verification) afterResendWait() *apiResponse {
	v.ts.t.Helper()
	v.ts.clock.advance(time.Minute)
	return v.ts.post(v.path+"/resend", "")
}

func TestOpenMethodAgainSendsNothing(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(mfaRequest)
	first, again := v.open("m1"), v.open("m1")
	if first.stringAt("challenge", "id") != again.stringAt("challenge", "id") || ts.outbox.count() != 1 {
		t.Errorf("%s, then %s, %d messages", first.text, again.text, ts.outbox.count())
	}
	ts.post(v.path+"/open", `{"method":"m3"}`).want(t, http.StatusNotFound, "unknown_method")
	ts.post(v.path+"/open", `{}`).want(t, http.StatusBadRequest, "invalid_request")
}

// A check that names no method costs nothing once several are open, and the code of one method is wrong for another.
func TestCheckNeedsMethodOnceSeveralAreOpen(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(mfaRequest)
	sms, mail := v.openCode("m1"), v.openCode("m2")
	if sms == mail {
		t.Skip("one in a million: both messages have the same code")
	}
	if r := v.check(sms).want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.errorFields(), []string{"method"}) {
		t.Errorf("fields %q", r.errorFields())
	}
	v.check(sms, `,"method":"m7"`).want(t, http.StatusNotFound, "unknown_method")
	v.check("no code", `,"method":"m1"`).want(t, http.StatusBadRequest, "invalid_request")
	if r := v.check(mail, `,"method":"m1"`).want(t, http.StatusUnprocessableEntity, "incorrect_answer"); r.valueAt("attempts_remaining") != 4.0 {
		t.Errorf("tries were charged before: %s", r.text)
	}
	if r := v.check(sms, `,"method":"m1"`).want(t, http.StatusOK, ""); r.stringAt("method") != "m1" {
		t.Errorf("approved: %s", r.text)
	}
	v.check(mail, `,"method":"m2"`).want(t, http.StatusConflict, "challenge_approved")
}

func TestChallengeOfVerificationCanOnlyBeRead(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(mfaRequest)
	challenge := v.open("m1").stringAt("challenge", "id")
	code, one := ts.sentCode("shop", challenge), "/v1/challenges/"+challenge
	if r := ts.get(one).want(t, http.StatusOK, ""); r.stringAt("verification") != v.started.stringAt("id") {
		t.Errorf("read: %s", r.text)
	}
	ts.clock.advance(time.Minute)
	for target, body := range map[string]string{
		"/check":  `{"purpose":"mfa","subject":"user_42","answer":"` + code + `"}`,
		"/redeem": `{"handle":"` + v.started.stringAt("handle") + `","purpose":"mfa","subject":"user_42"}`,
		"/resend": `{}`, "/cancel": `{}`,
	} {
		ts.post(one+target, body).want(t, http.StatusConflict, "part_of_verification")
	}
	v.check(code).want(t, http.StatusOK, "")
}

func TestWaitReturnsWhenVerificationEnds(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	requireEnds(t, "an approved verification", func() {
		v := ts.startVerification(mfaRequest)
		code := v.openCode("m1")
		answered := make(chan *apiResponse)
		go func() { answered <- ts.get(v.path + "?wait=25") }()
		v.check(code).want(t, http.StatusOK, "")
		if r := <-answered; r.stringAt("status") != "approved" {
			t.Errorf("after the answer: %s", r.text)
		}
	})
	requireEnds(t, "a canceled verification", func() {
		v := ts.startVerification(mfaRequest)
		ts.post(v.path+"/cancel", "").want(t, http.StatusOK, "")
		if r := ts.get(v.path + "?wait=25"); r.stringAt("status") != "canceled" {
			t.Errorf("canceled: %s", r.text)
		}
	})
	ts.get("/v1/verifications/vf_x?wait=26").want(t, http.StatusBadRequest, "invalid_request")
}

// TestVerificationRepeatsResponsesByIdempotencyKey sends each POST twice with one key.
func TestVerificationRepeatsResponsesByIdempotencyKey(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	twice := func(target, body string, status int) *apiResponse {
		t.Helper()
		first := ts.post(target, body, idempotencyKey, "k")
		again := ts.post(target, body, idempotencyKey, "k")
		if first.status != status || again.status != status || first.text != again.text {
			t.Errorf("%s: %d %s, then %d %s", target, first.status, first.text, again.status, again.text)
		}
		return first
	}
	const to = `"to":"+14155550123"`
	started := twice("/v1/verifications", `{"purpose":"sign_in","methods":[{"strategy":"otp","channel":"sms",`+to+`},{"strategy":"otp","channel":"voice",`+to+`}],"open":"first"}`, http.StatusCreated)
	one := "/v1/verifications/" + started.stringAt("id")
	if ts.outbox.count() != 1 {
		t.Errorf("%d messages", ts.outbox.count())
	}
	twice(one+"/open", `{"method":"m2"}`, http.StatusOK)
	ts.clock.advance(time.Minute)
	twice(one+"/resend", `{"method":"m1"}`, http.StatusOK)
	if ts.outbox.count() != 3 {
		t.Errorf("%d messages", ts.outbox.count())
	}
	code := ts.sentCode("shop", started.stringAt("challenge", "id"))
	check := func(code string) string {
		return `{"purpose":"sign_in",` + to + `,"method":"m1","answer":"` + code + `"}`
	}
	ts.post(one+"/check", check(wrongCode(code)), idempotencyKey, "w").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	if r := ts.post(one+"/check", check(wrongCode(code)), idempotencyKey, "w"); r.valueAt("attempts_remaining") != 4.0 {
		t.Errorf("the same request was charged twice: %s", r.text)
	}
	approved := twice(one+"/check", check(code), http.StatusOK)
	twice("/v1/receipts/redeem", `{"purpose":"sign_in","receipt":"`+approved.stringAt("receipt")+`"}`, http.StatusOK)
	twice(one+"/redeem", `{"handle":"hd_x","purpose":"sign_in",`+to+`}`, http.StatusNotFound)
	twice(one+"/cancel", ``, http.StatusConflict)
	ts.post("/v1/verifications", mfaRequest, idempotencyKey, "k").want(t, http.StatusUnprocessableEntity, "idempotency_mismatch")
}

func TestVerificationOfAnotherAppIsUnknown(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	foreign := ts.startVerification(mfaRequest, "Authorization", "Bearer "+bankKey).started.stringAt("id")
	for target, body := range map[string]string{
		"":        "",
		"/open":   `{"method":"m1"}`,
		"/check":  `{"purpose":"mfa","subject":"user_42","answer":"123456"}`,
		"/redeem": `{"handle":"hd_x","purpose":"mfa","subject":"user_42"}`,
		"/resend": `{}`,
		"/cancel": `{}`,
	} {
		method := http.MethodPost
		if target == "" {
			method = http.MethodGet
		}
		texts := map[string]bool{}
		for _, id := range []string{foreign, foreign[:len(foreign)-1] + "A", "vf_", "x", ts.startChallenge(), "a%2Fb", strings.Repeat("x", 5000)} {
			texts[ts.send(newRequest(method, "/v1/verifications/"+id+target, body)).want(t, http.StatusNotFound, "unknown_verification").text] = true
		}
		if len(texts) != 1 {
			t.Errorf("%s: responses differ: %q", target, slices.Collect(maps.Keys(texts)))
		}
	}
}

func TestDecoyVerificationLooksLikeRealVerification(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	fields := func(v verification) []string {
		names := slices.Collect(maps.Keys(v.started.body))
		for _, m := range v.started.body["methods"].([]any) {
			names = append(names, slices.Collect(maps.Keys(m.(map[string]any)))...)
		}
		return slices.Sorted(slices.Values(names))
	}
	sms := strings.Replace(mfaRequest, "{", `{"open":"first",`, 1)
	real, decoy := ts.startVerification(sms), ts.startVerification(strings.Replace(sms, "{", `{"decoy":true,`, 1))
	if !slices.Equal(fields(real), fields(decoy)) || !slices.Equal(methodIDs(real.started), methodIDs(decoy.started)) {
		t.Errorf("real: %s\ndecoy: %s", real.started.text, decoy.started.text)
	}
	decoy.check("000000").want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	for v, sends := range map[*verification]bool{&real: true, &decoy: false} {
		message := watchword.Outgoing{ChallengeID: v.started.stringAt("challenge", "id"), Send: 1}
		if _, err := ts.engines["shop"].ComposeMessage(t.Context(), message); (err == nil) != sends {
			t.Errorf("sends %t: %v", sends, err)
		}
	}
}

// Without a subject a discoverable passkey stands alone.
func TestVerificationWithoutSubjectOffersDiscoverablePasskey(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: realStrategies(t)})
	v := ts.startVerification(`{"purpose":"sign_in","methods":[{"strategy":"webauthn"}],"require":"phishing_resistant"}`)
	if v.started.stringAt("method") != "m1" || v.started.stringAt("challenge", "public", "rpId") != "example.com" {
		t.Errorf("started: %s", v.started.text)
	}
	const mixed = `{"purpose":"sign_in","methods":[{"strategy":"webauthn"},{"strategy":"otp","channel":"sms","to":"+14155550123"}]}`
	ts.post("/v1/verifications", mixed).want(t, http.StatusBadRequest, "invalid_request")
}
