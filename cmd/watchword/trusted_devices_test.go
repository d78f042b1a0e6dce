package main

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// A configuration turns trusted devices and lifetimes on, for a server on Redis and SQLite, and a reload changes both.
func TestTrustedDevicesAndLifetimesFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "devices.db")
	r, app := startReloader(t, func(sender string) string {
		return "database: \"sqlite://" + database + "\"\nreturn_urls: [https://shop.example]\napps:\n  - id: shop\n    keys: [{sha256: " + apiKeyDigest("quiet") +
			", scopes: [challenges]}]\n    purposes: [mfa, payment, {name: confirm_email, lifetime: 24h}]\n    trusted_devices: {purposes: [mfa], lifetime: 24h}\n" +
			"    send: {email: [\"" + sender + "\"]}\n"
	})
	post := func(path string, body object) reply {
		t.Helper()
		return r.mustSend(apiRequest{method: http.MethodPost, path: path, key: "quiet", body: body})
	}
	start := func(purpose, token string) reply {
		t.Helper()
		return post("/v1/verifications", object{"purpose": purpose, "subject": "user_42", "remember_device": true, "device_token": token,
			"methods": []object{{"strategy": "otp", "channel": "email", "to": "ann@example.com"}}})
	}
	first := start("mfa", "")
	challenge, _ := first.body["challenge"].(object)
	id, _ := challenge["id"].(string)
	checked := post("/v1/verifications/"+first.str("id")+"/check", object{"purpose": "mfa", "subject": "user_42", "answer": app.codes.waitForCode(id)})
	token := checked.str("device_token")
	if token == "" {
		t.Fatalf("%s, then %s", first.text, checked.text)
	}
	want := func(what, purpose, status string, replaced bool) {
		t.Helper()
		got := start(purpose, token)
		if got.str("status") != status || (got.str("device_token") != "") != replaced {
			t.Errorf("%s: %s", what, got.text)
		}
	}
	want("the listed purpose", "mfa", "approved", true)
	want("another purpose", "payment", "pending", true)
	lifetime := func() time.Duration {
		t.Helper()
		got := post("/v1/challenges", object{"strategy": "magiclink", "purpose": "confirm_email", "to": "ann@example.com", "return_url": "https://shop.example/done"})
		created, errCreated := time.Parse(time.RFC3339, got.str("created_at"))
		expires, errExpires := time.Parse(time.RFC3339, got.str("expires_at"))
		if errCreated != nil || errExpires != nil {
			t.Fatal(got.text)
		}
		return expires.Sub(created)
	}
	if got := lifetime(); got != 24*time.Hour {
		t.Errorf("a link lives %s", got)
	}
	r.change(t, "trusted_devices: {purposes: [mfa]", "trusted_devices: {purposes: [payment]", reloaded)
	want("a purpose that is not listed any more", "mfa", "pending", true)
	want("one that is listed now", "payment", "approved", true)
	r.change(t, "trusted_devices: {purposes: [payment]", "trusted_devices: {purposes: [password_reset]", `"msg":"configuration not reloaded"`)
	r.change(t, "    trusted_devices: {purposes: [password_reset], lifetime: 24h}\n", "", reloaded)
	want("an app without trusted devices", "payment", "pending", false)
	r.change(t, ", {name: confirm_email, lifetime: 24h}", ", confirm_email", reloaded)
	if got := lifetime(); got != 10*time.Minute {
		t.Errorf("after the reload a link lives %s", got)
	}
}
