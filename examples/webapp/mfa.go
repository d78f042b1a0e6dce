package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// signIn checks the password and, if it is right, starts the second step. Nobody is signed in yet.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	u := a.users.checkPassword(r.FormValue("email"), r.FormValue("password"))
	if u == nil {
		a.renderPage(w, page{Name: "sign-in", Message: "Wrong e-mail address or password."})
		return
	}
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "otp", Purpose: watchword.PurposeMFA,
		Subject: u.id, Channel: "email", To: u.email, Client: clientOf(r)})
	if err != nil {
		message, _ := messageFor(err)
		a.renderPage(w, page{Name: "sign-in", Message: message})
		return
	}
	a.saveSession(w, r, session{pendingUser: u, challenge: started.ID, sentTo: started.SentTo})
	a.renderPage(w, page{Name: "mfa", SentTo: started.SentTo})
}

// signInCode checks the code. Purpose and subject come from the app, not from the form.
func (a *app) signInCode(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.pendingUser == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.Check(r.Context(), s.challenge, watchword.CheckRequest{Purpose: watchword.PurposeMFA,
		Subject: s.pendingUser.id, Answer: watchword.Answer{Text: r.FormValue("code")}, Client: clientOf(r)})
	if err != nil {
		message, again := messageFor(err)
		if again {
			a.renderPage(w, page{Name: "mfa", SentTo: s.sentTo, Message: message})
			return
		}
		a.saveSession(w, r, session{})
		a.renderPage(w, page{Name: "sign-in", Message: message})
		return
	}
	a.saveSession(w, r, session{user: s.pendingUser})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
