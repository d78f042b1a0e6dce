package watchword

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// casTries bounds how often a record is read again because somebody else changed it meanwhile.
const casTries = 8

// A RedeemRequest collects the receipt of a challenge that was answered on a page or by a link.
type RedeemRequest struct {
	Handle  string // the starter's own secret
	Purpose string
	Subject string
	To      string
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
		return nil, invalid("subject", badSubject)
	}
	claimed := e.whoIs(CheckRequest{Subject: req.Subject, To: req.To})
	var result *Result
	err = e.change(ctx, i, func(rec *record, entry Entry) error {
		if subtle.ConstantTimeCompare([]byte(req.Handle), []byte(rec.handle().Reveal())) != 1 {
			return ErrUnknownChallenge
		}
		if claimed == "" && who(rec.Subject, rec.Address) != "" {
			return invalid("subject", "is required, or to where the challenge has no subject")
		}
		at, err := e.collectable(rec, entry)
		if err != nil {
			return err
		}
		if req.Purpose != rec.Purpose || !sameWho(claimed, rec) {
			return &Error{Code: ErrIncorrectAnswer.Code, Remaining: max(entry.Tries, 0)}
		}
		rec.Collected = true
		result = &Result{Claims: e.collect(rec, at)}
		result.Factor, err = e.enrolled(ctx, rec)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !e.closed.end(i.rand, endCollected, Approved) {
		return nil, ErrReceiptUsed
	}
	return result, nil
}

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

// collectable reports when the challenge was won, if its receipt still waits.
func (e *Engine) collectable(rec *record, entry Entry) (time.Time, error) {
	status, at, waits := e.status(rec, entry)
	switch {
	case status == Pending:
		return at, ErrNotAnswered
	case status != Approved:
		return at, closedError(status)
	case !waits:
		return at, ErrReceiptUsed
	}
	return at, nil
}

// collect brings the claims up to date: a receipt is issued when it is collected.
func (e *Engine) collect(rec *record, at time.Time) *Claims {
	if rec.Claims == nil {
		return e.claims(rec, at)
	}
	claims := *rec.Claims
	now := e.cfg.Clock().Unix()
	claims.ExpiresAt += now - claims.IssuedAt
	claims.IssuedAt = now
	return &claims
}

// RedeemReceipt spends a receipt, once: claims are what its signature proved. ErrReceiptInvalid if it is not for the
// purpose or its challenge is not known any more, ErrReceiptUsed the second time.
func (e *Engine) RedeemReceipt(ctx context.Context, claims Claims, purpose string) error {
	i, err := e.parse(claims.ID)
	if err != nil || claims.Audience != e.cfg.App || claims.Purpose != purpose {
		return ErrReceiptInvalid
	}
	err = e.change(ctx, i, func(rec *record, entry Entry) error {
		if status, _, _ := e.status(rec, entry); status != Approved {
			return ErrReceiptInvalid
		}
		if rec.Redeemed {
			return ErrReceiptUsed
		}
		rec.Redeemed = true
		return nil
	})
	if errors.Is(err, ErrUnknownChallenge) {
		return ErrReceiptInvalid
	}
	if err == nil && !e.closed.end(i.rand, endRedeemed, Approved) {
		return ErrReceiptUsed
	}
	return err
}

// change reads a record, lets edit change it, and writes it back unless somebody else changed it meanwhile: then it is
// read again. What edit refuses is returned and nothing is written.
func (e *Engine) change(ctx context.Context, i ident, edit func(*record, Entry) error, out ...Outgoing) error {
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

// claims states what happened. An answer that was judged adds its own AMR.
func (e *Engine) claims(rec *record, at time.Time) *Claims {
	now := e.cfg.Clock()
	c := &Claims{Issuer: e.cfg.Issuer, Audience: e.cfg.App, Subject: rec.Subject, ID: rec.ID, IssuedAt: now.Unix(),
		ExpiresAt: now.Add(e.cfg.ReceiptLifetime).Unix(), AuthTime: at.Unix(), Purpose: rec.Purpose, Strategy: rec.Strategy,
		Channel: rec.Travelled(), SentTo: rec.SentTo, Factor: rec.Factor, Nonce: rec.Nonce, Transaction: rec.Transaction}
	if rec.Address != "" {
		c.AddressHash = e.AddressHash(rec.Address)
	}
	if g, ok := e.strategyOf(rec.ident).(Guesser); ok {
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
