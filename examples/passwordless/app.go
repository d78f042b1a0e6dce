package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/examples/style"
)

//go:embed pages.html
var pagesHTML embed.FS

// app is the web app: its sessions and the verification engine.
type app struct {
	engine   *watchword.Engine
	origin   string
	pages    *template.Template
	mu       sync.Mutex
	sessions map[string]session
}

// A session is the state of one browser. The handle is stored here only, because with it the receipt can be collected.
type session struct {
	email        string // who is signed in
	address      string // to which the link was sent
	verification string
	handle       string
}

// newApp returns the app for an origin. It sends messages until ctx ends.
func newApp(ctx context.Context, origin string) (http.Handler, error) {
	mux := http.NewServeMux()
	s, err := newService(ctx, origin, mux)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	a := &app{engine: s.Engine, origin: origin, sessions: map[string]session{}}
	if a.pages, err = template.ParseFS(pagesHTML, "pages.html"); err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /{$}", a.home)
	mux.Handle("GET /style.css", style.Sheet())
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("GET /done", a.done)
	mux.HandleFunc("POST /sign-out", a.signOut)
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// signIn starts a verification and redirects the browser to its hosted page. The page's ticket is in the fragment, which is not sent
// to servers, and opens one browser.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	started, err := a.engine.StartVerification(r.Context(), watchword.VerificationRequest{Purpose: watchword.PurposeSignIn,
		Methods:   []watchword.MethodRequest{{Strategy: "magiclink", To: email}},
		ReturnURL: a.origin + "/done", Client: watchword.Client{IP: host, UserAgent: r.UserAgent()}})
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Email: email, Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{address: email, verification: started.ID, handle: started.Handle.Reveal()})
	http.Redirect(w, r, a.origin+"/v/"+started.ID+"#"+started.Ticket.Reveal(), http.StatusSeeOther)
}

// done handles the return from the hosted page. The request itself proves nothing. The receipt does: it is collected, once, with the
// handle of the session and the return code, which only the browser that opened the page gets. The handle is never looked up by the
// id in the query: otherwise somebody else's finished verification would sign this browser in. The URL holds the code, so it is not
// passed on as the referrer.
func (a *app) done(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	s, query := a.currentSession(r), r.URL.Query()
	if s.address == "" { // signed in already, or nothing was started
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	err := errNotVerified
	if query.Get("verification") == s.verification && !query.Has("error") {
		_, err = a.engine.RedeemVerification(r.Context(), s.verification, watchword.RedeemRequest{Handle: s.handle, Purpose: watchword.PurposeSignIn,
			To: s.address, ReturnCode: query.Get("return_code")})
	}
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Email: s.address, Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{email: s.address})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	if s := a.currentSession(r); s.email != "" {
		a.renderPage(w, page{Name: "welcome", Email: s.email})
		return
	}
	a.renderPage(w, page{Name: "sign-in"})
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	a.saveSession(w, r, session{})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// A page is the data of a template.
type page struct{ Name, Email, Message string }

func (a *app) renderPage(w http.ResponseWriter, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := a.pages.ExecuteTemplate(w, p.Name, p); err != nil {
		log.Print(err)
	}
}

const cookie = "session"

func (a *app) currentSession(r *http.Request) session {
	c, err := r.Cookie(cookie)
	if err != nil {
		return session{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions[c.Value]
}

// saveSession stores a session under a new id, so that an id from before the sign-in is invalid afterwards.
func (a *app) saveSession(w http.ResponseWriter, r *http.Request, s session) {
	id := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, err := r.Cookie(cookie); err == nil {
		delete(a.sessions, c.Value)
	}
	a.sessions[id] = s
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

var errNotVerified = errors.New("the browser does not come back from an answer to this session's verification")

// messageFor returns the text that the person sees for an error.
func messageFor(err error) string {
	switch {
	case errors.Is(err, watchword.ErrInvalidRequest), errors.Is(err, watchword.ErrDestinationRefused):
		return "Please give an e-mail address."
	case errors.Is(err, watchword.ErrRateLimited):
		return "Too many mails to this address. Please wait a while."
	case errors.Is(err, watchword.ErrNotAnswered):
		return "Please open the link in your mail first."
	case errors.Is(err, errNotVerified), errors.Is(err, watchword.ErrReturnCodeInvalid), errors.Is(err, watchword.ErrChallengeExpired):
		return "This was not confirmed in this browser, or too long ago. Please begin again."
	}
	log.Print(err)
	return "That did not work. Please begin again."
}
