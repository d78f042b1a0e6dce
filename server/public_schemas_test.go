package server_test

import (
	"net/http"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/webauthn"
)

// realStrategies returns every strategy with an ask of its own.
func realStrategies(t testing.TB) []watchword.Strategy {
	t.Helper()
	links, err := magiclink.New(magiclink.Config{})
	must(t, err)
	apps, err := totp.New(totp.Config{Issuer: "Shop"})
	must(t, err)
	keys, err := webauthn.New(webauthn.Config{RPID: "example.com", RPName: "Shop", Origins: []string{"https://shop.example.com"},
		Secret: watchword.NewCode("a secret of these tests, of 32 bytes and more")})
	must(t, err)
	return []watchword.Strategy{links, apps, recovery.New(), keys}
}

// The responses are validated against the document, which names every member of public by ask.
func TestPublicOfEachAskHasTheDocumentedMembers(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: realStrategies(t)})
	start := func(body, ask string, members ...string) *apiResponse {
		t.Helper()
		r := ts.post("/v1/challenges", body, "Authorization", "Bearer "+adminKey).want(t, http.StatusCreated, "")
		if r.stringAt("ask") != ask {
			t.Errorf("ask: %s", r.text)
		}
		for _, name := range members {
			if r.valueAt("public", name) == nil {
				t.Errorf("%s has no %s: %s", ask, name, r.text)
			}
		}
		return r
	}
	start(signInRequest, "code", "length", "alphabet")
	start(`{"strategy":"magiclink","purpose":"sign_in","to":"ann@example.com"}`, "link", "code", "number", "length", "alphabet")
	codes := start(`{"strategy":"recovery","purpose":"enrol","subject":"user_42"}`, "code", "codes")
	code := codes.valueAt("public", "codes").([]any)[0].(string)
	ts.post("/v1/challenges/"+codes.stringAt("id")+"/check", `{"purpose":"enrol","subject":"user_42","answer":"`+code+`"}`).want(t, http.StatusOK, "")
	start(`{"strategy":"recovery","purpose":"mfa","subject":"user_42"}`, "code", "letters", "length", "alphabet")
	start(`{"strategy":"totp","purpose":"enrol","subject":"user_42"}`, "scan", "secret", "uri", "qr", "length", "alphabet")
	start(`{"strategy":"webauthn","purpose":"enrol","subject":"user_42"}`, "new_key", "rp", "user", "challenge", "pubKeyCredParams", "authenticatorSelection")
	start(`{"strategy":"webauthn","purpose":"sign_in","subject":"user_43"}`, "key", "challenge", "rpId", "allowCredentials", "userVerification", "extensions")
}
