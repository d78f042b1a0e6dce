package watchword

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// Claims are what a receipt states. In JSON they are the receipt's payload; times are seconds since 1970
// (NumericDate, RFC 7519 §2).
type Claims struct {
	Issuer      string            `json:"iss"`
	Audience    string            `json:"aud"` // the app
	Subject     string            `json:"sub,omitempty"`
	ID          string            `json:"jti"` // the challenge
	IssuedAt    int64             `json:"iat"`
	ExpiresAt   int64             `json:"exp"`
	AuthTime    int64             `json:"auth_time"` // when the right answer came in
	Purpose     string            `json:"purpose"`
	Strategy    string            `json:"strategy"`
	Channel     string            `json:"channel,omitempty"`
	AMR         []string          `json:"amr,omitempty"` // RFC 8176
	SentTo      string            `json:"sent_to,omitempty"`
	AddressHash string            `json:"address_hash,omitempty"` // Engine.AddressHash of the canonical address
	Factor      string            `json:"factor,omitempty"`
	Nonce       string            `json:"nonce,omitempty"`
	Transaction map[string]string `json:"transaction,omitempty"`
	Extra       map[string]any    `json:"extra,omitempty"` // what a strategy adds

	extra []byte // Extra as JSON, where it is there already
}

// casTries bounds how often a record is read again because somebody else changed it meanwhile.
const casTries = 8

// A RedeemRequest collects the receipt of a challenge that was answered on a page or by a link.
type RedeemRequest struct {
	Handle  string // the starter's own secret
	Purpose string
	Subject string
	To      string

	// Seed, if set, names this request: the same one again, after its answer was lost, gets the same receipt.
	Seed []byte
}

// Redeem gives the claims of the waiting receipt to whoever holds the handle, once. A wrong handle is
// ErrUnknownChallenge, whatever the challenge's state.
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

// errCollected ends a change that has been made already, by the same request.
var errCollected = errors.New("watchword: done already by the same request")

// enrolled is what the challenge has enrolled, as Check would have returned it; nil if that was not its purpose, or if it
// is gone by now.
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

// collectableApproval reports how the challenge was won, if its receipt still waits; errCollected if this very request has collected
// it, and nobody has redeemed it since.
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

// refreshClaims brings the claims up to date: a receipt is issued when it is collected.
func (e *Engine) refreshClaims(rec *record, won, collected time.Time) *Claims {
	if rec.Claims == nil {
		return e.claims(rec, won, collected)
	}
	claims := *rec.Claims
	claims.ExpiresAt += collected.Unix() - claims.IssuedAt
	claims.IssuedAt = collected.Unix()
	return &claims
}

// RedeemReceipt spends a receipt, once: claims are what its signature proved. ErrReceiptInvalid if another issuer made it,
// it is not for the purpose or its challenge is not known any more, ErrReceiptUsed the second time, but for a repetition
// with the same seed.
func (e *Engine) RedeemReceipt(ctx context.Context, claims Claims, purpose string, seed []byte) error {
	if claims.Purpose != purpose {
		return ErrReceiptInvalid
	}
	return e.spendReceipt(ctx, claims, seed, func(*record) error { return nil })
}

// spendReceipt spends a receipt if what is known of its challenge passes a check.
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

// updateRecord reads a record, lets edit change it, and writes it back unless somebody else changed it meanwhile: then it is
// read again. What edit refuses is returned and nothing is written.
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

// claims states what happened, in a receipt that is issued at the given time. An answer that was evaluated adds its own AMR.
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

// AddressHash is the address_hash of a canonical address: HMAC-SHA-256 under AddressKey, base64url without padding.
// An app compares it with its own record instead of storing what was sent to.
func (e *Engine) AddressHash(address string) string {
	sum := e.identity.addresses.plain(address)
	var text [43]byte
	b64.Encode(text[:], sum[:])
	return string(text[:])
}

// AddressKey is the key of address_hash, for the app alone.
func (e *Engine) AddressKey() Code { return NewCode(b64.EncodeToString(e.identity.addresses.key)) }
