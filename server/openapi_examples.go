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

// responseExamples returns an example of the successful response of each operation whose response is more than its request suggests,
// by the id of the operation.
func responseExamples() map[string]json.RawMessage {
	const (
		times     = `"created_at": "2026-08-01T10:00:00Z", "expires_at": "2026-08-01T10:10:00Z"`
		challenge = `"id": "ch_...", "status": "pending", "strategy": "otp", "channel": "sms", "purpose": "sign_in", "sent_to": "+1 ••• ••• ••23", "ask": "code", ` + times + `, "attempts_remaining": 5, "sends_remaining": 4, "resend_at": "2026-08-01T10:00:30Z", "delivery": {"status": "queued", "provider": "twilio"}`
		claims    = `{"iss": "https://verify.example.com", "aud": "shop", "jti": "ch_...", "iat": 1785578460, "exp": 1785578760, "auth_time": 1785578460, "purpose": "sign_in", "strategy": "otp", "channel": "sms", "amr": ["sms"], "sent_to": "+1 ••• ••• ••23", "address_hash": "..."}`
		factor    = `{"id": "fa_...", "strategy": "totp", "subject": "user_42", "label": "Ann's phone", "created_at": "2026-08-01T10:00:00Z", "status": "active"}`
	)
	return map[string]json.RawMessage{
		"startChallenge":    json.RawMessage(`{` + challenge + `, "handle": "hd_...", "public": {"length": 6, "alphabet": "0123456789"}}`),
		"readChallenge":     json.RawMessage(`{` + challenge + `}`),
		"checkChallenge":    json.RawMessage(`{"status": "approved", "receipt": "eyJ...", "claims": ` + claims + `}`),
		"redeemReceipt":     json.RawMessage(claims),
		"startVerification": json.RawMessage(`{"id": "vf_...", "handle": "hd_...", "status": "pending", "purpose": "mfa", "subject": "user_42", "methods": [{"id": "m1", "strategy": "webauthn", "ask": "key"}, {"id": "m3", "strategy": "otp", "channel": "sms", "sent_to": "+1 ••• ••• ••23", "ask": "code"}], ` + times + `, "page_url": "https://verify.example.com/v/vf_...#vt_...", "ticket": "vt_..."}`),
		"checkVerification": json.RawMessage(`{"status": "approved", "receipt": "eyJ...", "claims": ` + claims + `, "method": "m3"}`),
		"listFactors":       json.RawMessage(`{"factors": [` + factor + `]}`),
		"readFactor":        json.RawMessage(factor),
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
