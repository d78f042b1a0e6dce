package watchword

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// Claims are the content of a receipt. As JSON they are the payload of the receipt's JWT. Times are seconds since 1970
// (NumericDate, RFC 7519 §2).
type Claims struct {
	Issuer      string            `json:"iss"` // Config.Issuer
	Audience    string            `json:"aud"` // the id of the app
	Subject     string            `json:"sub,omitempty"`
	ID          string            `json:"jti"` // the id of the challenge
	IssuedAt    int64             `json:"iat"`
	ExpiresAt   int64             `json:"exp"`
	AuthTime    int64             `json:"auth_time"` // when the right answer arrived
	Purpose     string            `json:"purpose"`
	Strategy    string            `json:"strategy"`
	Channel     string            `json:"channel,omitempty"`
	AMR         []string          `json:"amr,omitempty"`          // RFC 8176
	SentTo      string            `json:"sent_to,omitempty"`      // masked address
	AddressHash string            `json:"address_hash,omitempty"` // Engine.AddressHash of the canonical address
	Factor      string            `json:"factor,omitempty"`       // id of the factor that answered
	Nonce       string            `json:"nonce,omitempty"`
	Transaction map[string]string `json:"transaction,omitempty"`
	Extra       map[string]any    `json:"extra,omitempty"` // details that the strategy adds

	extra []byte // Extra as JSON, if it was encoded already
}

// maxConflictRetries bounds how often a record or factor is read again because it was changed meanwhile.
const casTries = 8

// A RedeemRequest collects the receipt of a challenge that was answered on a page or by a link. It repeats the purpose and
// the subject or address of the start.
type RedeemRequest struct {
	Handle  string // Started.Handle
	Purpose string
	Subject string // empty if the start had none
	To      string // the address of a start without a subject; not with Subject

	// Seed, if set, names the request. A repetition with the same seed returns the same receipt if the first response was
	// lost.
	Seed []byte
}

// Redeem returns the claims of an approved challenge's receipt, once. A wrong handle returns ErrUnknownChallenge in every
// state; a pending challenge returns ErrNotAnswered, and a receipt that was collected before returns ErrReceiptUsed.
func (e *Engine) Redeem(ctx context.Context, id string, req RedeemRequest) (*Result, error) {
	i, err := e.parse(id)
	if err != nil {
		return nil, err
	}
	switch {
	case req.Purpose == "":
		return nil, invalid("purpose", "is required")
	case req.Subject != "" && req.To != "":
		return nil, invalid("to", "must not be given beside subject")
	case !isSubject(req.Subject):
		return nil, invalid("subject", subjectReason)
	}
	claimed := e.claimedRespondent(CheckRequest{Subject: req.Subject, To: req.To})
	by := e.newAttempt(req.Seed)
	var result *Result
	err = e.updateRecord(ctx, i, func(rec *record, entry Entry) error {
		if subtle.ConstantTimeCompare([]byte(req.Handle), []byte(rec.handle().Reveal())) != 1 {
			return ErrUnknownChallenge
		}
		if claimed == "" && respondentOf(rec.Subject, rec.Address) != "" {
			return invalid("subject", "is required, or to where the challenge has no subject")
		}
		won, err := e.collectableApproval(rec, entry, by)
		again := errors.Is(err, errCollected)
		if err != nil && !again {
			return err
		}
		if a := (&attempt{purpose: req.Purpose, respondent: claimed}); contradicts(rec, a) {
			return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0), Extra: e.explainContradiction(ctx, rec, a)}
		}
		if !again {
			rec.Collected, rec.CollectedBy, rec.CollectedAt = true, by, e.cfg.Clock().UTC()
		}
		result = &Result{Claims: e.refreshClaims(rec, won.at, rec.CollectedAt)}
		if result.Factor, err = e.enrolled(ctx, rec); err == nil && again {
			err = errCollected
		}
		return err
	})
	if errors.Is(err, errCollected) {
		return result, nil
	}
	if err != nil {
		return nil, err
	}
	if !e.tombstones.Add(i.rand, endCollected, Approved) {
		return nil, ErrReceiptUsed
	}
	return result, nil
}

// errRepeatedRequest ends a change that the same request has made before.
var errCollected = errors.New("watchword: done already by the same request")

