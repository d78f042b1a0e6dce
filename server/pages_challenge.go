package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// The page of whoever started a challenge. Everything but opening it needs the cookie.

type ticketIn struct {
	Ticket string `json:"ticket,omitzero"`
}

type answerIn struct {
	Answer answerField `json:"answer"`
}

type nothingIn struct{}

// A holder is a request with the cookie of the challenge it is about.
type holder struct {
	*app
	id     string
	cookie string
	page   *watchword.Page
}

// bounded is a context for what must come to its end even if the browser goes away.
func (x *exchange) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.request.Context()), operationTime)
}

// openChallenge exchanges the ticket for the cookie.
func (h *hosted) openChallenge(x *exchange, in *ticketIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	a := h.owner(x)
	if a == nil {
		h.unknown(x, "unknown")
		return
	}
	id := x.request.PathValue("id")
	cookie, err := a.engine.OpenPage(ctx, id, in.Ticket)
	if err != nil {
		h.unopened(x, err, "unknown")
		return
	}
	p, err := a.engine.ViewPage(ctx, id, cookie.Reveal())
	if err != nil {
		h.unopened(x, err, "unknown")
		return
	}
	http.SetCookie(x, h.cookie(a, p.View, cookie.Reveal()))
	h.showPage(x, http.StatusOK, &holder{app: a, id: id, cookie: cookie.Reveal(), page: p}, "")
}

// keepCookie is how long a page's cookie outlives its challenge, as challenges stay readable.
const keepCookie = 15 * time.Minute

// cookie belongs to one challenge, whose id is its name, and to this host alone: the __Host- prefix keeps neighbours from
// setting it. In development, where there is no https, it does without.
func (h *hosted) cookie(a *app, v watchword.View, secret string) *http.Cookie {
	return &http.Cookie{Name: cookieName(a, v.ID), Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: a.secure(), MaxAge: h.seconds(v.ExpiresAt.Add(keepCookie))}
}

func (a *app) secure() bool { return strings.HasPrefix(a.publicURL, "https:") }

func cookieName(a *app, id string) string {
	if a.secure() {
		return "__Host-" + id
	}
	return id
}

// held finds the challenge of a request that has its cookie; nil: an answer went out already.
func (h *hosted) held(ctx context.Context, x *exchange) *holder {
	holder, err := h.holding(ctx, x)
	if err != nil {
		h.unopened(x, err, "unknown")
		return nil
	}
	return holder
}

func (h *hosted) holding(ctx context.Context, x *exchange) (*holder, error) {
	a := h.owner(x)
	if a == nil {
		return nil, watchword.ErrUnknownChallenge
	}
	id := x.request.PathValue("id")
	c, err := x.request.Cookie(cookieName(a, id))
	if err != nil {
		return nil, watchword.ErrUnknownChallenge
	}
	p, err := a.engine.ViewPage(ctx, id, c.Value)
	if err != nil {
		return nil, err
	}
	return &holder{app: a, id: id, cookie: c.Value, page: p}, nil
}

// showPage shows what the challenge is waiting for, or how it ended.
func (h *hosted) showPage(x *exchange, status int, c *holder, message string) {
	name, v := h.pagePart(x, c.app, c.page)
	v.Error = message
	h.show(x, status, name, v)
}

func (h *hosted) pagePart(x *exchange, a *app, p *watchword.Page) (string, *partView) {
	v := h.view(x, a, p.View)
	if p.Status == watchword.Pending {
		return h.asking(v, p), v
	}
	return ended(v, p.View), v
}

// state is for a page that is loaded again.
func (h *hosted) state(x *exchange) {
	ctx, cancel := x.bounded()
	defer cancel()
	if c := h.held(ctx, x); c != nil {
		h.showPage(x, http.StatusOK, c, "")
	}
}

func (h *hosted) answerChallenge(x *exchange, in *answerIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	c := h.held(ctx, x)
	if c == nil {
		return
	}
	if in.Answer.Object != asksForKey(c.page) {
		x.fail(invalid("answer", "is not of the kind that is asked for"))
		return
	}
	answer := in.Answer.Answer
	answer.Starter = true
	h.done(ctx, x, c, c.engine.Answer(ctx, c.id, answer, h.client(x)))
}

