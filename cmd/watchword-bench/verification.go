package main

import (
	"context"
	"errors"
)

// verificationMode measures verifications: a cycle is a start with two methods, of which the first is opened, and a wrong and a
// right check.
var verificationMode = mode{key: "verification", name: "watchword, verifications, no limits", command: watchwordCommand(withoutLimits),
	cycle: (*loadWorker).runVerification}

// A verificationRequest is the body of a verification's start.
type verificationRequest struct {
	Purpose string        `json:"purpose"`
	Subject string        `json:"subject"`
	Methods []methodOfOTP `json:"methods"`
	Open    string        `json:"open"`
	Client  requestClient `json:"client"`
}

type methodOfOTP struct {
	Strategy string `json:"strategy"`
	Channel  string `json:"channel"`
	To       string `json:"to"`
}

// runVerification runs one cycle with a verification.
func (w *loadWorker) runVerification(ctx context.Context, p person) {
	var started struct {
		ID        string `json:"id"`
		Challenge struct {
			ID string `json:"id"`
		} `json:"challenge"`
	}
	second := wrongCode(p.number) // another number of the same range
	methods := []methodOfOTP{{"otp", "sms", p.number}, {"otp", "sms", second}}
	w.post(ctx, "/v1/verifications", verificationRequest{"mfa", p.subject, methods, "first", requestClient{p.ip}}, &started)
	if w.err == nil && started.Challenge.ID == "" {
		w.err = errors.New("the start of a verification opened no method")
	}
	w.finishCycle(ctx, "/v1/verifications/"+started.ID, "mfa", started.Challenge.ID, p)
}
