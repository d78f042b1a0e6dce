package main

import (
	"net/http"
	"testing"
)

// A verification goes on over reloads of the configuration: a method is opened, its message goes to the new sender, and the answer is
// checked.
func TestVerificationOutlivesReload(t *testing.T) {
	t.Parallel()
	r, app := startReloader(t, func(sender string) string {
		return "apps:\n  - id: shop\n    keys: [{sha256: " + apiKeyDigest("quiet") + ", scopes: [challenges]}]\n    send: {email: [\"" + sender + "\"], sms: [\"" + sender + "\"]}\n"
	})
	post := func(path string, body object, status int) reply {
		t.Helper()
		got := app.post(path, body)
		if got.status != status {
			t.Fatalf("%s: %d %s", path, got.status, got.text)
		}
		return got
	}
	started := post("/v1/verifications", object{"purpose": "mfa", "subject": "user_42", "client": object{"ip": "203.0.113.7"}, "methods": []object{
		{"strategy": "otp", "channel": "email", "to": "ann@example.com"}, {"strategy": "otp", "channel": "sms", "to": "+14155550123"}}}, http.StatusCreated)
	path := "/v1/verifications/" + started.str("id")
	r.change(t, "/?secret=", "/one?secret=", reloaded)
	opened := post(path+"/open", object{"method": "m1"}, http.StatusOK)
	code := app.codes.waitForCode(opened.body["challenge"].(map[string]any)["id"].(string))
	if code == "" {
		t.Fatal("no message arrived")
	}
	r.change(t, "/one?secret=", "/?secret=", reloaded)
	post(path+"/check", object{"purpose": "mfa", "subject": "user_42", "answer": wrongCode(code)}, http.StatusUnprocessableEntity)
	r.change(t, "/?secret=", "/two?secret=", reloaded)
	if got := post(path+"/check", object{"purpose": "mfa", "subject": "user_42", "answer": code}, http.StatusOK); got.str("method") != "m1" {
		t.Errorf("approved: %s", got.text)
	}
}