func asksForKey(p *watchword.Page) bool {
	return p.Ask == watchword.AskKey || p.Ask == watchword.AskNewKey
}

func (h *hosted) resendChallenge(x *exchange, _ *nothingIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	if c := h.held(ctx, x); c != nil {
		_, err := c.engine.Resend(ctx, c.id, watchword.ResendRequest{})
		h.done(ctx, x, c, err)
	}
}

func (h *hosted) cancelChallenge(x *exchange, _ *nothingIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	if c := h.held(ctx, x); c != nil {
		_, err := c.engine.Cancel(ctx, c.id)
		h.done(ctx, x, c, err)
	}
}

// client is whom a page serves; limits on checks count by it.
func (h *hosted) client(x *exchange) watchword.Client {
	c := watchword.Client{UserAgent: x.request.UserAgent()}
	if ip := h.server.ClientAddress(x.request); ip.IsValid() {
		c.IP = ip.String()
	}
	return c
}

// done shows what became of the challenge, and what was wrong.
func (h *hosted) done(ctx context.Context, x *exchange, c *holder, err error) {
	page, again := c.engine.ViewPage(ctx, c.id, c.cookie)
	if again != nil {
		h.unopened(x, again, "unknown")
		return
	}
	c.page = page
	if err == nil {
		h.showPage(x, http.StatusOK, c, "")
		return
	}
	words := h.words.spoken(page.Locale, x.request)
	status, message := h.explain(x, words, c.app, err)
	if asksForKey(page) && errors.Is(err, watchword.ErrInvalidRequest) {
		message, _ = words.T("failed", "app", c.engine.Name()) // no code was asked for
	}
	if status == http.StatusServiceUnavailable {
		h.unopened(x, err, "unknown")
		return
	}
	h.showPage(x, status, c, message)
}

// explain says in the person's words what the engine refused, and notes it for the log.
func (h *hosted) explain(x *exchange, words language, a *app, err error) (status int, message string) {
	p, wait := h.server.translate(err, a.publicURL)
	x.code, x.cause = p.Code, err
	if wait > 0 {
		x.Header().Set("Retry-After", retryAfter(wait))
	}
	switch {
	case errors.Is(err, watchword.ErrIncorrectAnswer), errors.Is(err, watchword.ErrInvalidRequest): // or it cannot be a code at all
		message, _ = words.T("wrong_code")
	case errors.Is(err, watchword.ErrTooManyGuesses), errors.Is(err, watchword.ErrRateLimited), errors.Is(err, watchword.ErrFactorDisabled) && wait > 0:
		message, _ = words.T("too_many", "minutes", int(math.Ceil(max(wait, time.Second).Minutes())))
	case errors.Is(err, watchword.ErrResendTooSoon), errors.Is(err, watchword.ErrSendsExhausted): // the part says so itself
	default:
		message, _ = words.T("failed", "app", a.engine.Name())
	}
	return p.Status, message
}

// refusalTime is the least that saying "unknown" takes, so that the time does not tell whether a store was asked.
const refusalTime = 40 * time.Millisecond

// unopened answers for a challenge that could not be read: unknown, or nothing can be said because a store is out of
// reach.
func (h *hosted) unopened(x *exchange, err error, name string) {
	if errors.Is(err, watchword.ErrUnknownChallenge) {
		h.unknown(x, name)
		return
	}
	p, _ := h.server.translate(err, x.publicURL())
	x.code, x.cause = p.Code, err
	h.show(x, p.Status, "broken", &partView{language: h.words.accepted(x.request)})
}

// unknown is the one answer for what is not known, was used or has expired, whichever it is.
func (h *hosted) unknown(x *exchange, name string) {
	x.code = watchword.ErrUnknownChallenge.Code
	x.pause()
	h.show(x, http.StatusNotFound, name, &partView{language: h.words.accepted(x.request), final: true})
}

// pause waits until the request is as old as every refusal is.
func (x *exchange) pause() {
	timer := time.NewTimer(refusalTime - time.Since(x.arrived))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.request.Context().Done():
	}
}
