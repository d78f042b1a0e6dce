package server

import (
	"errors"
	"html/template"
	"math"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword"
)

// What pages show when something fails: an answer is wrong, attempts are limited, a challenge is unknown, or the server fails.

// explainAnswer returns the status and the message for an error of an operation of a challenge, as explainError does, but for what
// the page shows: whether a code or a key is asked, and how many tries are left.
func (ps *pageServer) explainAnswer(x *exchange, texts pageTexts, a *app, v watchword.View, err error) (status int, message string) {
	status, message = ps.explainError(x, texts, a, err)
	switch {
	case errors.Is(err, watchword.ErrInvalidRequest) && (v.Ask == watchword.AskKey || v.Ask == watchword.AskNewKey):
		message = texts.text("failed", "app", a.engine.Name())
	case errors.Is(err, watchword.ErrIncorrectAnswer):
		message = describeWrongCode(texts, v.TriesLeft)
	}
	return status, message
}

// explainError returns the status and the message for an error of the engine, and records the error for the log.
func (ps *pageServer) explainError(x *exchange, texts pageTexts, a *app, err error) (status int, message string) {
	p, wait := ps.server.translateError(err, a.publicURL)
	x.problemCode, x.cause = p.Code, err
	if wait > 0 {
		x.Header().Set("Retry-After", formatRetryAfter(wait))
	}
	switch {
	case errors.Is(err, watchword.ErrIncorrectAnswer):
		message = texts.text("wrong_code")
	case errors.Is(err, watchword.ErrInvalidRequest): // the text cannot be a code, and no try is charged
		message = texts.text("incomplete_code")
	case errors.Is(err, watchword.ErrTooManyGuesses), errors.Is(err, watchword.ErrRateLimited), errors.Is(err, watchword.ErrFactorDisabled) && wait > 0:
		message = texts.text("too_many", "minutes", int(math.Ceil(max(wait, time.Second).Minutes())))
	case errors.Is(err, watchword.ErrResendTooSoon), errors.Is(err, watchword.ErrSendsExhausted): // the part shows it
	default:
		message = texts.text("failed", "app", a.engine.Name())
	}
	return p.Status, message
}

// blockedUntil returns the time before which no answer is accepted because of too many attempts; zero if there is none.
func (ps *pageServer) blockedUntil(err error) time.Time {
	if !errors.Is(err, watchword.ErrTooManyGuesses) && !errors.Is(err, watchword.ErrRateLimited) && !errors.Is(err, watchword.ErrFactorDisabled) {
		return time.Time{}
	}
	if _, wait := ps.server.translateError(err, ""); wait > 0 {
		return ps.server.clock().Add(wait)
	}
	return time.Time{}
}

// writeBlocked responds to an answer that is not accepted before the challenge or verification of v expires: there is nothing to wait
// for on this page, so it leads back to the app.
func (ps *pageServer) writeBlocked(x *exchange, v *partView, err error, until time.Time) {
	status, _ := ps.explainError(x, v.pageTexts, x.app, err)
	v.final, v.BlockedUntil = true, until
	ps.writePart(x, status, "blocked", v)
}

// writeBlockedMethod responds to an answer that is not accepted before the verification expires: with the other methods or, if there
// is none, as writeBlocked does.
func (ps *pageServer) writeBlockedMethod(x *exchange, session *verificationSession, err error, until time.Time) {
	if session.hasOthers() {
		v := ps.newChoice(x, session)
		status, _ := ps.explainError(x, v.pageTexts, session.app, err)
		v.Error = v.text("method_locked")
		ps.writePart(x, status, "choose", v)
		return
	}
	v := ps.newPartView(x, session.app, describedChallenge(session.page.VerificationView))
	v.Next = template.URL(session.page.ReturnURL)
	ps.writeBlocked(x, v, err, until)
}

// minRefusalTime is the minimum time of a response for an unknown challenge, so that the time does not reveal whether a store
// was read.
const minRefusalTime = 40 * time.Millisecond

// writeLoadError responds to an error of reading a challenge: that it is unknown, or that the server failed.
func (ps *pageServer) writeLoadError(x *exchange, err error, template string) {
	if errors.Is(err, watchword.ErrUnknownChallenge) || errors.Is(err, watchword.ErrUnknownVerification) {
		ps.writeUnknown(x, template)
		return
	}
	p, _ := ps.server.translateError(err, x.publicURL())
	x.problemCode, x.cause = p.Code, err
	ps.writePart(x, p.Status, "broken", ps.newSiteView(x))
}

// writeUnknown sends the response that unknown, used and expired challenges share.
func (ps *pageServer) writeUnknown(x *exchange, template string) {
	x.problemCode = watchword.ErrUnknownChallenge.Code
	x.delayRefusal()
	v := ps.newSiteView(x)
	v.final, v.Next = true, v.Home
	ps.writePart(x, http.StatusNotFound, template, v)
}

// delayRefusal waits until minRefusalTime after the arrival of the request.
func (x *exchange) delayRefusal() {
	timer := time.NewTimer(minRefusalTime - time.Since(x.arrivedAt))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.request.Context().Done():
	}
}
