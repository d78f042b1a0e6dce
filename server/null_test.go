package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// requestsOfOptionalFields are requests that are accepted with their optional fields null, by path.
func requestsOfOptionalFields(b *bench) map[string]string {
	id := b.start()
	return map[string]string{
		"/v1/challenges": `{"strategy":"keeper","purpose":"mfa","subject":"user_42","channel":null,"to":null,"locale":null,"transaction":null,` +
			`"client":{"ip":null,"user_agent":null,"known":null},"return_url":null,"nonce":null,"metadata":null,"label":null,"factor":null,"decoy":null,"authorization":null}`,
		"/v1/challenges/" + id + "/check":         `{"purpose":"sign_in","subject":"user_42","to":null,"answer":"` + b.code("shop", id) + `","transaction":null,"client":null}`,
		"/v1/challenges/" + b.start() + "/resend": `{"channel":null}`,
	}
}

func TestNullIsTheSameAsLeavingAFieldOut(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	requests := requestsOfOptionalFields(b)
	b.clock.move(time.Minute)
	for target, body := range requests {
		if r := b.post(target, body); r.status >= 400 {
			t.Errorf("%s %s: %d %s", target, body, r.status, r.text)
		}
	}
	anonymous := b.post("/v1/challenges", `{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+14155550124","subject":null,"client":null}`).want(t, http.StatusCreated, "")
	check := `{"purpose":"sign_in","to":"+14155550124","subject":null,"answer":"` + b.code("shop", anonymous.str("id")) + `","client":{"ip":null}}`
	b.post("/v1/challenges/"+anonymous.str("id")+"/check", check).want(t, http.StatusOK, "")
}
