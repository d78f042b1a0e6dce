package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A process that stops leaves its requests in flight. After the lease a repetition with the same key gets the same verification, and
// the receipt that the stopped process did not return.
func TestVerificationRequestsAreTakenOverAfterLeaseExpires(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	engine := ts.engines["shop"]
	// takeOver reserves the key of a request, as a process that then stops, and returns the key's seed. send repeats the request.
	takeOver := func(path, body string) (seed []byte, send func(status int) *apiResponse) {
		t.Helper()
		r, err := engine.Reserve(t.Context(), "POST "+path, "k", []byte(body))
		must(t, err)
		return r.Seed, func(status int) *apiResponse {
			t.Helper()
			ts.post(path, body, idempotencyKey, "k").want(t, http.StatusConflict, "idempotency_in_flight")
			ts.clock.advance(12 * time.Second)
			return ts.post(path, body, idempotencyKey, "k").want(t, status, "")
		}
	}
	const request = `{"purpose":"mfa","subject":"user_42","methods":[{"strategy":"otp","channel":"sms","to":"+14155550123"}]}`
	seed, send := takeOver("/v1/verifications", request)
	started, err := engine.StartVerification(t.Context(), watchword.VerificationRequest{Purpose: "mfa", Subject: "user_42",
		Methods: []watchword.MethodRequest{{Strategy: "otp", Channel: "sms", To: "+14155550123"}}, Seed: seed})
	must(t, err)
	if again := send(http.StatusCreated); again.stringAt("id") != started.ID || again.stringAt("handle") != started.Handle.Reveal() {
		t.Errorf("started again: %s", again.text)
	}

	one, code := "/v1/verifications/"+started.ID, ts.sentCode("shop", started.Challenge.ID)
	seed, send = takeOver(one+"/check", `{"purpose":"mfa","subject":"user_42","answer":"`+code+`"}`)
	checked, err := engine.CheckVerification(t.Context(), started.ID, watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{Purpose: "mfa",
		Subject: "user_42", Answer: watchword.Answer{Text: code}, Seed: seed}})
	must(t, err)
	if again := send(http.StatusOK); again.stringAt("claims", "jti") != checked.Claims.ID {
		t.Errorf("checked again: %s", again.text)
	}

	v := ts.startVerification(request)
	id := v.started.stringAt("id")
	must(t, engine.AnswerVerification(t.Context(), id, "", watchword.Answer{Text: ts.sentCode("shop", v.started.stringAt("challenge", "id")), Starter: true}, watchword.Client{}))
	handle := v.started.stringAt("handle")
	seed, send = takeOver(v.path+"/redeem", `{"handle":"`+handle+`","purpose":"mfa","subject":"user_42"}`)
	redeemed, err := engine.RedeemVerification(t.Context(), id, watchword.RedeemRequest{Handle: handle, Purpose: "mfa", Subject: "user_42", Seed: seed})
	must(t, err)
	if again := send(http.StatusOK); again.stringAt("claims", "jti") != redeemed.Claims.ID {
		t.Errorf("redeemed again: %s", again.text)
	}
}
