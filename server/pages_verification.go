package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
)

// The page of a verification (/v). It shows one method at a time, like the page of a challenge, or the methods to choose from.
// Every request except open needs the cookie or, from an element on an app's own page, the bearer.

type chooseRequest struct {
	Method string `json:"method"`
}

type methodAnswerRequest struct {
	Answer answerField `json:"answer"`
	Method string      `json:"method"`
}

type rememberRequest struct {
	Remember *bool `json:"remember"`
}

// A verificationSession is a request with the cookie of its verification.
type verificationSession struct {
	*app
	id     string
	cookie string         // the secret of the cookie or of the bearer
	bearer watchword.Code // if the ticket was exchanged for it now
	page   *watchword.VerificationPage
	sentAt time.Time // when the message was sent again by this request

	rejected bool // this request had a wrong answer
}

// addVerificationRoutes adds the paths of the page. The element sends requests to all but the first.
func (ps *pageServer) addVerificationRoutes(add func(method, path string, serve func(*exchange))) {
	add(http.MethodGet, "/v/{id}", func(x *exchange) { ps.serveShell(x, verificationPage) })
	addForElement := func(method, path string, serve func(*exchange)) {
		add(method, path, ps.allowElement(serve))
		add(http.MethodOptions, path, ps.allowElement(ps.serveElementPreflight(method)))
	}
	addForElement(http.MethodGet, "/v/{id}/state", ps.serveVerificationState)
	addForElement(http.MethodGet, "/v/{id}/events", ps.serveVerificationEvents)
	addForElement(http.MethodPost, "/v/{id}/open", decodeJSON(ps, ps.openVerification))
	addForElement(http.MethodPost, "/v/{id}/choose", decodeJSON(ps, ps.chooseMethod))
	addForElement(http.MethodPost, "/v/{id}/answer", decodeJSON(ps, ps.answerVerification))
	addForElement(http.MethodPost, "/v/{id}/renew", decodeJSON(ps, ps.renewKey))
	addForElement(http.MethodPost, "/v/{id}/resend", decodeJSON(ps, ps.resendMethod))
	addForElement(http.MethodPost, "/v/{id}/remember", decodeJSON(ps, ps.rememberDevice))
	addForElement(http.MethodPost, "/v/{id}/cancel", decodeJSON(ps, ps.cancelVerification))
}

type openVerificationRequest struct {
	Ticket string `json:"ticket,omitzero"`
	Seed   string `json:"seed,omitzero"`   // as in ticketRequest
	Bearer bool   `json:"bearer,omitzero"` // exchange the ticket for a bearer, not for a cookie
}

