package server_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// fieldReason returns the reason of an invalid_request for its only field.
func (r *apiResponse) fieldReason(t *testing.T, field string) string {
	t.Helper()
	r.want(t, http.StatusBadRequest, "invalid_request")
	if !slices.Equal(r.errorFields(), []string{field}) {
		t.Fatalf("names %q, want %q: %s", r.errorFields(), field, r.text)
	}
	reason, _ := r.body["errors"].([]any)[0].(map[string]any)["reason"].(string)
	return reason
}

func TestStartRejectsMisspelledPurpose(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	start := func(ts *testServer, purpose string) *apiResponse {
		return ts.post("/v1/challenges", `{"strategy":"hardware","subject":"user_42","purpose":"`+purpose+`"}`)
	}
	for purpose, meant := range map[string]string{
		"enroll": "enrol", "enrolment": "enrol", "enrollment": "enrol", "Enrol": "enrol", "signin": "sign_in", "sign-in": "sign_in", "signIn": "sign_in", "SIGN_IN": "sign_in",
		"sign in": "sign_in", "MFA": "mfa", "passwordReset": "password_reset", "password-reset": "password_reset", "manage_factor": "manage_factors", "managefactors": "manage_factors",
	} {
		if got := start(ts, purpose).fieldReason(t, "purpose"); !strings.Contains(got, "nearly "+meant+":") {
			t.Errorf("%s: %s", purpose, got)
		}
	}
	for _, purpose := range []string{"sign_in", "mfa", "password_reset", "manage_factors", "sign_in_again", "login", "pay", "enrol_device"} {
		start(ts, purpose).want(t, http.StatusCreated, "")
	}
	listed := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}, engine: func(c *watchword.Config) { c.Purposes = []string{"signin", "pay"} }})
	start(listed, "signin").want(t, http.StatusCreated, "")
	if got := start(listed, "payment").fieldReason(t, "purpose"); !strings.HasSuffix(got, ": pay, signin") {
		t.Errorf("another purpose: %s", got)
	}
	id := ts.startChallenge()
	ts.post("/v1/challenges/"+id+"/check", `{"purpose":"signin","subject":"user_42","answer":"`+ts.sentCode("shop", id)+`"}`).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
}

func TestInvalidNamesAreReportedWithAllowedOnes(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	for _, c := range []struct{ body, field, want string }{
		{`{"strategy":"palm","purpose":"pay"}`, "strategy", "hardware, otp"},
		{`{"strategy":"otp","purpose":"pay","channel":"pigeon","to":"+1"}`, "channel", "email, sms, voice"},
		{`{"strategy":"otp","purpose":"pay","channel":"sms","to":"+1","return_url":"https://other.example/"}`, "return_url", "return_urls"},
		{`{"strategy":"otp","purpose":"pay","channel":"sms","to":"+1","return_url":"app"}`, "return_url", "return_urls"},
	} {
		if got := ts.post("/v1/challenges", c.body).fieldReason(t, c.field); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.body, got)
		}
	}
	if got := ts.post("/v1/challenges/"+ts.startChallenge()+"/resend", `{"channel":"pigeon"}`).fieldReason(t, "channel"); !strings.Contains(got, "email, sms, voice") {
		t.Errorf("resend: %s", got)
	}
}

// contradictingChecks returns checks with a right answer whose other values differ from the start, and the differing field.
func contradictingChecks(answer string) map[string]string {
	return map[string]string{
		`{"purpose":"mfa","subject":"user_42","answer":"` + answer + `"}`:                             "purpose",
		`{"purpose":"sign_in","subject":"user_43","answer":"` + answer + `"}`:                         "subject",
		`{"purpose":"sign_in","to":"+14155550123","answer":"` + answer + `"}`:                         "to",
		`{"purpose":"sign_in","subject":"user_42","answer":"` + answer + `","transaction":{"a":"b"}}`: "transaction",
	}
}

func TestContradictingCheckIsLoggedAndExplainedInDevelopment(t *testing.T) {
	for _, development := range []bool{false, true} {
		log := &syncBuffer{}
		ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}, development: development, engine: func(c *watchword.Config) {
			c.NoBudget = true
			c.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}})
		post := func(target, body string) *apiResponse {
			r := newRequest(http.MethodPost, target, body)
			r.Host = "localhost"
			return ts.send(r)
		}
		for strategy, start := range map[string]string{"otp": signInRequest, "hardware": `{"strategy":"hardware","purpose":"sign_in","subject":"user_42"}`} {
			id := post("/v1/challenges", start).want(t, http.StatusCreated, "").stringAt("id")
			answer := "right"
			if strategy == "otp" {
				answer = ts.sentCode("shop", id)
			}
			for body, field := range contradictingChecks(answer) {
				before := len(log.String())
				r := post("/v1/challenges/"+id+"/check", body).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
				if line := log.String()[before:]; !strings.Contains(line, `"msg":"answer contradicts its challenge"`) || !strings.Contains(line, `"fields":["`+field+`"]`) || strings.Contains(line, "user_43") {
					t.Errorf("%s, %s: the log is %s", strategy, field, line)
				}
				details, _ := r.valueAt("details").(map[string]any)
				if _, named := details[field]; named != development || len(details) > 1 {
					t.Errorf("%s, %s, development %t: %s", strategy, field, development, r.text)
				}
			}
			post("/v1/challenges/"+id+"/check", `{"purpose":"sign_in","subject":"user_42","answer":"`+answer+`"}`).want(t, http.StatusOK, "")
		}
	}
}

// A wrong answer with the values of the start has no details and no log line about a contradiction.
func TestWrongAnswerIsNotExplained(t *testing.T) {
	log := &syncBuffer{}
	ts := newTestServer(t, serverOptions{development: true, engine: func(c *watchword.Config) {
		c.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}})
	r := newRequest(http.MethodPost, "/v1/challenges", signInRequest)
	r.Host = "localhost"
	id := ts.send(r).want(t, http.StatusCreated, "").stringAt("id")
	r = newRequest(http.MethodPost, "/v1/challenges/"+id+"/check", `{"purpose":"sign_in","subject":"user_42","answer":"`+wrongCode(ts.sentCode("shop", id))+`"}`)
	r.Host = "localhost"
	if got := ts.send(r).want(t, http.StatusUnprocessableEntity, "incorrect_answer"); got.valueAt("details") != nil || strings.Contains(log.String(), "contradicts") {
		t.Errorf("%s, the log is %s", got.text, log.String())
	}
}

func TestContradictingRedeemIsExplainedInDevelopment(t *testing.T) {
	ts := newTestServer(t, serverOptions{development: true})
	post := func(target, body string) *apiResponse {
		r := newRequest(http.MethodPost, target, body)
		r.Host = "localhost"
		return ts.send(r)
	}
	started := post("/v1/challenges", signInRequest).want(t, http.StatusCreated, "")
	id := started.stringAt("id")
	must(t, ts.engines["shop"].Answer(t.Context(), id, watchword.Answer{Text: ts.sentCode("shop", id), Starter: true}, watchword.Client{}))
	body := `{"handle":"` + started.stringAt("handle") + `","purpose":"mfa","subject":"user_42"}`
	if r := post("/v1/challenges/"+id+"/redeem", body).want(t, http.StatusUnprocessableEntity, "incorrect_answer"); !strings.Contains(r.stringAt("details", "purpose"), "sign_in") {
		t.Error(r.text)
	}
}
