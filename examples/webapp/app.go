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
	"github.com/watchword-auth/watchword/examples/style"
)

//go:embed pages.html
var pagesHTML embed.FS

// app is the web app: its users and sessions, and the verification engine.
type app struct {
	engine    *watchword.Engine
	origin    string
	users     users
	sessions  sessions
	templates *template.Template
}

// newApp returns the app for an origin, with the users ann@example.com and bea@example.com. It sends messages until ctx ends.
func newApp(ctx context.Context, origin string) (http.Handler, error) {
	mux := http.NewServeMux()
	s, err := newService(ctx, origin, mux)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	a := &app{engine: s.Engine, origin: origin, users: users{byEmail: map[string]*user{}}, sessions: sessions{byID: map[string]session{}}}
	if a.templates, err = template.ParseFS(pagesHTML, "pages.html"); err != nil {
		return nil, err
	}
	if err := errors.Join(a.users.add("user_1", "ann@example.com", "correct horse"), a.users.add("user_2", "bea@example.com", "correct mule")); err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /{$}", a.home)
	mux.Handle("GET /style.css", style.Sheet())
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("GET /sign-in/done", a.signInDone)
	mux.HandleFunc("POST /app", a.enrolApp)
	mux.HandleFunc("GET /app/done", a.enrolAppDone)
	mux.HandleFunc("GET /forgot", func(w http.ResponseWriter, _ *http.Request) { a.renderPage(w, page{Name: "forgot"}) })
	mux.HandleFunc("POST /forgot", a.forgot)
	mux.HandleFunc("POST /reset", a.reset)
	mux.HandleFunc("POST /sign-out", a.signOut)
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
	if err := a.templates.ExecuteTemplate(w, p.Name, p); err != nil {
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

// messageFor returns the text that the person sees for an error.
func messageFor(err error) string {
	var problem *watchword.Error
	switch {
	case errors.Is(err, errNotVerified), errors.Is(err, watchword.ErrNotAnswered):
		return "You have not confirmed that it is you. Please begin again."
	case errors.Is(err, errOtherQuestion), errors.Is(err, watchword.ErrReturnCodeInvalid), errors.Is(err, watchword.ErrUnknownVerification):
		return "This was not started in this browser, or too long ago. Please begin again."
	case errors.Is(err, watchword.ErrIncorrectAnswer) && errors.As(err, &problem):
		return fmt.Sprintf("That was not the code. Tries left: %d", problem.Remaining)
	case errors.Is(err, watchword.ErrInvalidRequest): // only the code was typed, so it is malformed; it cost no try
		return "Please look again at what you typed."
	case (errors.Is(err, watchword.ErrTooManyGuesses) || errors.Is(err, watchword.ErrRateLimited)) && errors.As(err, &problem):
		return fmt.Sprintf("Too many tries. Please wait %s.", problem.RetryAfter.Round(time.Second))
	case errors.Is(err, watchword.ErrChallengeExpired), errors.Is(err, watchword.ErrAttemptsExhausted), errors.Is(err, watchword.ErrUnknownChallenge):
		return "This code is no longer valid. Please begin again."
	}
	log.Print(err)
	return "Something went wrong. Please try again later."
}

// mayTryAgain reports whether another answer may help.
func mayTryAgain(err error) bool {
	return errors.Is(err, watchword.ErrIncorrectAnswer) || errors.Is(err, watchword.ErrInvalidRequest)
}
