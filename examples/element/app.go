package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"net"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/examples/style"
)

// app is the web app: its page and its sessions, and the verification engine.
type app struct {
	engine   *watchword.Engine
	origin   string // of the app
	verify   string // of watchword's server
	page     fs.FS
	sessions sessions
	users    users
}

// newApp returns the handlers of the app and of watchword's server for their origins. It sends messages until ctx ends.
func newApp(ctx context.Context, origin, verify string, page fs.FS) (web, watchwordServer http.Handler, err error) {
	s, err := newEngine(ctx, origin, verify)
	if err != nil {
		return nil, nil, err
	}
	a := &app{engine: s.engine, origin: origin, verify: verify, page: page, sessions: sessions{byID: map[string]session{}}, users: users{byEmail: map[string]string{}, byID: map[string]string{}}}
	mux := http.NewServeMux()
	mux.Handle("GET /", a.servePage())
	mux.Handle("GET /style.css", style.Sheet())
	mux.HandleFunc("GET /me", a.me)
	mux.HandleFunc("POST /start", a.start)
	mux.HandleFunc("POST /finish", a.finish)
	mux.HandleFunc("GET /done", a.done)
	mux.HandleFunc("POST /passkey", a.addPasskey)
	mux.HandleFunc("POST /sign-out", a.signOut)
	mux.Handle("GET /inbox", s.inbox)
	mux.Handle("GET /inbox/", s.inbox)
	return http.NewCrossOriginProtection().Handler(mux), s.server, nil
}

// servePage serves the page, which may load scripts of itself and of watchword's server, and send requests to both. The element needs
// nothing else.
func (a *app) servePage() http.Handler {
	static := http.FileServerFS(a.page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self' "+a.verify+"; connect-src 'self' "+a.verify+"; img-src data:; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-store")
		static.ServeHTTP(w, r)
	})
}

// me responds with the address of who is signed in, and whether they have a passkey.
func (a *app) me(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.of(r)
	keys, err := a.engine.ListFactors(r.Context(), s.user)
	if s.user == "" {
		keys, err = nil, nil
	}
	if err != nil {
		replyError(w, err)
		return
	}
	reply(w, map[string]any{"email": a.users.email(s.user), "has_passkey": len(keys) > 0, "element": a.verify + "/element.js"})
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	a.sessions.save(w, r, session{})
	reply(w, map[string]any{})
}

// reply sends JSON to the page's script.
func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

// replyError sends the message for an error to the page's script.
func replyError(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	reply(w, map[string]string{"message": messageFor(err)})
}

// clientOf returns the client of a request, by which limits count.
func clientOf(r *http.Request) watchword.Client {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return watchword.Client{IP: host, UserAgent: r.UserAgent()}
}

var errOtherQuestion = errors.New("the browser has not started this verification")

// messageFor returns the text that the person sees for an error.
func messageFor(err error) string {
	switch {
	case errors.Is(err, watchword.ErrInvalidRequest), errors.Is(err, watchword.ErrDestinationRefused):
		return "Please give an e-mail address."
	case errors.Is(err, watchword.ErrRateLimited):
		return "Too many tries. Please wait a while."
	case errors.Is(err, errOtherQuestion), errors.Is(err, watchword.ErrReturnCodeInvalid), errors.Is(err, watchword.ErrUnknownVerification):
		return "This was not started in this browser, or too long ago. Please begin again."
	case errors.Is(err, watchword.ErrProofRequired):
		return "You have a passkey already."
	}
	log.Print(err)
	return "That did not work. Please begin again."
}
