package watchword

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"errors"
	"maps"
	"slices"
	"time"
)

// ErrPageOpened is returned by OpenPage if another browser has opened the page. It is for people and no *Error.
var ErrPageOpened = errors.New("watchword: another browser has opened the page")

// A Page is what a hosted page shows to the person who started the challenge.
type Page struct {
	View
	Public Public // Prompt.Public; nil if the challenge is not pending

	// OtherChannels are the channels, sorted, by which the message can be sent again to the same address, without the one of the
	// challenge.
	OtherChannels []string

	// Next is where to send the browser once the challenge has ended: the return URL, with a return code if the challenge was
	// approved and with the parameter error (canceled, locked or expired) if not. It is zero while the challenge is pending,
	// and without a return URL.
	Next Code
}

// hasPage reports whether a challenge has a hosted page. Without a return URL it has none, except in development: a page
// must be able to give its browser a return code. A challenge that is part of a verification has the page of that. A link that
// lives long has none: the browser that confirms it gets the return code, and no starting screen.
func (e *Engine) hasPage(rec *record) bool {
	return !rec.LongLived && !rec.id.isPart() && (rec.ReturnURL != "" || e.cfg.Development)
}

// checkReturnCode returns ErrReturnCodeInvalid unless the return code is valid or none is required. None is required without
// a return URL, in development: no page can return one.
func (e *Engine) checkReturnCode(rec *record, approved approval, code string, repeated bool) error {
	switch {
	case rec.ReturnURL == "":
		return nil
	case !rec.Page.isOf(approved.browser): // the store has returned earlier content
		return ErrReturnCodeInvalid
	case rec.LongLived && !rec.Page.isBound(): // it was answered by other means than ConfirmLink
		return ErrReturnCodeInvalid
	}
	return rec.Page.checkReturnCode(rec.key, rec.ID, code, e.cfg.Clock(), repeated)
}

// OpenPage exchanges the ticket of a page's link for the secret of the page's cookie, once: it binds the page to the browser
// that gets the cookie. From then on Redeem requires a return code, which ViewPage returns for that cookie alone. A ticket
// that was exchanged before returns ErrPageOpened. A wrong id or ticket and a challenge without a page return
// ErrUnknownChallenge.
//
// A seed of the browser, which must be random and unknown to others, lets it repeat an exchange whose response was lost: the
// same seed gets the same cookie. It may be nil.
func (e *Engine) OpenPage(ctx context.Context, id, ticket string, seed []byte) (Code, error) {
	parsed, err := e.parse(id)
	if err != nil {
		return Code{}, err
	}
	cookie, err := e.newPageCookie(parsed.text, seed)
	if err != nil {
		return Code{}, err
	}
	err = e.updateRecord(ctx, parsed, func(rec *record, _ Entry) error {
		if !e.hasPage(rec) || subtle.ConstantTimeCompare([]byte(ticket), []byte(rec.ticket().Reveal())) != 1 {
			return ErrUnknownChallenge
		}
		return rec.Page.bind(rec.key, rec.ID, cookie)
	})
	if err != nil && !errors.Is(err, errRepeatedRequest) {
		return Code{}, err
	}
	return cookie, nil
}

// ViewPage returns the page of a challenge. The cookie is the secret that OpenPage returned; a wrong one returns
// ErrUnknownChallenge.
func (e *Engine) ViewPage(ctx context.Context, id, cookie string) (*Page, error) {
	began := time.Now()
	rec, entry, err := e.readWithCookie(ctx, id, cookie)
	if err != nil {
		return nil, err
	}
	defer e.delayView(ctx, began, rec.id.strategy, rec.Purpose)
	p := &Page{View: e.view(rec, entry)}
	if p.Status != Pending {
		return e.endedPage(p, rec), nil
	}
	c := rec.Challenge
	prompt, err := beginStrategy(ctx, rec.id.strategy, &c)
	if (err != nil || prompt.Decoy || rec.Purpose == PurposeEnrol) && e.lacksPrerequisite(ctx, rec) {
		p.View, err = e.Cancel(ctx, id)
		return e.endedPage(p, rec), err
	}
	if err != nil {
		return nil, err
	}
	p.Public, p.OtherChannels = prompt.Public, e.otherChannels(ctx, rec)
	return p, nil
}