// enrolledFactor returns the factor that the challenge has enrolled, as Check would have returned it; nil for another purpose
// and if the factor was removed.
func (e *Engine) enrolled(ctx context.Context, rec *record) (*Factor, error) {
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
func (e *Engine) collectableApproval(rec *record, entry Entry, by attemptID) (approval, error) {
	status, won := e.status(rec, entry)
	switch {
	case status == Pending:
		return won, ErrNotAnswered
	case status != Approved:
		return won, closedError(status)
	case rec.Collected && rec.CollectedBy == by && !rec.Redeemed:
		return won, errCollected
	case !won.waits || rec.Collected:
		return won, ErrReceiptUsed
	}
	return won, nil
}

// refreshClaims sets the times of the claims: a receipt is issued when it is collected.
func (e *Engine) refreshClaims(rec *record, won, collected time.Time) *Claims {
	if rec.Claims == nil {
		return e.claims(rec, won, collected)
	}
	claims := *rec.Claims
	claims.ExpiresAt += collected.Unix() - claims.IssuedAt
	claims.IssuedAt = collected.Unix()
	return &claims
}

// RedeemReceipt spends a receipt, once. The caller has verified the signature of the claims. ErrReceiptInvalid if another
// issuer made the receipt, it is for another purpose, or its challenge is unknown. ErrReceiptUsed the second time, except for
// a repetition with the same seed.
func (e *Engine) RedeemReceipt(ctx context.Context, claims Claims, purpose string, seed []byte) error {
	if claims.Purpose != purpose {
		return ErrReceiptInvalid
	}
	return e.spendReceipt(ctx, claims, seed, func(*record) error { return nil })
}

// spendReceipt spends a receipt if its challenge's record passes the check.
func (e *Engine) spendReceipt(ctx context.Context, claims Claims, seed []byte, check func(*record) error) error {
	i, err := e.parse(claims.ID)
	if err != nil || claims.Issuer != e.cfg.Issuer || claims.Audience != e.cfg.App {
		return ErrReceiptInvalid
	}
	by := e.newAttempt(seed)
	err = e.updateRecord(ctx, i, func(rec *record, entry Entry) error {
		if status, _ := e.status(rec, entry); status != Approved {
			return ErrReceiptInvalid
		}
		again := rec.Redeemed && rec.RedeemedBy == by
		if rec.Redeemed && !again {
			return ErrReceiptUsed
		}
		rec.Redeemed, rec.RedeemedBy = true, by
		if err := check(rec); err != nil || !again {
			return err
		}
		return errCollected
	})
	switch {
	case errors.Is(err, errCollected):
		return nil
	case errors.Is(err, ErrUnknownChallenge):
		return ErrReceiptInvalid
	case err == nil && !e.tombstones.Add(i.rand, endRedeemed, Approved):
		return ErrReceiptUsed
	}
	return err
}

// updateRecord reads a record, calls edit and writes the record by compare-and-set. It starts again if the record was changed
// meanwhile. An error of edit is returned and nothing is written.
func (e *Engine) updateRecord(ctx context.Context, i challengeID, edit func(*record, Entry) error, out ...Outgoing) error {
	for range casTries {
		entry, rec, err := e.read(ctx, i)
		if err != nil {
			return err
		}
		if err := edit(rec, entry); err != nil {
			return err
		}
		switch err := e.update(ctx, rec, out...); {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotFound):
			return ErrUnknownChallenge
		case !errors.Is(err, ErrConflict):
			return unavailable(err)
		}
	}
	return unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
}

// claims returns the claims of a receipt that is issued at the given time. For a Verifier's answer the caller sets AMR.
func (e *Engine) claims(rec *record, won, issued time.Time) *Claims {
	c := &Claims{Issuer: e.cfg.Issuer, Audience: e.cfg.App, Subject: rec.Subject, ID: rec.ID, IssuedAt: issued.Unix(),
		ExpiresAt: issued.Add(e.cfg.ReceiptLifetime).Unix(), AuthTime: won.Unix(), Purpose: rec.Purpose, Strategy: rec.Strategy,
		Channel: rec.SentChannel(), SentTo: rec.SentTo, Factor: rec.Factor, Nonce: rec.Nonce, Transaction: rec.Transaction}
	if rec.Address != "" {
		c.AddressHash = e.AddressHash(rec.Address)
	}
	if g, ok := rec.id.strategy.(Matcher); ok {
		c.AMR = g.AMR(&rec.Challenge)
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
