package server

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// The page of a challenge (/c). Every request except open needs the cookie.

type ticketRequest struct {
	Ticket string `json:"ticket,omitzero"`
	Seed   string `json:"seed,omitzero"` // random; the script repeats it with a ticket whose response was lost
}

// seed returns the seed for the engine.
func (r *ticketRequest) seed() []byte {
	if len(r.Seed) < minSeedLength {
		return nil
	}
	return []byte(r.Seed)
}

// minSeedLength is the length of 128 random bits in base64. The engine does not get shorter seeds.
const minSeedLength = 22

type answerRequest struct {
	Answer answerField `json:"answer"`
}

type pageResendRequest struct {
	Channel string `json:"channel,omitzero"`
}

type emptyRequest struct{}

// A pageSession is a request with the cookie of its challenge.
type pageSession struct {
	*app
	id     string
	cookie string
	page   *watchword.Page
	sentAt time.Time // when the message was sent again by this request

	rejected bool // this request had a wrong answer
}

// operationContext returns a context with the timeout of operations, which does not end when the browser disconnects.
func (x *exchange) operationContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.request.Context()), operationTimeout)
}

// openChallenge exchanges the ticket for the cookie. A browser that has the cookie already opens its page again.
func (ps *pageServer) openChallenge(x *exchange, in *ticketRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	if session, err := ps.findSession(ctx, x); err == nil {
		ps.writeChallenge(x, http.StatusOK, session, "")
		return
	}
	a := ps.findApp(x)
	if a == nil {
		ps.writeUnknown(x, "unknown")
		return
	}
	id := x.request.PathValue("id")
	cookie, err := a.engine.OpenPage(ctx, id, in.Ticket, in.seed())
	if errors.Is(err, watchword.ErrPageOpened) {
		v, err := a.engine.Status(ctx, id)
		if err == nil {
			ps.writeOpenedElsewhere(x, ps.newPartView(x, a, v), v.ReturnURL)
			return
		}
	}
	if err != nil {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	p, err := a.engine.ViewPage(ctx, id, cookie.Reveal())
	if err != nil {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	http.SetCookie(x, ps.newCookie(a, id, p.ExpiresAt, cookie.Reveal()))
	ps.writeChallenge(x, http.StatusOK, &pageSession{app: a, id: id, cookie: cookie.Reveal(), page: p}, "")
}

// writeOpenedElsewhere responds to the ticket of a page that another browser has opened. It shows nothing of the page, and
// leads back to the app.
func (ps *pageServer) writeOpenedElsewhere(x *exchange, v *partView, returnURL string) {
	x.problemCode = "page_opened"
	v.final, v.Next = true, template.URL(returnURL)
	ps.writePart(x, http.StatusConflict, "opened_elsewhere", v)
}

// cookieGracePeriod is how long a cookie outlives its challenge: as long as the challenge stays readable.
const cookieGracePeriod = 15 * time.Minute

// newCookie returns the cookie of a challenge or verification. Its name is the id with the prefix __Host-, so that no other host
// of the domain can set it. Without https, in development, the name has no prefix.
func (ps *pageServer) newCookie(a *app, id string, expiresAt time.Time, secret string) *http.Cookie {
	return &http.Cookie{Name: cookieName(a, id), Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: a.usesHTTPS(), MaxAge: ps.secondsUntil(expiresAt.Add(cookieGracePeriod))}
}

func (a *app) usesHTTPS() bool { return strings.HasPrefix(a.publicURL, "https:") }

func cookieName(a *app, id string) string {
	if a.usesHTTPS() {
		return "__Host-" + id
	}
	return id
}

// requireSession returns the session of a request. It returns nil if there is none; then it has sent the response.
func (ps *pageServer) requireSession(ctx context.Context, x *exchange) *pageSession {
	session, err := ps.findSession(ctx, x)
	if err != nil {
		ps.writeLoadError(x, err, "unknown")
		return nil
	}
	return session
}

// findSession returns the session of a request, or ErrUnknownChallenge if its cookie is missing or wrong.
func (ps *pageServer) findSession(ctx context.Context, x *exchange) (*pageSession, error) {
	a := ps.findApp(x)
	if a == nil {
		return nil, watchword.ErrUnknownChallenge
	}
	id := x.request.PathValue("id")
	c, err := x.request.Cookie(cookieName(a, id))
	if err != nil {
		return nil, watchword.ErrUnknownChallenge
	}
	unlock, err := ps.lockPage(x, id, c.Value)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := a.engine.ViewPage(ctx, id, c.Value)
	if err != nil {
		return nil, err
	}
	return &pageSession{app: a, id: id, cookie: c.Value, page: p}, nil
}

// writeChallenge responds with the part of a challenge, and a message about an error if there is one.
func (ps *pageServer) writeChallenge(x *exchange, status int, session *pageSession, message string) {
	name, v := ps.choosePart(x, session.app, session.page)
	v.Error, v.SentAt, v.Rejected = message, session.sentAt, session.rejected
	ps.writePart(x, status, name, v)
}

// choosePart returns the template and the data of a challenge: of its ask or, when it has ended, of its end.
func (ps *pageServer) choosePart(x *exchange, a *app, p *watchword.Page) (string, *partView) {
	v := ps.newPartView(x, a, p.View)
	if p.Status == watchword.Pending {
		return ps.fillAsk(v, p), v
	}
	return fillEnded(v, p.Status, p.Next), v
}

// serveState responds with the current part, for a page that is reloaded.
func (ps *pageServer) serveState(x *exchange) {
	ctx, cancel := x.operationContext()
	defer cancel()
	if session := ps.requireSession(ctx, x); session != nil {
		ps.writeChallenge(x, http.StatusOK, session, "")
	}
}

func (ps *pageServer) answerChallenge(x *exchange, in *answerRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	session := ps.requireSession(ctx, x)
	if session == nil {
		return
	}
	if in.Answer.Object != asksForKey(session.page) {
		x.writeProblem(invalidField("answer", "has the wrong type for this challenge"))
		return
	}
	answer := in.Answer.Answer
	answer.Starter = true
	err := session.engine.Answer(ctx, session.id, answer, ps.describeClient(x))
	if until := ps.blockedUntil(err); !until.Before(session.page.ExpiresAt) {
		v := ps.newPartView(x, session.app, session.page.View)
		v.Next = template.URL(session.page.ReturnURL)
		ps.writeBlocked(x, v, err, until)
		return
	}
	ps.writeOutcome(ctx, x, session, err)
}

func asksForKey(p *watchword.Page) bool {
	return p.Ask == watchword.AskKey || p.Ask == watchword.AskNewKey
}

// resendChallenge sends the message again, by another channel if the page offers it.
func (ps *pageServer) resendChallenge(x *exchange, in *pageResendRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	session := ps.requireSession(ctx, x)
	if session == nil {
		return
	}
	if in.Channel != "" && in.Channel != session.page.Channel && !slices.Contains(session.page.OtherChannels, in.Channel) {
		x.writeProblem(invalidField("channel", "is not offered"))
		return
	}
	_, err := session.engine.Resend(ctx, session.id, watchword.ResendRequest{Channel: in.Channel})
	if err == nil {
		session.sentAt = ps.server.clock()
	}
	ps.writeOutcome(ctx, x, session, err)
}

func (ps *pageServer) cancelChallenge(x *exchange, _ *emptyRequest) {
	ctx, cancel := x.operationContext()
	defer cancel()
	if session := ps.requireSession(ctx, x); session != nil {
		_, err := session.engine.Cancel(ctx, session.id)
		ps.writeOutcome(ctx, x, session, err)
	}
}

// describeClient returns the client of a request, which the limits of checks use.
func (ps *pageServer) describeClient(x *exchange) watchword.Client {
	c := watchword.Client{UserAgent: x.request.UserAgent()}
	if ip := ps.server.ClientAddress(x.request); ip.IsValid() {
		c.IP = ip.String()
	}
	return c
}

// writeOutcome responds with the part of a challenge after an operation that returned err.
func (ps *pageServer) writeOutcome(ctx context.Context, x *exchange, session *pageSession, err error) {
	page, errView := session.engine.ViewPage(ctx, session.id, session.cookie)
	if errView != nil {
		ps.writeLoadError(x, errView, "unknown")
		return
	}
	session.page = page
	if err == nil {
		ps.writeChallenge(x, http.StatusOK, session, "")
		return
	}
	texts := session.pages.texts.forLocale(page.Locale, x.request)
	session.rejected = errors.Is(err, watchword.ErrIncorrectAnswer)
	status, message := ps.explainAnswer(x, texts, session.app, page.View, err)
	if status == http.StatusServiceUnavailable {
		ps.writeLoadError(x, err, "unknown")
		return
	}
	ps.writeChallenge(x, status, session, message)
}
