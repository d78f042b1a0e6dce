package server

import (
	"encoding/json"
	"strings"
)

// requestExamples returns an example of the request body of each operation that has one, by the id of the operation.
func requestExamples() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"startVerification":  json.RawMessage(`{"purpose": "mfa", "subject": "user_42", "methods": [{"strategy": "webauthn"}, {"strategy": "totp"}, {"strategy": "otp", "channel": "sms", "to": "+14155550123"}, {"strategy": "recovery"}], "client": {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0"}, "return_url": "https://app.example.com/done"}`),
		"openMethod":         json.RawMessage(`{"method": "m3"}`),
		"checkVerification":  json.RawMessage(`{"purpose": "mfa", "subject": "user_42", "method": "m3", "answer": "492039"}`),
		"redeemVerification": json.RawMessage(`{"handle": "hd_...", "purpose": "mfa", "subject": "user_42", "return_code": "rc_..."}`),
		"resendVerification": json.RawMessage(`{"method": "m3"}`),
		"cancelVerification": json.RawMessage(`{}`),
		"startChallenge":     json.RawMessage(`{"strategy": "otp", "purpose": "sign_in", "channel": "sms", "to": "+14155550123", "client": {"ip": "203.0.113.7"}}`),
		"checkChallenge":     json.RawMessage(`{"purpose": "sign_in", "to": "+14155550123", "answer": "492039"}`),
		"redeemChallenge":    json.RawMessage(`{"handle": "hd_...", "purpose": "sign_in", "to": "+14155550123", "return_code": "rc_..."}`),
		"resendChallenge":    json.RawMessage(`{"channel": "voice"}`),
		"cancelChallenge":    json.RawMessage(`{}`),
		"redeemReceipt":      json.RawMessage(`{"receipt": "eyJ...", "purpose": "sign_in"}`),
		"renameFactor":       json.RawMessage(`{"label": "Ann's phone"}`),
	}
}

// tagOf returns the tag of an operation, by which documentation groups it: the first name of its path below /v1.
func tagOf(path string) string {
	name, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return "server"
	}
	name, _, _ = strings.Cut(name, "/")
	return name
}
