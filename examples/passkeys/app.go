package main

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/examples/style"
)

//go:embed pages.html page.js
var files embed.FS

// app is the web app: its users and sessions, and the verification engine.
type app struct {
	services
	users    users
	sessions sessions
	pages    *template.Template
}

// newApp returns the app for an origin. It sends messages until ctx ends.
func newApp(ctx context.Context, origin string) (http.Handler, error) {
	a := &app{users: users{byEmail: map[string]string{}, byID: map[string]string{}}, sessions: sessions{byID: map[string]session{}}}
	var err error
	if a.services, err = newServices(ctx, origin); err != nil {
		return nil, err
	}
	if a.pages, err = template.ParseFS(files, "pages.html"); err != nil {
		return nil, err
	}
	passkeys, err := a.newPasskeys()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.Handle("GET /style.css", style.Sheet())
	mux.HandleFunc("POST /link", a.sendLink)
	mux.HandleFunc("GET /l/{id}", a.openLink)
	mux.HandleFunc("POST /link/answer", a.answerLink)
	mux.Handle("/passkeys/", passkeys)
	mux.HandleFunc("POST /sign-out", a.signOut)
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.js") })
	mux.Handle("GET /inbox", a.inbox)
	mux.Handle("/inbox/", a.inbox)
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// A page is the data of a template.
type page struct {
	Name    string // of the template
	Email   string
	SentTo  string
	Keys    []watchword.Factor
	Message string
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.user == "" {
		a.renderPage(w, page{Name: "sign-in"})
		return
	}
	keys, err := a.engine.ListFactors(r.Context(), s.user)
	p := page{Name: "welcome", Email: a.users.email(s.user), Keys: keys}
	if err != nil {
		p.Message = messageFor(err)
	}
	a.renderPage(w, p)
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	a.saveSession(w, r, session{})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

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
	return a.sessions.get(c.Value)
}

func (a *app) saveSession(w http.ResponseWriter, r *http.Request, s session) {
	old := ""
	if c, err := r.Cookie(cookie); err == nil {
		old = c.Value
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: a.sessions.save(old, s), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// clientOf returns the client of a request, by which limits count.
func clientOf(r *http.Request) watchword.Client {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return watchword.Client{IP: host, UserAgent: r.UserAgent()}
}

var errNoAddress = errors.New("no e-mail address")

// messageFor returns the text that the person sees for an error.
func messageFor(err error) string {
	switch {
	case errors.Is(err, errNoAddress):
		return "Please give an e-mail address."
	case errors.Is(err, watchword.ErrTooManyGuesses), errors.Is(err, watchword.ErrRateLimited):
		return "Too many tries. Please wait a while."
	case errors.Is(err, watchword.ErrIncorrectAnswer), errors.Is(err, watchword.ErrInvalidRequest): // or malformed
		return "That was not right."
	case errors.Is(err, watchword.ErrUnknownVerification), errors.Is(err, watchword.ErrUnknownChallenge), errors.Is(err, watchword.ErrChallengeExpired), errors.Is(err, watchword.ErrAttemptsExhausted):
		return "That took too long. Please begin again."
	}
	log.Print(err)
	return "That did not work. Please begin again."
}
