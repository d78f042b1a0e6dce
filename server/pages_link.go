package server

import (
	"context"
	"errors"
	"html/template"
	"mime"
	"net/http"
	"net/url"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
)

// The page of a magic link (/l). Each request has the token. Confirming also needs the number of the starting screen, unless
// the browser has the cookie of the challenge.

type tokenRequest struct {
	Token string `json:"token,omitzero"`
}

type confirmRequest struct {
	Token  string `json:"token,omitzero"`
	Number string `json:"number,omitzero"`
	Seed   string `json:"seed,omitzero"` // as in ticketRequest
}

// An openedLink is a valid link that somebody has opened.
type openedLink struct {
	*app
	id        string
	view      watchword.View
	cookie    string // of the page that the link belongs to; empty: opened in another browser than that page
	isStarter bool   // opened in the browser of that page, and on the network of the starter
}

// requireLink returns the link of a token. It returns nil if the token is not valid; then it has sent the response.
func (ps *pageServer) requireLink(ctx context.Context, x *exchange, token string) *openedLink {
	a := ps.findApp(x)
	if a == nil {
		ps.writeUnknown(x, "unknown_link")
		return nil
	}
	v, err := a.engine.OpenLink(ctx, x.request.PathValue("id"), token)
	if err != nil {
		ps.writeLoadError(x, err, "unknown_link")
		return nil
	}
	return ps.newOpenedLink(ctx, x, a, v)
}

// newOpenedLink returns the link of a challenge with what is known of the browser. A browser with the cookie of the challenge's
// page is the starter's if it also has, as far as the addresses are known, the network of the client that the app named. The
// network matters because an attacker can send a person to the page of the attacker's challenge, which gives that person's
// browser the cookie.
func (ps *pageServer) newOpenedLink(ctx context.Context, x *exchange, a *app, v watchword.View) *openedLink {
	link := &openedLink{app: a, id: x.request.PathValue("id"), view: v}
	if c, err := x.request.Cookie(cookieName(a, link.pageID())); err == nil {
		if _, err := link.nextPage(ctx, c.Value); err == nil {
			link.cookie, link.isStarter = c.Value, !onDifferentNetworks(v.Client.IP, ps.server.ClientAddress(x.request))
		}
	}
	return link
}

// pageID returns the id of the page that the link belongs to: of its challenge or of the verification that this is part of.
func (link *openedLink) pageID() string {
	if link.view.Verification != "" {
		return link.view.Verification
	}
	return link.id
}

// nextPage returns the URL to which the page that the link belongs to sends its browser; zero while it is pending. The error is
// ErrUnknownChallenge or ErrUnknownVerification if the cookie is not the one of that browser.
func (link *openedLink) nextPage(ctx context.Context, cookie string) (watchword.Code, error) {
	if link.view.Verification != "" {
		p, err := link.engine.ViewVerificationPage(ctx, link.view.Verification, cookie)
		if err != nil {
			return watchword.Code{}, err
		}
		return p.Next, nil
	}
	p, err := link.engine.ViewPage(ctx, link.id, cookie)
	if err != nil {
		return watchword.Code{}, err
	}
	return p.Next, nil
}

// openLink responds with the details of the challenge. It charges no try and ends nothing.
func (ps *pageServer) openLink(x *exchange, in *tokenRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	link := ps.requireLink(ctx, x, in.Token)
	if link == nil {
		return
	}
	if isAutomatedClient(x.request.UserAgent()) || ps.server.clock().Sub(link.view.CreatedAt) < minReadingTime {
		ps.reportScanner(x)
	}
	ps.writeLink(x, http.StatusOK, link, "")
}

// needsNumber reports whether the link needs the number of the starting screen. One that lives long needs none: nobody has that screen
// any more, and the return code protects it.
func (link *openedLink) needsNumber() bool {
	return !link.isStarter && !link.pages.buttonConfirms && !link.view.LongLived
}

