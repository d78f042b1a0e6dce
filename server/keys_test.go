package server_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	b := newBench(t, options{})
	id := b.start()
	for _, c := range []struct {
		authorization string
		status        int
		code          string
		detail        string
	}{
		{"", http.StatusUnauthorized, "unauthorized", "The request has no key."},
		{"Bearer", http.StatusUnauthorized, "unauthorized", "of the form Bearer KEY"},
		{"Bearer ", http.StatusUnauthorized, "unauthorized", "not one that this server knows"},
		{"Bearer nobody's", http.StatusUnauthorized, "unauthorized", "not one that this server knows"},
		{"Bearer dev", http.StatusUnauthorized, "unauthorized", "not one that this server knows"},
		{"Bearer  " + shopKey, http.StatusUnauthorized, "unauthorized", "not one that this server knows"},
		{"Bearer " + shopKey + " ", http.StatusUnauthorized, "unauthorized", "not one that this server knows"},
		{"Bearer " + strings.ToUpper(shopKey), http.StatusUnauthorized, "unauthorized", "not one that this server knows"},
		{"Basic " + shopKey, http.StatusUnauthorized, "unauthorized", "of the form Bearer KEY"},
		{shopKey, http.StatusUnauthorized, "unauthorized", "of the form Bearer KEY"},
		{"Bearer " + factorsKey, http.StatusForbidden, "forbidden", "the scope challenges"},
		{"Bearer " + shopKey, http.StatusOK, "", ""},
		{"bearer " + shopKey, http.StatusOK, "", ""},
		{"Bearer " + shopKey2, http.StatusOK, "", ""},
	} {
		r := b.get("/v1/challenges/"+id, "Authorization", c.authorization).want(t, c.status, c.code)
		if challenge := r.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (c.status == http.StatusUnauthorized) {
			t.Errorf("%q: WWW-Authenticate is %q", c.authorization, challenge)
		}
		if got := r.str("detail"); !strings.Contains(got, c.detail) || (got == "") != (c.detail == "") {
			t.Errorf("%q: detail is %q, want %q", c.authorization, got, c.detail)
		}
	}
	twice := request(http.MethodGet, "/v1/challenges/"+id, "")
	twice.Header["Authorization"] = []string{"Bearer " + shopKey, "Bearer " + shopKey2}
	if r := b.do(twice).want(t, http.StatusUnauthorized, "unauthorized"); !strings.Contains(r.str("detail"), "twice") {
		t.Errorf("two keys: %s", r.text)
	}
}

// TestEveryOperationNeedsAKey goes through the document, so that none can be forgotten.
func TestEveryOperationNeedsAKey(t *testing.T) {
	b := newBench(t, options{})
	seen := 0
	for path, item := range b.openapi.model.Paths.PathItems.FromOldest() {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method := range item.GetOperations().FromOldest() {
			seen++
			method, target, other := strings.ToUpper(method), strings.NewReplacer("{id}", "x", "{subject}", "x").Replace(path), factorsKey
			if strings.HasPrefix(path, "/v1/factors") || strings.HasPrefix(path, "/v1/subjects") {
				other = shopKey2
			}
			b.do(request(method, target, `{}`, "Authorization", "")).want(t, http.StatusUnauthorized, "unauthorized")
			b.do(request(method, target, `{}`, "Authorization", "Bearer "+other)).want(t, http.StatusForbidden, "forbidden")
		}
	}
	if seen < 12 {
		t.Errorf("only %d operations", seen)
	}
}

// TestForeignLooksUnknown compares whole answers: a challenge of another app, one that nobody made, and no id at all.
func TestForeignLooksUnknown(t *testing.T) {
	b := newBench(t, options{})
	foreign := b.post("/v1/challenges", signIn, "Authorization", "Bearer "+bankKey).want(t, http.StatusCreated, "").str("id")
	made := foreign[:len(foreign)-1] + "A"
	for target, body := range map[string]string{
		"":        "",
		"/check":  `{"purpose":"sign_in","subject":"user_42","answer":"` + b.code("bank", foreign) + `"}`,
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
			texts = append(texts, b.do(request(method, "/v1/challenges/"+id+target, body)).want(t, http.StatusNotFound, "unknown_challenge").text)
		}
		for _, text := range texts {
			if text != texts[0] {
				t.Errorf("%s tells them apart: %s and %s", target, texts[0], text)
			}
		}
	}
	if r := b.get("/v1/challenges/"+foreign, "Authorization", "Bearer "+bankKey); r.at("attempts_remaining") != 5.0 || r.str("status") != "pending" {
		t.Errorf("a stranger has changed it: %s", r.text)
	}
}

// TestCheckRejectsCodeOfAnotherAppPurposeSubjectAddressOrTransaction tries a right code at everything that is off by one thing. Each is wrong, costs a try where
// there is a challenge, and consumes nothing: the code still works in its own place.
func TestOnlyTheDiagonalPasses(t *testing.T) {
	b := newBench(t, options{})
	const pay = `{"strategy":"otp","purpose":"pay","channel":"sms","to":"+14155550100","transaction":{"amount":"40.00"}}`
	paying := b.post("/v1/challenges", pay).want(t, http.StatusCreated, "").str("id")
	other := b.post("/v1/challenges", strings.Replace(pay, "0100", "0101", 1)).want(t, http.StatusCreated, "").str("id")
	code := b.code("shop", paying)
	if code == b.code("shop", other) {
		t.Skip("one in a million: both challenges have the same code")
	}
	check := func(id, purpose, who, transaction string, headers ...string) *reply {
		return b.post("/v1/challenges/"+id+"/check", `{"purpose":"`+purpose+`",`+who+`,"answer":"`+code+`","transaction":{"amount":"`+transaction+`"}}`, headers...)
	}
	const to, wrongAnswer = `"to":"+14155550100"`, http.StatusUnprocessableEntity
	check(paying, "pay", to, "40.00", "Authorization", "Bearer "+bankKey).want(t, http.StatusNotFound, "unknown_challenge")
	check(other, "pay", `"to":"+14155550101"`, "40.00").want(t, wrongAnswer, "incorrect_answer")
	check(paying, "sign_in", to, "40.00").want(t, wrongAnswer, "incorrect_answer")
	check(paying, "pay", `"to":"+14155550101"`, "40.00").want(t, wrongAnswer, "incorrect_answer")
	check(paying, "pay", `"subject":"+14155550100"`, "40.00").want(t, wrongAnswer, "incorrect_answer")
	if r := check(paying, "pay", to, "40.01").want(t, wrongAnswer, "incorrect_answer"); r.at("attempts_remaining") != 1.0 {
		t.Errorf("after four wrong answers: %s", r.text)
	}
	check(paying, "pay", to, "40.00").want(t, http.StatusOK, "")
}
