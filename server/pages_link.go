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

// The page of whoever opens a link. Its token comes with each request; what it may do beyond looking depends on the
// number, or on the starter's own cookie.

type tokenIn struct {
	Token string `json:"token,omitzero"`
}

type confirmIn struct {
	Token  string `json:"token,omitzero"`
	Number string `json:"number,omitzero"`
}

// An opened is a link that is good, in whoever's hands.
type opened struct {
	*app
	id      string
	view    watchword.View
	starter bool // in the browser that started
}

// opened finds the challenge of a token; nil: an answer went out already.
func (h *hosted) opened(ctx context.Context, x *exchange, token string) *opened {
	a := h.owner(x)
	if a == nil {
		h.unknown(x, "unknown_link")
		return nil
	}
	id := x.request.PathValue("id")
	v, err := a.engine.OpenLink(ctx, id, token)
	if err != nil {
		h.unopened(x, err, "unknown_link")
		return nil
	}
	return &opened{app: a, id: id, view: v, starter: h.starter(ctx, x, v)}
}

// starter reports whether a link is opened in the browser that started: it has the page's cookie and, as far as can be
// told, comes from where the app says that it was started. So the cookie alone does not do if a stranger has sent
// somebody to the page of the stranger's own challenge.
func (h *hosted) starter(ctx context.Context, x *exchange, v watchword.View) bool {
	_, err := h.holding(ctx, x)
	return err == nil && !farApart(v.Client.IP, h.server.ClientAddress(x.request))
}

// openLink shows who asks for what, and from where. Nothing comes of it.
func (h *hosted) openLink(x *exchange, in *tokenIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	l := h.opened(ctx, x, in.Token)
	if l == nil {
		return
	}
	if isProgram(x.request.UserAgent()) || h.server.clock().Sub(l.view.CreatedAt) < fastest {
		h.suspect(x)
	}
	h.showLink(x, http.StatusOK, l, "")
}

// asksNumber: the number is asked of everybody but the starter's own browser.
func (l *opened) asksNumber() bool { return !l.starter && !l.pages.pressConfirms }

func (h *hosted) showLink(x *exchange, status int, l *opened, message string) {
	v := h.view(x, l.app, l.view)
	v.AskNumber, v.Starter, v.Error = l.asksNumber(), l.starter, message
	h.show(x, status, "confirm", v)
}

// answerLink confirms. Without the number that is asked for, nothing is answered: it costs no try and ends nothing, so
// that a program that presses the button has not spent the person's link.
func (h *hosted) answerLink(x *exchange, in *confirmIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	l := h.opened(ctx, x, in.Token)
	if l == nil {
		return
	}
	words := h.words.spoken(l.view.Locale, x.request)
	if l.asksNumber() && !isNumber(in.Number) {
		message, _ := words.T("number_missing")
		h.showLink(x, http.StatusBadRequest, l, message)
		return
	}
	err := l.engine.Answer(ctx, l.id, watchword.Answer{Text: in.Token, Number: in.Number, Starter: l.starter}, h.client(x))
	if err == nil {
		h.confirmed(x, l)
		return
	}
	h.notConfirmed(x, l, words, err)
}

// isNumber reports whether a text is two digits, spelled as people spell codes.
func isNumber(text string) bool {
	_, ok := typed.Shape{Alphabet: typed.Digits, Min: 2, Max: 2}.Fold(text)
	return ok
}

func (h *hosted) confirmed(x *exchange, l *opened) {
	v := h.view(x, l.app, l.view)
	v.final = true
	if l.starter {
		v.Next = template.URL(l.view.ReturnURL)
	}
	h.show(x, http.StatusOK, "confirmed", v)
}

