package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestVerificationAnsweredOnAPageIsRedeemedOnce(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(mfaRequest)
	redeem := func(handle string) *apiResponse {
		return ts.post(v.path+"/redeem", `{"handle":"`+handle+`","purpose":"mfa","subject":"user_42"}`)
	}
	handle := v.started.stringAt("handle")
	code := v.openCode("m1")
	redeem(handle).want(t, http.StatusConflict, "not_answered")
	must(t, ts.engines["shop"].AnswerVerification(t.Context(), v.started.stringAt("id"), "m1", watchword.Answer{Text: code, Starter: true}, watchword.Client{}))
	redeem("hd_x").want(t, http.StatusNotFound, "unknown_verification")
	r := redeem(handle).want(t, http.StatusOK, "")
	requireReceipt(t, r)
	if r.stringAt("method") != "m1" {
		t.Errorf("redeemed: %s", r.text)
	}
	redeem(handle).want(t, http.StatusConflict, "receipt_used")
}

// As soon as the hosted page was opened, the receipt needs the return code of the browser that opened it.
func TestRedeemVerificationNeedsReturnCodeOfTheOpenedPage(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	v := ts.startVerification(strings.Replace(mfaRequest, "{", `{"return_url":"https://app.example.com/done?from=mfa",`, 1))
	id, engine := v.started.stringAt("id"), ts.engines["shop"]
	cookie, err := engine.OpenVerificationPage(t.Context(), id, v.started.stringAt("ticket"), nil)
	must(t, err)
	must(t, engine.AnswerVerification(t.Context(), id, "m1", watchword.Answer{Text: v.openCode("m1"), Starter: true}, watchword.Client{}))
	redeem := func(more string) *apiResponse {
		return ts.post(v.path+"/redeem", `{"handle":"`+v.started.stringAt("handle")+`","purpose":"mfa","subject":"user_42"`+more+`}`)
	}
	for _, wrong := range []string{``, `,"return_code":null`, `,"return_code":""`, `,"return_code":"rc_x"`, `,"return_code":"` + v.started.stringAt("ticket") + `"`} {
		redeem(wrong).want(t, http.StatusUnprocessableEntity, "return_code_invalid")
	}
	page, err := engine.ViewVerificationPage(t.Context(), id, cookie.Reveal())
	must(t, err)
	next, err := url.Parse(page.Next.Reveal())
	must(t, err)
	query := next.Query()
	if query.Get("verification") != id || query.Get("from") != "mfa" || query.Get("return_code") == "" {
		t.Fatalf("the way back: %s", next)
	}
	right := `,"return_code":"` + query.Get("return_code") + `"`
	ts.clock.advance(61 * time.Second)
	redeem(right).want(t, http.StatusUnprocessableEntity, "return_code_invalid")
	page, err = engine.ViewVerificationPage(t.Context(), id, cookie.Reveal())
	must(t, err)
	next, err = url.Parse(page.Next.Reveal())
	must(t, err)
	right = `,"return_code":"` + next.Query().Get("return_code") + `"`
	requireReceipt(t, redeem(right).want(t, http.StatusOK, ""))
	redeem(right).want(t, http.StatusConflict, "receipt_used")
}
