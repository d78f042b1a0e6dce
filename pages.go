package watchword

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"errors"
	"time"
)

// A Page is what a hosted page shows to the person who started the challenge.
type Page struct {
	View
	Public map[string]any // Prompt.Public; nil if the challenge is not pending
}

// OpenPage exchanges the ticket of a page's link for the secret of the page's cookie. A wrong id and a wrong ticket both
// return ErrUnknownChallenge.
func (e *Engine) OpenPage(ctx context.Context, id, ticket string) (Code, error) {
	rec, _, err := e.readWithSecret(ctx, id, ticket, (*record).ticket)
	if err != nil {
		return Code{}, err
	}
	return rec.cookie(), nil
}

// ViewPage returns the page of a challenge. The cookie is the secret that OpenPage returned; a wrong one returns
// ErrUnknownChallenge.
func (e *Engine) ViewPage(ctx context.Context, id, cookie string) (*Page, error) {
	began := time.Now()
	rec, entry, err := e.readWithSecret(ctx, id, cookie, (*record).cookie)
	if err != nil {
		return nil, err
	}
	defer e.delayView(ctx, began, rec.id.strategy, rec.Purpose)
	p := &Page{View: e.view(rec, entry)}
	if p.Status != Pending {
		return p, nil
	}
	c := rec.Challenge
	prompt, err := beginStrategy(ctx, rec.id.strategy, &c)
	if (err != nil || prompt.Decoy || rec.Purpose == PurposeEnrol) && e.lacksPrerequisite(ctx, rec) {
		p.View, err = e.Cancel(ctx, id)
		return p, err
	}
	if err != nil {
		return nil, err
	}
	p.Public = prompt.Public
	return p, nil
}

// readWithSecret reads a challenge if the given text is the given secret of it.
func (e *Engine) readWithSecret(ctx context.Context, id, given string, secret func(*record) Code) (*record, Entry, error) {
	parsed, err := e.parse(id)
	if err != nil {
		return nil, Entry{}, err
	}
	entry, rec, err := e.read(ctx, parsed)
	if err != nil {
		return nil, Entry{}, err
	}
	if subtle.ConstantTimeCompare([]byte(given), []byte(secret(rec).Reveal())) != 1 {
		return nil, Entry{}, ErrUnknownChallenge
	}
	return rec, entry, nil
}

// cookie returns the secret of the cookie in the starter's browser.
func (r *record) cookie() Code { return r.secret("ck_", "cookie") }

// OpenLink returns the view of a challenge for the token of its link. It charges no try and does not change the challenge. A
// used, expired or invalid link returns ErrUnknownChallenge.
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
	if v.Status != Pending {
		return View{}, ErrUnknownChallenge
	}
	if e.tombstones.Add(parsed.random, tombstoneLinkOpened, Pending) {
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

// ReportLink cancels a challenge because the recipient of its link did not start it, and sends EventReported.
func (e *Engine) ReportLink(ctx context.Context, id, token string) error {
	v, err := e.OpenLink(ctx, id, token)
	if err != nil {
		return err
	}
	if _, err := e.cancel(ctx, id, true); err != nil && !errors.Is(err, ErrChallengeCanceled) {
		return err
	}
	e.emit(ctx, EventReported, &Challenge{ID: v.ID, Strategy: v.Strategy, Purpose: v.Purpose, Subject: v.Subject, Channel: v.Channel, Metadata: v.Metadata})
	return nil
}

// SuspectScanner sends EventScannerSuspected: a program seems to have opened the link. It does not change the challenge.
func (e *Engine) SuspectScanner(ctx context.Context, id string) {
	if parsed, err := e.parse(id); err == nil {
		e.emit(ctx, EventScannerSuspected, &Challenge{ID: parsed.text, Strategy: parsed.strategy.Name()})
	}
}
