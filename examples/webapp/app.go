package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword"
)

//go:embed pages.html
var pagesHTML embed.FS

// app is the web app: its users and sessions, and the verification engine.
type app struct {
	engine   *watchword.Engine
	users    users
	sessions sessions
	pages    *template.Template
}

// newApp returns the app with one user, ann@example.com. It sends messages until ctx ends.
func newApp(ctx context.Context) (http.Handler, error) {
	engine, inbox, err := newEngine(ctx)
	if err != nil {
		return nil, err
	}
	a := &app{engine: engine, users: users{byEmail: map[string]*user{}}, sessions: sessions{byID: map[string]session{}}}
	if a.pages, err = template.ParseFS(pagesHTML, "pages.html"); err != nil {
		return nil, err
	}
	if err := a.users.add("user_1", "ann@example.com", "correct horse"); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("POST /sign-in/code", a.signInCode)
	mux.HandleFunc("POST /forgot", a.forgot)
	mux.HandleFunc("POST /reset", a.reset)
	mux.HandleFunc("POST /sign-out", a.signOut)
	mux.Handle("GET /inbox", inbox)
	mux.Handle("GET /inbox/", inbox)
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// A page is the data of a template.
type page struct {
	Name    string // of the template
	Email   string
	SentTo  string
	Message string
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	if s := a.currentSession(r); s.user != nil {
		a.renderPage(w, page{Name: "welcome", Email: s.user.email})
		return
	}
	a.renderPage(w, page{Name: "sign-in"})
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

// messageFor returns the text that the person sees for an error, and whether another answer may help.
func messageFor(err error) (message string, again bool) {
	var problem *watchword.Error
	switch {
	case errors.Is(err, watchword.ErrIncorrectAnswer) && errors.As(err, &problem):
		return fmt.Sprintf("That was not the code. Tries left: %d", problem.Remaining), true
	case errors.Is(err, watchword.ErrInvalidRequest): // only the code was typed, so it is malformed; it cost no try
		return "Please look again at what you typed.", true
	case (errors.Is(err, watchword.ErrTooManyGuesses) || errors.Is(err, watchword.ErrRateLimited)) && errors.As(err, &problem):
		return fmt.Sprintf("Too many tries. Please wait %s.", problem.RetryAfter.Round(time.Second)), false
	case errors.Is(err, watchword.ErrChallengeExpired), errors.Is(err, watchword.ErrAttemptsExhausted), errors.Is(err, watchword.ErrUnknownChallenge):
		return "This code is no longer valid. Please begin again.", false
	}
	log.Print(err)
	return "Something went wrong. Please try again later.", false
}