func (ps *pageServer) writeLink(x *exchange, status int, link *openedLink, message string) {
	v := ps.newPartView(x, link.app, link.view)
	v.Page = link.pageID()
	v.AskNumber, v.Starter, v.Error = link.needsNumber(), link.isStarter, message
	ps.writePart(x, status, "confirm", v)
}

// answerLink confirms a link. If a required number is missing, the engine is not called and no try is charged, so that an
// automated client that clicks the button does not use up the link.
func (ps *pageServer) answerLink(x *exchange, in *confirmRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	link := ps.requireLink(ctx, x, in.Token)
	if link == nil {
		return
	}
	texts := link.pages.texts.forLocale(link.view.Locale, x.request)
	if link.needsNumber() && !isNumber(in.Number) {
		message, _ := texts.T("number_missing")
		ps.writeLink(x, http.StatusBadRequest, link, message)
		return
	}
	var err error
	if link.view.LongLived {
		err = ps.confirmLongLived(ctx, x, link, in)
	} else {
		err = link.engine.Answer(ctx, link.id, watchword.Answer{Text: in.Token, Number: in.Number, Starter: link.isStarter}, ps.describeClient(x))
	}
	if err == nil {
		ps.writePart(x, http.StatusOK, "confirmed", ps.newConfirmedView(ctx, x, link))
		return
	}
	ps.writeConfirmError(x, link, texts, err)
}

// confirmLongLived confirms a link that lives long. The browser gets the cookie that the page of a challenge has, and with it the
// return code.
func (ps *pageServer) confirmLongLived(ctx context.Context, x *exchange, link *openedLink, in *confirmRequest) error {
	cookie, err := link.engine.ConfirmLink(ctx, link.id, in.Token, ps.describeClient(x), (&ticketRequest{Seed: in.Seed}).seed())
	if err == nil {
		http.SetCookie(x, ps.newCookie(link.app, link.id, link.view.ExpiresAt, cookie.Reveal()))
		link.cookie = cookie.Reveal()
	}
	return err
}

// isNumber reports whether a text is two digits, in any spelling that is accepted for codes.
func isNumber(text string) bool {
	_, ok := typed.Shape{Alphabet: typed.Digits, Min: 2, Max: 2}.Fold(text)
	return ok
}

// newConfirmedView returns the data of the page of a confirmed link. The browser that has opened the page of the challenge goes
// on to the app; every other one is asked to continue there.
func (ps *pageServer) newConfirmedView(ctx context.Context, x *exchange, link *openedLink) *partView {
	v := ps.newPartView(x, link.app, link.view)
	v.final = true
	if link.cookie == "" {
		return v
	}
	if next, err := link.nextPage(ctx, link.cookie); err == nil { // else the page of the challenge goes on
		v.Next, v.forward = template.URL(next.Reveal()), true
	}
	return v
}

// writeConfirmError responds to an error of confirming a link.
func (ps *pageServer) writeConfirmError(x *exchange, link *openedLink, texts pageTexts, err error) {
	status, message := ps.explainError(x, texts, link.app, err)
	switch {
	case errors.Is(err, watchword.ErrPageOpened): // a link that lives long, confirmed in another browser
		ps.writeOpenedElsewhere(x, ps.newPartView(x, link.app, link.view), link.view.ReturnURL)
	case errors.Is(err, watchword.ErrInvalidRequest): // the strategy requires the number, though Pages.ButtonConfirms is set
		message, _ = texts.T("number_missing")
		ps.writeLink(x, status, link, message)
	case errors.Is(err, watchword.ErrIncorrectAnswer):
		v := ps.newPartView(x, link.app, link.view)
		v.final = true
		ps.writePart(x, status, "refused", v)
	case !ps.blockedUntil(err).Before(link.view.ExpiresAt):
		ps.writeBlocked(x, ps.newPartView(x, link.app, link.view), err, ps.blockedUntil(err))
	case errors.Is(err, watchword.ErrTooManyGuesses), errors.Is(err, watchword.ErrRateLimited):
		ps.writeLink(x, status, link, message)
	case status >= http.StatusInternalServerError:
		ps.writeLoadError(x, err, "unknown_link")
	default:
		ps.writeUnknown(x, "unknown_link")
	}
}