// notConfirmed tells a wrong number from a link that somebody else has ended meanwhile.
func (h *hosted) notConfirmed(x *exchange, l *opened, words language, err error) {
	status, message := h.explain(x, words, l.app, err)
	switch {
	case errors.Is(err, watchword.ErrInvalidRequest): // the engine asks for the number, though the page's settings do not
		message, _ = words.T("number_missing")
		h.showLink(x, status, l, message)
	case errors.Is(err, watchword.ErrIncorrectAnswer):
		v := h.view(x, l.app, l.view)
		v.final = true
		h.show(x, status, "refused", v)
	case errors.Is(err, watchword.ErrTooManyGuesses), errors.Is(err, watchword.ErrRateLimited):
		h.showLink(x, status, l, message)
	case status >= http.StatusInternalServerError:
		h.unopened(x, err, "unknown_link")
	default:
		h.unknown(x, "unknown_link")
	}
}

// reportLink is the reader saying that it was not him: it ends the challenge, and the app hears of it.
func (h *hosted) reportLink(x *exchange, in *tokenIn) {
	ctx, cancel := x.bounded()
	defer cancel()
	l := h.opened(ctx, x, in.Token)
	if l == nil {
		return
	}
	if err := l.engine.ReportLink(ctx, l.id, in.Token); err != nil {
		h.unopened(x, err, "unknown_link")
		return
	}
	v := h.view(x, l.app, l.view)
	v.final = true
	h.show(x, http.StatusOK, "reported", v)
}

// triesKept is how many tries the form without script leaves to those who have more to show than a challenge's id.
const triesKept = 2

// answerWithoutScript takes the code of the mail, where no script can read the token, and with it the number. The answer to
// everything that is not right is the same.
func (h *hosted) answerWithoutScript(x *exchange) {
	var form url.Values
	err := h.read(x, func(body []byte) (err error) {
		if media, _, _ := mime.ParseMediaType(x.request.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
			return invalid("Content-Type", "must be application/x-www-form-urlencoded")
		}
		if form, err = url.ParseQuery(string(body)); err != nil {
			return invalid(bodyField, "is not a form")
		}
		for name, values := range form {
			if len(values) > 1 {
				return invalid(nameOr(name, bodyField), "is there twice")
			}
		}
		return nil
	})
	if err != nil {
		x.fail(err)
		return
	}
	ctx, cancel := x.bounded()
	defer cancel()
	l, err := h.codeAnswer(ctx, x, form.Get("code"), form.Get("number"))
	if err != nil {
		h.codeFailed(x, err)
		return
	}
	v := h.view(x, l.app, l.view)
	if l.starter {
		v.Next = template.URL(l.view.ReturnURL)
	}
	p, err := h.render("confirmed", v)
	if err != nil {
		x.fail(err)
		return
	}
	h.document(x, http.StatusOK, shellView{language: v.language, Page: linkPage, Body: template.HTML(p.HTML)})
}

func (h *hosted) codeAnswer(ctx context.Context, x *exchange, code, number string) (*opened, error) {
	a := h.owner(x)
	if a == nil {
		return nil, watchword.ErrUnknownChallenge
	}
	l := &opened{app: a, id: x.request.PathValue("id")}
	var err error
	if l.view, err = a.engine.Status(ctx, l.id); err != nil {
		return nil, err
	}
	l.starter = h.starter(ctx, x, l.view)
	if l.view.Ask != watchword.AskLink || !l.starter && l.view.TriesLeft <= triesKept || l.asksNumber() && !isNumber(number) {
		return nil, watchword.ErrUnknownChallenge
	}
	return l, a.engine.Answer(ctx, l.id, watchword.Answer{Text: code, Number: number, Starter: l.starter}, h.client(x))
}

func (h *hosted) codeFailed(x *exchange, err error) {
	words, name := h.words.accepted(x.request), "code_failed"
	status, _ := h.explain(x, words, h.server.apps[0], err)
	if status < http.StatusInternalServerError {
		status = http.StatusUnprocessableEntity
		x.code = watchword.ErrIncorrectAnswer.Code
		x.Header().Del("Retry-After")
		x.pause()
	} else {
		name = "broken"
	}
	message, _ := words.T(name)
	h.document(x, status, shellView{language: words, Page: linkPage, Error: message, Form: true})
}
