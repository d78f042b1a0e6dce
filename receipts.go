package watchword

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// Claims are the content of a receipt. As JSON they are the payload of the receipt's JWT. Times are seconds since 1970
// (NumericDate, RFC 7519 §2).
type Claims struct {
	Issuer       string            `json:"iss"` // Config.Issuer
	Audience     string            `json:"aud"` // the id of the app
	Subject      string            `json:"sub,omitempty"`
	ID           string            `json:"jti"`                    // the id of the challenge
	Verification string            `json:"verification,omitempty"` // id of the verification that the challenge is part of
	IssuedAt     int64             `json:"iat"`
	ExpiresAt    int64             `json:"exp"`
	AuthTime     int64             `json:"auth_time"` // when the right answer arrived
	Purpose      string            `json:"purpose"`
	Strategy     string            `json:"strategy"`
	Channel      string            `json:"channel,omitempty"`
	AMR          []string          `json:"amr,omitempty"`          // RFC 8176
	ACR          string            `json:"acr,omitempty"`          // ACRPhishingResistant, or none
	SentTo       string            `json:"sent_to,omitempty"`      // masked address
	AddressHash  string            `json:"address_hash,omitempty"` // Engine.AddressHash of the canonical address
	Factor       string            `json:"factor,omitempty"`       // id of the factor that answered
	Nonce        string            `json:"nonce,omitempty"`
	Transaction  map[string]string `json:"transaction,omitempty"`
	Extra        map[string]any    `json:"extra,omitempty"` // details that the strategy adds

	extra []byte // Extra as JSON, if it was encoded already
}

// fields lists the encrypted fields of the claims.
func (c *Claims) fields(f *codec.Codec) {
	for _, text := range []*string{&c.Issuer, &c.Audience, &c.Subject, &c.ID, &c.Purpose, &c.Strategy, &c.Channel, &c.SentTo, &c.AddressHash, &c.Factor, &c.Nonce, &c.ACR} {
		f.Text(text)
	}
	for _, seconds := range []*int64{&c.IssuedAt, &c.ExpiresAt, &c.AuthTime} {
		f.Number64(seconds)
	}
	f.Words(&c.AMR)
	f.Texts(&c.Transaction)
	f.Text(&c.Verification)
	if !f.Reading() && c.extra != nil {
		f.Bytes(&c.extra)
		return
	}
	f.Document(c.Extra != nil, &c.Extra)
}

// A RedeemRequest collects the receipt of a challenge that was answered on a page or by a link. It repeats the purpose and
// the subject or address of the start.
type RedeemRequest struct {
	Handle  string // Started.Handle
	Purpose string
	Subject string // empty if the start had none
	To      string // the address of a start without a subject; not with Subject

	// ReturnCode is the parameter return_code that the hosted page added to the return URL. It is required once a browser has
	// opened the page (see Engine.OpenPage), also if the answer came by other means, such as a link. It is valid for a minute.
	ReturnCode string

	// Seed, if set, names the request. A repetition with the same seed returns the same receipt if the first response was
	// lost.
	Seed []byte
}

// Redeem returns the claims of an approved challenge's receipt, once. A wrong handle returns ErrUnknownChallenge in every
// state. Otherwise a pending challenge returns ErrNotAnswered, a challenge that ended without approval returns the error of
// its state, and a receipt that was collected before returns ErrReceiptUsed. A return code that is required and is missing,
// wrong or expired returns ErrReturnCodeInvalid, and charges no try. A wrong purpose, subject or address returns
// ErrIncorrectAnswer and charges no try.
func (e *Engine) Redeem(ctx context.Context, id string, req RedeemRequest) (*Result, error) {
	parsed, err := e.parseWhole(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := validateRedeem(req); err != nil {
		return nil, err
	}
	claimed := e.claimedRespondent(CheckRequest{Subject: req.Subject, To: req.To})
	requestID := e.newRequestID(req.Seed)
	var result *Result
	err = e.updateRecord(ctx, parsed, func(rec *record, entry Entry) error {
		if subtle.ConstantTimeCompare([]byte(req.Handle), []byte(rec.handle().Reveal())) != 1 {
			return ErrUnknownChallenge
		}
		if claimed == "" && respondentOf(rec.Subject, rec.Address) != "" {
			return invalid("subject", "is required, or to where the challenge has no subject")
		}
		approved, err := e.collectableApproval(rec, entry, requestID)
		repeated := errors.Is(err, errRepeatedRequest)
		if err != nil && !repeated {
			return err
		}
		if err := e.checkReturnCode(rec, approved, req.ReturnCode, repeated); err != nil {
			return err
		}
		if a := (&attempt{purpose: req.Purpose, respondent: claimed}); contradicts(rec, a) {
			return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0), Extra: e.explainContradiction(ctx, rec, a)}
		}
		if !repeated {
			rec.Collected, rec.CollectedBy, rec.CollectedAt = true, requestID, e.cfg.Clock().UTC()
		}
		result = &Result{Claims: e.refreshClaims(rec, approved.at, rec.CollectedAt)}
		if result.Factor, err = e.enrolledFactor(ctx, rec); err == nil && repeated {
			err = errRepeatedRequest
		}
		return err
	})
	if errors.Is(err, errRepeatedRequest) {
		return result, nil
	}
	if err != nil {
		return nil, err
	}
	if !e.tombstonesOf(parsed).Add(parsed.random, tombstoneCollected, Approved) {
		return nil, ErrReceiptUsed
	}
	return result, nil
}

