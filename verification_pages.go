package watchword

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"
)

// A VerificationPage is what a hosted page shows to the person who started the verification.
type VerificationPage struct {
	VerificationView // Challenge has Public too

	// Trust is how long the device stays trusted if the person chooses that; zero: it cannot be chosen, because the app lets no
	// trusted device answer this purpose. Remember is the choice so far. See Engine.RememberDevice.
	Trust    time.Duration
	Remember bool

	// Next is where to send the browser once the verification has ended; see Page.Next.
	Next Code
	// ReturnCode is the return code that Next has; zero unless the verification was approved and has a return URL.
	ReturnCode Code
}

// hasVerificationPage reports whether a verification has a hosted page; see hasPage.
func (e *Engine) hasVerificationPage(v *verificationRecord) bool {
	return v.ReturnURL != "" || e.cfg.Development
}

// OpenVerificationPage exchanges the ticket of a verification's page for the secret of the page's cookie, once, as OpenPage does
// for a challenge. From then on RedeemVerification requires a return code. The errors are ErrPageOpened and ErrUnknownVerification.
func (e *Engine) OpenVerificationPage(ctx context.Context, id, ticket string, seed []byte) (Code, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return Code{}, err
	}
	cookie, err := e.newPageCookie(parsed.text, seed)
	if err != nil {
		return Code{}, err
	}
	_, err = e.updateVerification(ctx, parsed, nil, func(v *verificationRecord) error {
		if !e.hasVerificationPage(v) || subtle.ConstantTimeCompare([]byte(ticket), []byte(v.ticket().Reveal())) != 1 {
			return ErrUnknownVerification
		}
		return v.Page.bind(v.key, v.ID, cookie)
	})
	if err != nil && !errors.Is(err, errRepeatedRequest) {
		return Code{}, err
	}
	return cookie, nil
}

// ViewVerificationPage returns the page of a verification, with what the challenge of its current method asks for. The cookie is
// the secret that OpenVerificationPage returned; a wrong one returns ErrUnknownVerification. Somebody is at the page, so the
// fallback may be opened.
func (e *Engine) ViewVerificationPage(ctx context.Context, id, cookie string) (*VerificationPage, error) {
	began := time.Now()
	v, err := e.readForPage(ctx, id, cookie)
	if err != nil {
		return nil, err
	}
	defer e.delayVerification(ctx, began, v.Methods)
	e.recordPresence(ctx, v)
	view, current, err := e.viewWithChallenges(ctx, v)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Clock()
	p := &VerificationPage{VerificationView: view, Remember: v.Remember, Next: v.Page.wayBack(v.key, returnVerification, v.ID, v.ReturnURL, view.Status, now)}
	if view.Status == Approved && v.ReturnURL != "" {
		p.ReturnCode = v.Page.returnCode(v.key, v.ID, now)
	}
	if v.Subject != "" && slices.Contains(e.cfg.TrustedDevices.Purposes, v.Purpose) {
		p.Trust = e.cfg.TrustedDevices.Lifetime
	}
	if current == nil {
		return p, nil
	}
	prompt, err := beginStrategy(ctx, current.id.strategy, &current.Challenge)
	if errors.Is(err, ErrUnavailable) {
		return nil, err
	}
	if err == nil { // else its factor was removed meanwhile, and nothing can be asked for
		p.Challenge.Public = prompt.Public
	}
	return p, nil
}

// readForPage reads a verification for the browser that has opened its page.
func (e *Engine) readForPage(ctx context.Context, id, cookie string) (*verificationRecord, error) {
	parsed, err := e.parseVerification(id)
	if err != nil {
		return nil, err
	}
	v, err := e.readVerification(ctx, parsed)
	if err != nil {
		return nil, err
	}
	if !v.Page.isBoundTo(v.key, v.ID, cookie) {
		return nil, ErrUnknownVerification
	}
	return v, nil
}

// RememberDevice records that the person trusts the device of the verification's page; see VerificationRequest.RememberDevice.
func (e *Engine) RememberDevice(ctx context.Context, id, cookie string, remember bool) error {
	v, err := e.readForPage(ctx, id, cookie)
	if err != nil {
		return err
	}
	_, err = e.updateVerification(ctx, v.id, v, func(v *verificationRecord) error {
		if v.Remember == remember {
			return errRepeatedRequest
		}
		v.Remember = remember
		return closedError(e.verificationStatus(v))
	})
	if errors.Is(err, errRepeatedRequest) {
		return nil
	}
	return err
}
