package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/device"
)

// newDeviceServer returns a server whose apps trust devices for the purpose mfa.
func newDeviceServer(t *testing.T) *testServer {
	t.Helper()
	return newTestServer(t, serverOptions{strategies: []watchword.Strategy{device.New()}, engine: func(c *watchword.Config) {
		c.TrustedDevices = watchword.TrustedDevices{Purposes: []string{"mfa"}}
	}})
}

const rememberRequest = `{"purpose":"mfa","subject":"user_42","remember_device":true,"methods":[{"strategy":"otp","channel":"sms","to":"+14155550123"}]}`

// rememberDevice approves a verification that asks for a trusted device, and returns the device's token.
func (ts *testServer) rememberDevice() string {
	ts.t.Helper()
	v := ts.startVerification(rememberRequest)
	r := v.check(ts.sentCode("shop", v.started.stringAt("challenge", "id"))).want(ts.t, http.StatusOK, "")
	token := r.stringAt("device_token")
	if !strings.HasPrefix(token, "dv_") {
		ts.t.Fatalf("no device_token: %s", r.text)
	}
	return token
}

func TestTrustedDeviceAnswersTheNextStart(t *testing.T) {
	ts := newDeviceServer(t)
	token := ts.rememberDevice()
	messages := ts.outbox.count()
	withDevice := func(body string) string { return strings.Replace(body, "{", `{"device_token":"`+token+`",`, 1) }
	r := ts.startVerification(withDevice(rememberRequest)).started
	requireFields(t, r, "id", "status", "purpose", "subject", "methods", "created_at", "expires_at", "receipt", "claims", "device_token")
	requireReceipt(t, r)
	if r.stringAt("status") != "approved" || r.stringAt("claims", "strategy") != "device" || r.valueAt("claims", "amr") != nil || r.valueAt("claims", "acr") != nil {
		t.Errorf("answered by the device: %s", r.text)
	}
	if next := r.stringAt("device_token"); next == "" || next == token || ts.outbox.count() != messages {
		t.Errorf("device_token %q, %d messages", next, ts.outbox.count()-messages)
	}
	token = r.stringAt("device_token")
	ts.post("/v1/receipts/redeem", `{"purpose":"mfa","receipt":"`+r.stringAt("receipt")+`"}`).want(t, http.StatusOK, "")

	pending := func(body string) *apiResponse {
		t.Helper()
		r := ts.startVerification(body).started
		if r.stringAt("status") != "pending" || r.valueAt("receipt") != nil || r.valueAt("claims") != nil || r.stringAt("handle") == "" {
			t.Errorf("%s is answered %s", body, r.text)
		}
		return r
	}
	if r := pending(withDevice(strings.Replace(rememberRequest, `"mfa"`, `"sign_in"`, 1))); r.stringAt("device_token") == "" {
		t.Errorf("a valid token of a purpose that is not listed is not replaced: %s", r.text)
	}
	pending(withDevice(strings.Replace(rememberRequest, "{", `{"transaction":{"amount":"1"},`, 1)))
	pending(withDevice(strings.Replace(rememberRequest, "user_42", "user_43", 1)))
	token = "dv_invalid"
	if r := pending(withDevice(rememberRequest)); r.valueAt("device_token") != nil {
		t.Errorf("an invalid token is replaced: %s", r.text)
	}
	if r := pending(rememberRequest); r.valueAt("device_token") != nil {
		t.Errorf("a device without a token: %s", r.text)
	}
}

// In a challenge a valid token makes the client trusted, and is replaced.
func TestTrustedDeviceOfChallengeIsReplaced(t *testing.T) {
	ts := newDeviceServer(t)
	token := ts.rememberDevice()
	start := func(token string) *apiResponse {
		return ts.post("/v1/challenges", strings.Replace(signInRequest, "{", `{"client":{"device_token":"`+token+`"},`, 1)).want(t, http.StatusCreated, "")
	}
	if r := start(token); r.stringAt("status") != "pending" || r.stringAt("device_token") == "" || r.stringAt("device_token") == token {
		t.Errorf("started: %s", r.text)
	}
	if r := start("dv_invalid"); r.valueAt("device_token") != nil {
		t.Errorf("an invalid token is replaced: %s", r.text)
	}
}