// otherChannels returns the channels of Page.OtherChannels: those that Resend accepts, whenever it can send.
func (e *Engine) otherChannels(ctx context.Context, rec *record) (out []string) {
	if rec.Sends == 0 {
		return nil
	}
	for _, channel := range slices.Sorted(maps.Keys(e.channels)) {
		to, err := e.addressOf(channel, rec.Address)
		if channel != rec.Channel && err == nil && to.Value == rec.Address && e.checkChannel(ctx, rec.id.strategy, rec.Challenge, channel) == nil {
			out = append(out, channel)
		}
	}
	return out
}

// endedPage adds the way back to the page of a challenge that has ended.
func (e *Engine) endedPage(p *Page, rec *record) *Page {
	p.Next = rec.Page.wayBack(rec.key, returnChallenge, rec.ID, rec.ReturnURL, p.Status, e.cfg.Clock())
	return p
}

// readWithCookie reads a challenge for the browser that has opened its page.
func (e *Engine) readWithCookie(ctx context.Context, id, cookie string) (*record, Entry, error) {
	parsed, err := e.parse(id)
	if err != nil {
		return nil, Entry{}, err
	}
	entry, rec, err := e.read(ctx, parsed)
	if err != nil {
		return nil, Entry{}, err
	}
	if !rec.Page.isBoundTo(rec.key, rec.ID, cookie) {
		return nil, Entry{}, ErrUnknownChallenge
	}
	return rec, entry, nil
}

// OpenLink returns the view of a challenge for the token of its link. It charges no try and does not change the challenge. A
// used, expired or invalid link returns ErrUnknownChallenge. A link that lives long is used once its receipt was collected, because
// a browser may repeat its confirmation.
func (e *Engine) OpenLink(ctx context.Context, id, token string) (View, error) {
	parsed, err := e.parse(id)
	if err != nil {
		return View{}, err
	}
	entry, rec, err := e.read(ctx, parsed)
	if err != nil {
		return View{}, err
	}
	matcher, ok := parsed.strategy.(Matcher)
	if !ok {
		return View{}, ErrUnknownChallenge
	}
	matches, err := matchesLink(ctx, rec, matcher, token)
	if err != nil {
		return View{}, err
	}
	if !matches {
		return View{}, ErrUnknownChallenge
	}
	v := e.view(rec, entry)
	if repeatable := rec.LongLived && v.Status == Approved && !rec.Collected; v.Status != Pending && !repeatable {
		return View{}, ErrUnknownChallenge
	}
	if e.tombstonesOf(parsed).Add(parsed.random, tombstoneLinkOpened, Pending) {
		e.emit(ctx, EventLinkOpened, &rec.Challenge)
	}
	return v, nil
}

// matchesLink reports whether the token is that of the link in the challenge's message.
func matchesLink(ctx context.Context, rec *record, matcher Matcher, token string) (bool, error) {
	c := rec.Challenge
	prompt, err := matcher.Begin(ctx, &c)
	return err == nil && !rec.Decoy && !prompt.Link.IsZero() && hmac.Equal([]byte(prompt.Link.Reveal()), []byte(token)), err
}

// ReportLink cancels a challenge, and the verification that it is part of, because the recipient of its link did not start it. It
// sends EventReported.
func (e *Engine) ReportLink(ctx context.Context, id, token string) error {
	v, err := e.OpenLink(ctx, id, token)
	if err != nil {
		return err
	}
	parsed, err := e.parse(id)
	if err == nil {
		_, err = e.cancel(ctx, parsed, true)
	}
	if err == nil && v.Verification != "" {
		_, err = e.CancelVerification(ctx, v.Verification)
	}
	if err != nil && !errors.Is(err, ErrChallengeCanceled) {
		return err
	}
	e.emit(ctx, EventReported, &Challenge{ID: v.ID, Verification: v.Verification, Strategy: v.Strategy, Purpose: v.Purpose, Subject: v.Subject, Channel: v.Channel, Metadata: v.Metadata})
	return nil
}

// SuspectScanner sends EventScannerSuspected: a program seems to have opened the link. It does not change the challenge.
func (e *Engine) SuspectScanner(ctx context.Context, id string) {
	if parsed, err := e.parse(id); err == nil {
		e.emit(ctx, EventScannerSuspected, &Challenge{ID: parsed.text, Strategy: parsed.strategy.Name()})
	}
}
