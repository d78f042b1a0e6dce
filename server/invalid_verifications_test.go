package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestStartVerificationNamesInvalidField(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: realStrategies(t)})
	const sms = `{"strategy":"otp","channel":"sms","to":"+14155550123"}`
	eleven := make([]string, 11)
	for n := range eleven {
		eleven[n] = strings.Replace(sms, "0123", fmt.Sprintf("01%02d", n), 1)
	}
	for _, c := range []invalidRequest{
		{name: "no methods", body: `{"purpose":"mfa","subject":"u"}`, field: "methods"},
		{name: "an empty list", body: `{"purpose":"mfa","subject":"u","methods":[]}`, field: "methods"},
		{name: "eleven methods", body: `{"purpose":"mfa","subject":"u","methods":[` + strings.Join(eleven, ",") + `]}`, field: "methods"},
		{name: "no purpose", body: `{"subject":"u","methods":[` + sms + `]}`, field: "purpose"},
		{name: "a method without a strategy", body: `{"purpose":"mfa","subject":"u","methods":[` + sms + `,{"channel":"sms"}]}`, field: "methods.1.strategy"},
		{name: "an unknown strategy", body: `{"purpose":"mfa","subject":"u","methods":[` + sms + `,{"strategy":"palm"}]}`, field: "methods.1.strategy"},
		{name: "an unknown channel", body: `{"purpose":"mfa","subject":"u","methods":[{"strategy":"otp","channel":"pigeon","to":"+1"}]}`, field: "methods.0.channel"},
		{name: "nowhere to send", body: `{"purpose":"mfa","subject":"u","methods":[{"strategy":"otp","channel":"sms"}]}`, field: "methods.0.to"},
		{name: "another open", body: `{"purpose":"mfa","subject":"u","methods":[` + sms + `],"open":"last"}`, field: "open"},
		{name: "another requirement", body: `{"purpose":"mfa","subject":"u","methods":[` + sms + `],"require":"all"}`, field: "require"},
		{name: "a short fallback", body: `{"purpose":"mfa","subject":"u","methods":[{"strategy":"totp"},` + strings.Replace(sms, "{", `{"fallback":true,`, 1) + `],"fallback":{"after":1}}`, field: "fallback.after"},
		{name: "an enrolment", body: `{"purpose":"enrol","subject":"u","methods":[{"strategy":"totp"}]}`, field: "purpose"},
		{name: "a return_url that is not listed", body: `{"purpose":"mfa","subject":"u","methods":[` + sms + `],"return_url":"https://app.example.org/"}`, field: "return_url"},
		{name: "an unknown name", body: `{"purpose":"mfa","subject":"u","methods":[` + sms + `],"wait":1}`, field: "wait"},
		{name: "two addresses without a subject", body: `{"purpose":"sign_in","methods":[` + sms + `,{"strategy":"otp","channel":"email","to":"ann@example.com"}]}`, field: "methods.1.to"},
	} {
		t.Run(c.name, func(t *testing.T) { requireInvalidField(t, ts, "/v1/verifications", c) })
	}
	if n := ts.outbox.count(); n != 0 {
		t.Errorf("%d messages for rejected requests", n)
	}
	ts.post("/v1/verifications", `{"purpose":"mfa","subject":"u","methods":[{"strategy":"totp"},{"strategy":"recovery"}]}`).want(t, http.StatusConflict, "not_enrolled")
	ts.post("/v1/verifications", `{"purpose":"mfa","subject":"u","methods":[`+sms+`],"require":"phishing_resistant"}`).want(t, http.StatusConflict, "not_enrolled")
}

func TestCheckVerificationNamesInvalidFieldAndChargesNoTry(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(strings.Replace(mfaRequest, "{", `{"open":"first",`, 1))
	const who = `"purpose":"mfa","subject":"user_42"`
	for _, c := range []invalidRequest{
		{name: "no answer", body: `{` + who + `}`, field: "answer"},
		{name: "an object where a string is asked", body: `{` + who + `,"answer":{"code":"492039"}}`, field: "answer"},
		{name: "a list of codes", body: `{` + who + `,"answer":["000000","000001"]}`, field: "answer"},
		{name: "a text that cannot be a code", body: `{` + who + `,"answer":"no code"}`, field: "answer"},
		{name: "a code that is too short", body: `{` + who + `,"answer":"12345"}`, field: "answer"},
		{name: "a method that is a number", body: `{` + who + `,"answer":"000000","method":1}`, field: "method"},
		{name: "subject and address", body: `{` + who + `,"to":"+14155550123","answer":"000000"}`, field: "to"},
		{name: "neither", body: `{"purpose":"mfa","answer":"000000"}`, field: "subject"},
		{name: "no purpose", body: `{"subject":"user_42","answer":"000000"}`, field: "purpose"},
		{name: "a client that is none", body: `{` + who + `,"answer":"000000","client":{"ip":"somewhere"}}`, field: "client.ip"},
		{name: "a device token in client", body: `{` + who + `,"answer":"000000","client":{"device_token":"dv_x"}}`, field: "client.device_token"},
		{name: "a handle", body: `{` + who + `,"answer":"000000","handle":"hd_x"}`, field: "handle"},
	} {
		t.Run(c.name, func(t *testing.T) { requireInvalidField(t, ts, v.path+"/check", c) })
	}
	v.check("000000", `,"method":"m2"`).want(t, http.StatusBadRequest, "invalid_request") // it is not open
	if left := ts.get(v.path).valueAt("challenge", "attempts_remaining"); left != 5.0 {
		t.Errorf("%v tries are left", left)
	}
}