// validateRedeem refuses a request that lacks the purpose, or names both a subject and an address.
func validateRedeem(req RedeemRequest) error {
	switch {
	case req.Purpose == "":
		return invalid("purpose", "is required")
	case req.Subject != "" && req.To != "":
		return invalid("to", "must not be given beside subject")
	case !isSubject(req.Subject):
		return invalid("subject", subjectReason)
	}
	return nil
}

// errRepeatedRequest ends a change that the same request has made before.
var errRepeatedRequest = errors.New("watchword: done already by the same request")

// enrolledFactor returns the factor that the challenge has enrolled, as Check would have returned it; nil for another purpose
// and if the factor was removed.
func (e *Engine) enrolledFactor(ctx context.Context, rec *record) (*Factor, error) {
	if rec.Purpose != PurposeEnrol || rec.Claims == nil {
		return nil, nil
	}
	f, err := e.GetFactor(ctx, rec.Claims.Factor)
	if errors.Is(err, ErrUnknownFactor) {
		return nil, nil
	}
	return &f, err
}

// collectableApproval returns the approval of a challenge whose receipt can be collected; errRepeatedRequest if the same
// request has collected it and it was not redeemed since.
func (e *Engine) collectableApproval(rec *record, entry Entry, requestID requestID) (approval, error) {
	status, approved := e.status(rec, entry)
	switch {
	case status == Pending:
		return approved, ErrNotAnswered
	case status != Approved:
		return approved, closedError(status)
	case rec.Collected && rec.CollectedBy == requestID && !rec.Redeemed:
		return approved, errRepeatedRequest
	case !approved.uncollected || rec.Collected:
		return approved, ErrReceiptUsed
	}
	return approved, nil
}

// refreshClaims sets the times of the claims: a receipt is issued when it is collected.
func (e *Engine) refreshClaims(rec *record, approvedAt, collected time.Time) *Claims {
	if rec.Claims == nil {
		return e.claims(rec, approvedAt, collected)
	}
	claims := *rec.Claims
	claims.ExpiresAt += collected.Unix() - claims.IssuedAt
	claims.IssuedAt = collected.Unix()
	return &claims
}

// RedeemReceipt spends a receipt, once. The caller must already have verified the signature and the expiry, as Signer.Parse
// does. It returns ErrReceiptInvalid if another issuer made the receipt, if it is for another purpose, or if its challenge
// is unknown. It returns ErrReceiptUsed if the receipt was spent before, except by a request with the same seed.
func (e *Engine) RedeemReceipt(ctx context.Context, claims Claims, purpose string, seed []byte) error {
	if claims.Purpose != purpose {
		return ErrReceiptInvalid
	}
	return e.spendReceipt(ctx, claims, seed, func(*record) error { return nil })
}

// spendReceipt spends a receipt if its challenge's record passes the check.
func (e *Engine) spendReceipt(ctx context.Context, claims Claims, seed []byte, check func(*record) error) error {
	id, err := e.parse(claims.ID)
	if err != nil || claims.Issuer != e.cfg.Issuer || claims.Audience != e.cfg.App {
		return ErrReceiptInvalid
	}
	requestID := e.newRequestID(seed)
	err = e.updateRecord(ctx, id, func(rec *record, entry Entry) error {
		if status, _ := e.status(rec, entry); status != Approved {
			return ErrReceiptInvalid
		}
		repeated := rec.Redeemed && rec.RedeemedBy == requestID
		if rec.Redeemed && !repeated {
			return ErrReceiptUsed
		}
		rec.Redeemed, rec.RedeemedBy = true, requestID
		if err := check(rec); err != nil || !repeated {
			return err
		}
		return errRepeatedRequest
	})
	switch {
	case errors.Is(err, errRepeatedRequest):
		return nil
	case errors.Is(err, ErrUnknownChallenge):
		return ErrReceiptInvalid
	case err == nil && !e.tombstonesOf(id).Add(id.random, tombstoneRedeemed, Approved):
		return ErrReceiptUsed
	}
	return err
}

// claims returns the claims of a receipt that is issued at the given time. For a Verifier's answer the caller sets AMR.
func (e *Engine) claims(rec *record, approvedAt, issued time.Time) *Claims {
	c := &Claims{Issuer: e.cfg.Issuer, Audience: e.cfg.App, Subject: rec.Subject, ID: rec.ID, Verification: rec.Verification, IssuedAt: issued.Unix(),
		ExpiresAt: issued.Add(e.cfg.ReceiptLifetime).Unix(), AuthTime: approvedAt.Unix(), Purpose: rec.Purpose, Strategy: rec.Strategy,
		Channel: rec.SentChannel(), SentTo: rec.SentTo, Factor: rec.Factor, Nonce: rec.Nonce, Transaction: rec.Transaction}
	if rec.Address != "" {
		c.AddressHash = e.AddressHash(rec.Address)
	}
	if rec.Purpose != PurposeEnrol && rec.id.strategy.Properties().PhishingResistant {
		c.ACR = ACRPhishingResistant
	}
	if matcher, ok := rec.id.strategy.(Matcher); ok {
		c.AMR = matcher.AMR(&rec.Challenge)
	}
	return c
}

// AddressHash returns the address_hash of a canonical address: HMAC-SHA-256 under AddressKey in base64url without padding. An
// app compares it with the address in its own records.
func (e *Engine) AddressHash(address string) string {
	sum := e.identity.addresses.plain(address)
	var text [43]byte
	b64.Encode(text[:], sum[:])
	return string(text[:])
}

// AddressKey returns the key of address_hash. It is a secret of the app.
func (e *Engine) AddressKey() Code { return NewCode(b64.EncodeToString(e.identity.addresses.key)) }
