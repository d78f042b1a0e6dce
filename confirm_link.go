package watchword

import (
	"context"
	"errors"
)

// ConfirmLink answers a link that lives long (View.LongLived) for the browser that has opened it, and binds the challenge's page to
// that browser: it returns the secret of the page's cookie. Redeem requires the return code that ViewPage returns for this cookie
// alone. Until the link is answered, a later confirmation takes the place of an earlier one, whose process may have died. A wrong id
// or token, and a link that does not live long, return ErrUnknownChallenge. A link that another browser has confirmed returns
// ErrPageOpened; one that ended otherwise returns the error of its state.
//
// A seed of the browser, which must be random and unknown to others, lets it repeat a confirmation whose response was lost: the same
// seed gets the same cookie. It may be nil.
func (e *Engine) ConfirmLink(ctx context.Context, id, token string, client Client, seed []byte) (Code, error) {
	parsed, err := e.parse(id)
	if err != nil || !parsed.isLongLived() {
		return Code{}, ErrUnknownChallenge
	}
	cookie, err := e.newPageCookie(parsed.text, seed)
	if err != nil {
		return Code{}, err
	}
	err = e.updateRecord(ctx, parsed, func(rec *record, entry Entry) error { return e.bindLink(ctx, rec, entry, token, cookie) })
	if err == nil || errors.Is(err, errRepeatedRequest) {
		err = e.Answer(ctx, id, Answer{Text: token}, client)
	}
	if err != nil && !errors.Is(err, ErrChallengeApproved) {
		return Code{}, err
	}
	_, rec, err := e.read(ctx, parsed)
	if err == nil && !rec.Page.isBoundTo(rec.key, rec.ID, cookie.Reveal()) {
		err = ErrPageOpened
	}
	if err != nil {
		return Code{}, err
	}
	return cookie, nil
}

// bindLink binds the page of a pending link to the cookie; errRepeatedRequest if it is bound to it already.
func (e *Engine) bindLink(ctx context.Context, rec *record, entry Entry, token string, cookie Code) error {
	matcher, ok := rec.id.strategy.(Matcher)
	if !ok {
		return ErrUnknownChallenge
	}
	matches, err := matchesLink(ctx, rec, matcher, token)
	if err != nil {
		return err
	}
	if !matches {
		return ErrUnknownChallenge
	}
	if status, _ := e.status(rec, entry); status != Pending {
		return closedError(status)
	}
	if rec.Page.isBoundTo(rec.key, rec.ID, cookie.Reveal()) {
		return errRepeatedRequest
	}
	rec.Page.CookieDigest = cookieDigest(rec.key, rec.ID, cookie.Reveal())
	return nil
}