// openVerification exchanges the ticket for the cookie, or for the bearer of an element. A browser that has either already opens its
// page again.
func (ps *pageServer) openVerification(x *exchange, in *openVerificationRequest) {
	if x.elementOrigin != "" && !in.Bearer {
		x.writeProblem(invalidField("bearer", "is required from another origin, where the browser does not keep the cookie"))
		return
	}
	x.embedded = x.embedded || in.Bearer
	ctx, cancel := x.operationContext()
	defer cancel()
	if session, err := ps.findVerificationSession(ctx, x); err == nil {
		ps.writeVerification(x, http.StatusOK, session, "")
		return
	}
	a := ps.findApp(x)
	if a == nil {
		ps.writeUnknown(x, "unknown")
		return
	}
	session := &verificationSession{app: a, id: x.request.PathValue("id")}
	cookie, err := a.engine.OpenVerificationPage(ctx, session.id, in.Ticket, (&ticketRequest{Seed: in.Seed}).seed())
	if errors.Is(err, watchword.ErrPageOpened) {
		v, err := a.engine.VerificationStatus(ctx, session.id)
		if err == nil {
			ps.writeOpenedElsewhere(x, ps.newPartView(x, a, describedChallenge(v)), v.ReturnURL)
			return
		}
	}
	if err == nil {
		session.cookie = cookie.Reveal()
		session.page, err = a.engine.ViewVerificationPage(ctx, session.id, session.cookie)
	}
	if err != nil {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	if in.Bearer {
		session.bearer = cookie
	} else {
		http.SetCookie(x, ps.newCookie(a, session.id, session.page.ExpiresAt, session.cookie))
	}
	ps.writeVerification(x, http.StatusOK, session, "")
}

// findVerificationSession returns the session of a request, or ErrUnknownVerification if its cookie or bearer is missing or wrong. Requests
// of one page read it one after another, because it takes several reads of the store.
func (ps *pageServer) findVerificationSession(ctx context.Context, x *exchange) (*verificationSession, error) {
	a := ps.findApp(x)
	if a == nil {
		return nil, watchword.ErrUnknownVerification
	}
	id := x.request.PathValue("id")
	secret := x.findPageSecret(cookieName(a, id))
	if secret == "" {
		return nil, watchword.ErrUnknownVerification
	}
	unlock, err := ps.lockPage(x, id, secret)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := a.engine.ViewVerificationPage(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	return &verificationSession{app: a, id: id, cookie: secret, page: p}, nil
}

// withVerification calls serve with the session of a request. Without one it sends the response itself.
func (ps *pageServer) withVerification(x *exchange, serve func(context.Context, *verificationSession)) {
	ctx, cancel := x.operationContext()
	defer cancel()
	session, err := ps.findVerificationSession(ctx, x)
	if err != nil {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	serve(ctx, session)
}

// serveVerificationState responds with the current part or, with the parameter choose, with the methods to choose from.
func (ps *pageServer) serveVerificationState(x *exchange) {
	ps.withVerification(x, func(_ context.Context, session *verificationSession) {
		if session.page.Status == watchword.Pending && x.request.URL.Query().Has("choose") {
			v := ps.newChoice(x, session)
			v.CanBack = isOpen(session.page)
			ps.writePart(x, http.StatusOK, "choose", v)
			return
		}
		ps.writeVerification(x, http.StatusOK, session, "")
	})
}

// chooseMethod opens a method.
func (ps *pageServer) chooseMethod(x *exchange, in *chooseRequest) {
	ps.withVerification(x, func(ctx context.Context, session *verificationSession) {
		_, err := session.engine.OpenMethod(ctx, session.id, in.Method)
		if err == nil || session.page.Status != watchword.Pending {
			ps.writeVerificationOutcome(ctx, x, session, nil)
			return
		}
		ps.writeChoiceError(x, session, err)
	})
}

// writeChoiceError responds with the methods to choose from after one could not be opened.
func (ps *pageServer) writeChoiceError(x *exchange, session *verificationSession, err error) {
	v := ps.newChoice(x, session)
	status, message := ps.explainError(x, v.pageTexts, session.app, err)
	if !errors.Is(err, watchword.ErrTooManyGuesses) && !errors.Is(err, watchword.ErrRateLimited) {
		message, _ = v.T("choose_failed")
	}
	if status >= http.StatusInternalServerError {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	v.Error, v.CanBack = message, isOpen(session.page)
	ps.writePart(x, status, "choose", v)
}

func (ps *pageServer) answerVerification(x *exchange, in *methodAnswerRequest) {
	ps.withVerification(x, func(ctx context.Context, session *verificationSession) {
		if in.Answer.Object != session.asksForKey(in.Method) {
			x.writeProblem(invalidField("answer", "has the wrong type for this method"))
			return
		}
		answer := in.Answer.Answer
		answer.Starter = true
		err := session.engine.AnswerVerification(ctx, session.id, in.Method, answer, ps.describeClient(x))
		if until := ps.blockedUntil(err); !until.Before(session.page.ExpiresAt) {
			ps.writeBlockedMethod(x, session, err, until)
			return
		}
		ps.writeVerificationOutcome(ctx, x, session, err)
	})
}

// hasOthers reports whether a method can be chosen in place of the one that is open.
func (s *verificationSession) hasOthers() bool {
	return slices.ContainsFunc(s.page.Methods, func(m watchword.MethodView) bool { return m.ID != s.page.Method && canBeChosen(m) })
}

// asksForKey reports whether the answer to a method is a credential.
func (s *verificationSession) asksForKey(method string) bool {
	for _, m := range s.page.Methods {
		if m.ID == method {
			return m.Ask == watchword.AskKey
		}
	}
	return false
}

func (ps *pageServer) resendMethod(x *exchange, in *chooseRequest) {
	ps.withVerification(x, func(ctx context.Context, session *verificationSession) {
		_, err := session.engine.ResendVerification(ctx, session.id, in.Method, nil)
		if err == nil {
			session.sentAt = ps.server.clock()
		}
		ps.writeVerificationOutcome(ctx, x, session, err)
	})
}

// rememberDevice records whether the person trusts this device.
func (ps *pageServer) rememberDevice(x *exchange, in *rememberRequest) {
	ps.withVerification(x, func(ctx context.Context, session *verificationSession) {
		if session.page.Trust == 0 {
			x.writeProblem(invalidField("remember", "is not offered"))
			return
		}
		if err := session.engine.RememberDevice(ctx, session.id, session.cookie, *in.Remember); err != nil {
			x.writeProblem(err)
			return
		}
		x.writeBody(http.StatusNoContent, contentTypeJSON, nil)
	})
}

func (ps *pageServer) cancelVerification(x *exchange, _ *emptyRequest) {
	ps.withVerification(x, func(ctx context.Context, session *verificationSession) {
		_, err := session.engine.CancelVerification(ctx, session.id)
		ps.writeVerificationOutcome(ctx, x, session, err)
	})
}

// writeVerificationOutcome responds with the part of a verification after an operation that returned err.
func (ps *pageServer) writeVerificationOutcome(ctx context.Context, x *exchange, session *verificationSession, err error) {
	page, errView := session.engine.ViewVerificationPage(ctx, session.id, session.cookie)
	if errView != nil {
		ps.writeLoadError(x, errView, "unknown")
		return
	}
	session.page = page
	if err == nil {
		ps.writeVerification(x, http.StatusOK, session, "")
		return
	}
	var shown watchword.View
	if page.Challenge != nil {
		shown = page.Challenge.View
	}
	session.rejected = errors.Is(err, watchword.ErrIncorrectAnswer)
	status, message := ps.explainAnswer(x, session.pages.texts.forLocale(page.Locale, x.request), session.app, shown, err)
	if status == http.StatusServiceUnavailable {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	ps.writeVerification(x, status, session, message)
}

// writeVerification responds with the part of a verification, and a message about an error if there is one.
func (ps *pageServer) writeVerification(x *exchange, status int, session *verificationSession, message string) {
	name, v := ps.chooseVerificationPart(x, session)
	if v.Method != "" { // the notice of the choice says what happened
		v.Error, v.SentAt, v.Rejected = message, session.sentAt, session.rejected
	}
	ps.writePart(x, status, name, v)
}

// chooseVerificationPart returns the template and the data of a verification: of its end, of the method that is open or, if none
// is, of the choice.
func (ps *pageServer) chooseVerificationPart(x *exchange, session *verificationSession) (string, *partView) {
	p := session.page
	switch {
	case p.Status != watchword.Pending:
		v := ps.newPartView(x, session.app, describedChallenge(p.VerificationView))
		v.embed(session)
		return fillEnded(v, p.Status, p.Next), v
	case !isOpen(p):
		return "choose", ps.newChoice(x, session)
	}
	v := ps.newPartView(x, session.app, p.Challenge.View)
	v.embed(session)
	v.Method, v.state, v.RenewIn = p.Method, verificationState(p.VerificationView), ps.renewIn(p)
	v.Trust, v.Remember = int(p.Trust.Hours()/24), p.Remember
	v.Notice = describeFallback(v.pageTexts, p.VerificationView)
	v.Others = session.hasOthers()
	return ps.fillAsk(v, &watchword.Page{View: p.Challenge.View, Public: p.Challenge.Public}), v
}

// isOpen reports whether a method is open.
func isOpen(p *watchword.VerificationPage) bool {
	return p.Challenge != nil && p.Challenge.Status == watchword.Pending
}

// describedChallenge returns the parts of a verification that all parts of its page show, as those of a challenge.
func describedChallenge(v watchword.VerificationView) watchword.View {
	return watchword.View{ID: v.ID, Status: v.Status, Purpose: v.Purpose, Locale: v.Locale, ReturnURL: v.ReturnURL, Transaction: v.Transaction,
		Client: v.Client, CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt}
}
