package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// requestsWithNulls returns valid requests, by path, whose optional fields are null.
func requestsWithNulls(ts *testServer) map[string]string {
	id := ts.startChallenge()
	return map[string]string{
		"/v1/challenges": `{"strategy":"hardware","purpose":"mfa","subject":"user_42","channel":null,"to":null,"locale":null,"transaction":null,` +
			`"client":{"ip":null,"user_agent":null,"known":null,"device_token":null},"return_url":null,"nonce":null,"metadata":null,"label":null,"factor":null,"decoy":null,"authorization":null}`,
		"/v1/challenges/" + id + "/check":                   `{"purpose":"sign_in","subject":"user_42","to":null,"answer":"` + ts.sentCode("shop", id) + `","transaction":null,"client":null}`,
		"/v1/challenges/" + ts.startChallenge() + "/resend": `{"channel":null}`,
	}
}

func TestNullEqualsOmittedField(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	requests := requestsWithNulls(ts)
	ts.clock.advance(time.Minute)
	for target, body := range requests {
		if r := ts.post(target, body); r.status >= 400 {
			t.Errorf("%s %s: %d %s", target, body, r.status, r.text)
		}
	}
	anonymous := ts.post("/v1/challenges", `{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+14155550124","subject":null,"client":null}`).want(t, http.StatusCreated, "")
	check := `{"purpose":"sign_in","to":"+14155550124","subject":null,"answer":"` + ts.sentCode("shop", anonymous.stringAt("id")) + `","client":{"ip":null}}`
	ts.post("/v1/challenges/"+anonymous.stringAt("id")+"/check", check).want(t, http.StatusOK, "")
}