// reportLink cancels the challenge of a link whose recipient did not start it; the app gets an event.
func (ps *pageServer) reportLink(x *exchange, in *tokenRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	link := ps.requireLink(ctx, x, in.Token)
	if link == nil {
		return
	}
	if err := link.engine.ReportLink(ctx, link.id, in.Token); err != nil {
		ps.writeLoadError(x, err, "unknown_link")
		return
	}
	v := ps.newPartView(x, link.app, link.view)
	v.final = true
	ps.writePart(x, http.StatusOK, "reported", v)
}

// reservedTries is the number of tries that the form without script leaves, because that form needs only the challenge's id.
const reservedTries = 2

// answerWithoutScript accepts the code and the number from the form that works without script, where nothing can read the
// token. All rejected answers get the same response.
func (ps *pageServer) answerWithoutScript(x *exchange) {
	var form url.Values
	err := ps.readRequest(x, func(body []byte) (err error) {
		if media, _, _ := mime.ParseMediaType(x.request.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
			return invalidField("Content-Type", "must be application/x-www-form-urlencoded")
		}
		if form, err = url.ParseQuery(string(body)); err != nil {
			return invalidField(bodyField, "is not a form")
		}
		for name, values := range form {
			if len(values) > 1 {
				return invalidField(nameOrDefault(name, bodyField), "appears more than once")
			}
		}
		return nil
	})
	if err != nil {
		x.writeProblem(err)
		return
	}
	ctx, cancel := x.operationContext()
	defer cancel()
	link, err := ps.answerWithCode(ctx, x, form.Get("code"), form.Get("number"))
	if err != nil {
		ps.writeCodeError(x, err)
		return
	}
	v := ps.newConfirmedView(ctx, x, link)
	p, err := ps.renderPart("confirmed", v)
	if err != nil {
		x.writeProblem(err)
		return
	}
	ps.writePage(x, http.StatusOK, shellView{pageTexts: v.pageTexts, brand: v.brand, Page: linkPage, Title: p.Title, Body: template.HTML(p.HTML)})
}

func (ps *pageServer) answerWithCode(ctx context.Context, x *exchange, code, number string) (*openedLink, error) {
	a := ps.findApp(x)
	if a == nil {
		return nil, watchword.ErrUnknownChallenge
	}
	view, err := a.engine.Status(ctx, x.request.PathValue("id"))
	if err != nil {
		return nil, err
	}
	link := ps.newOpenedLink(ctx, x, a, view)
	if link.view.Ask != watchword.AskLink || link.view.LongLived || !link.isStarter && link.view.TriesLeft <= reservedTries || link.needsNumber() && !isNumber(number) {
		return nil, watchword.ErrUnknownChallenge
	}
	return link, a.engine.Answer(ctx, link.id, watchword.Answer{Text: code, Number: number, Starter: link.isStarter}, ps.describeClient(x))
}

func (ps *pageServer) writeCodeError(x *exchange, err error) {
	texts, name := ps.siteTexts(x.request), "code_failed"
	status, _ := ps.explainError(x, texts, ps.server.apps[0], err)
	if status < http.StatusInternalServerError {
		status = http.StatusUnprocessableEntity
		x.problemCode = watchword.ErrIncorrectAnswer.Code
		x.Header().Del("Retry-After")
		x.delayRefusal()
	} else {
		name = "broken"
	}
	message, _ := texts.T(name)
	ps.writePage(x, status, shellView{pageTexts: texts, brand: ps.siteBrand(x.request), Page: linkPage, Error: message, Form: true})
}
