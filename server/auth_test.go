package server_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestAuthorizationRejectsInvalidKeys(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	id := ts.startChallenge()
	for _, c := range []struct {
		authorization string
		status        int
		code          string
		detail        string
	}{
		{"", http.StatusUnauthorized, "unauthorized", "The request has no API key."},
		{"Bearer", http.StatusUnauthorized, "unauthorized", "of the form Bearer KEY"},
		{"Bearer ", http.StatusUnauthorized, "unauthorized", "unknown to this server"},
		{"Bearer nobody's", http.StatusUnauthorized, "unauthorized", "unknown to this server"},
		{"Bearer dev", http.StatusUnauthorized, "unauthorized", "unknown to this server"},
		{"Bearer  " + shopKey, http.StatusUnauthorized, "unauthorized", "unknown to this server"},
		{"Bearer " + shopKey + " ", http.StatusUnauthorized, "unauthorized", "unknown to this server"},
		{"Bearer " + strings.ToUpper(shopKey), http.StatusUnauthorized, "unauthorized", "unknown to this server"},
		{"Basic " + shopKey, http.StatusUnauthorized, "unauthorized", "of the form Bearer KEY"},
		{shopKey, http.StatusUnauthorized, "unauthorized", "of the form Bearer KEY"},
		{"Bearer " + factorsKey, http.StatusForbidden, "forbidden", "the scope challenges"},
		{"Bearer " + shopKey, http.StatusOK, "", ""},
		{"bearer " + shopKey, http.StatusOK, "", ""},
		{"Bearer " + shopKey2, http.StatusOK, "", ""},
	} {
		r := ts.get("/v1/challenges/"+id, "Authorization", c.authorization).want(t, c.status, c.code)
		if challenge := r.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (c.status == http.StatusUnauthorized) {
			t.Errorf("%q: WWW-Authenticate is %q", c.authorization, challenge)
		}
		if got := r.stringAt("detail"); !strings.Contains(got, c.detail) || (got == "") != (c.detail == "") {
			t.Errorf("%q: detail is %q, want %q", c.authorization, got, c.detail)
		}
	}
	twice := newRequest(http.MethodGet, "/v1/challenges/"+id, "")
	twice.Header["Authorization"] = []string{"Bearer " + shopKey, "Bearer " + shopKey2}
	if r := ts.send(twice).want(t, http.StatusUnauthorized, "unauthorized"); !strings.Contains(r.stringAt("detail"), "more than once") {
		t.Errorf("two keys: %s", r.text)
	}
}

// TestEveryOperationNeedsKeyWithScope takes the operations from the OpenAPI document, so that none is left out.
func TestEveryOperationNeedsKeyWithScope(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	seen := 0
	for path, item := range ts.contract.model.Paths.PathItems.FromOldest() {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method := range item.GetOperations().FromOldest() {
			seen++
			method, target, other := strings.ToUpper(method), strings.NewReplacer("{id}", "x", "{subject}", "x").Replace(path), factorsKey
			if strings.HasPrefix(path, "/v1/factors") || strings.HasPrefix(path, "/v1/subjects") {
				other = shopKey2
			}
			ts.send(newRequest(method, target, `{}`, "Authorization", "")).want(t, http.StatusUnauthorized, "unauthorized")
			ts.send(newRequest(method, target, `{}`, "Authorization", "Bearer "+other)).want(t, http.StatusForbidden, "forbidden")
		}
	}
	if seen < 12 {
		t.Errorf("only %d operations", seen)
	}
}

// TestChallengeOfAnotherAppIsUnknown compares complete responses for another app's challenge, an unknown id and texts that
// are no ids.
func TestChallengeOfAnotherAppIsUnknown(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	foreign := ts.post("/v1/challenges", signInRequest, "Authorization", "Bearer "+bankKey).want(t, http.StatusCreated, "").stringAt("id")
	made := foreign[:len(foreign)-1] + "A"
	for target, body := range map[string]string{
		"":        "",
		"/check":  `{"purpose":"sign_in","subject":"user_42","answer":"` + ts.sentCode("bank", foreign) + `"}`,
		"/redeem": `{"handle":"hd_x","purpose":"sign_in","subject":"user_42"}`,
		"/resend": `{}`,
		"/cancel": `{}`,
	} {
		method := http.MethodPost
		if target == "" {
			method = http.MethodGet
		}
		var texts []string
		for _, id := range []string{foreign, made, "ch_", "x", "a%2Fb", "a%00b", "%2e%2e", "%2F%2F", strings.Repeat("x", 5000)} {
			texts = append(texts, ts.send(newRequest(method, "/v1/challenges/"+id+target, body)).want(t, http.StatusNotFound, "unknown_challenge").text)
		}
		for _, text := range texts {
			if text != texts[0] {
				t.Errorf("%s: responses differ: %s and %s", target, texts[0], text)
			}
		}
	}
	if r := ts.get("/v1/challenges/"+foreign, "Authorization", "Bearer "+bankKey); r.valueAt("attempts_remaining") != 5.0 || r.stringAt("status") != "pending" {
		t.Errorf("a request of another app changed it: %s", r.text)
	}
}

// TestCheckRejectsCodeOfAnotherChallengePurposeOrAddress sends a right code with one wrong value at a time. Each request is
// rejected and charges a try, and the code still works with the right values.
func TestCheckRejectsCodeOfAnotherChallengePurposeOrAddress(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	const pay = `{"strategy":"otp","purpose":"pay","channel":"sms","to":"+14155550100","transaction":{"amount":"40.00"}}`
	paying := ts.post("/v1/challenges", pay).want(t, http.StatusCreated, "").stringAt("id")
	other := ts.post("/v1/challenges", strings.Replace(pay, "0100", "0101", 1)).want(t, http.StatusCreated, "").stringAt("id")
	code := ts.sentCode("shop", paying)
	if code == ts.sentCode("shop", other) {
		t.Skip("one in a million: both challenges have the same code")
	}
	check := func(id, purpose, who, transaction string, headers ...string) *apiResponse {
		return ts.post("/v1/challenges/"+id+"/check", `{"purpose":"`+purpose+`",`+who+`,"answer":"`+code+`","transaction":{"amount":"`+transaction+`"}}`, headers...)
	}
	const to, wrongAnswer = `"to":"+14155550100"`, http.StatusUnprocessableEntity
	check(paying, "pay", to, "40.00", "Authorization", "Bearer "+bankKey).want(t, http.StatusNotFound, "unknown_challenge")
	check(other, "pay", `"to":"+14155550101"`, "40.00").want(t, wrongAnswer, "incorrect_answer")
	check(paying, "sign_in", to, "40.00").want(t, wrongAnswer, "incorrect_answer")
	check(paying, "pay", `"to":"+14155550101"`, "40.00").want(t, wrongAnswer, "incorrect_answer")
	check(paying, "pay", `"subject":"+14155550100"`, "40.00").want(t, wrongAnswer, "incorrect_answer")
	if r := check(paying, "pay", to, "40.01").want(t, wrongAnswer, "incorrect_answer"); r.valueAt("attempts_remaining") != 1.0 {
		t.Errorf("after four wrong answers: %s", r.text)
	}
	check(paying, "pay", to, "40.00").want(t, http.StatusOK, "")
}
