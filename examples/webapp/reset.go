package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// forgot starts a password reset. For an unknown address the challenge is a decoy: it looks like a real one and takes as long,
// but nothing is sent. So the form does not reveal who has an account.
func (a *app) forgot(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "otp", Purpose: watchword.PurposePasswordReset,
		Channel: "email", To: email, Client: clientOf(r), Decoy: a.users.find(email) == nil})
	if err != nil {
		message, _ := messageFor(err)
		a.renderPage(w, page{Name: "sign-in", Message: message})
		return
	}
	a.saveSession(w, r, session{challenge: started.ID, email: email, sentTo: started.SentTo})
	a.renderPage(w, page{Name: "reset", SentTo: started.SentTo})
}

// reset takes the code and the new password in one form, so that there is no intermediate state that could be stolen.
func (a *app) reset(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.email == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.Check(r.Context(), s.challenge, watchword.CheckRequest{Purpose: watchword.PurposePasswordReset,
		To: s.email, Answer: watchword.Answer{Text: r.FormValue("code")}, Client: clientOf(r)})
	if err == nil {
		id := a.users.find(s.email).id
		err = a.users.add(id, s.email, r.FormValue("password"))
		a.sessions.endAll(id) // also those of an attacker with the old password
	}
	if err != nil {
		message, again := messageFor(err)
		if again {
			a.renderPage(w, page{Name: "reset", SentTo: s.sentTo, Message: message})
			return
		}
		a.saveSession(w, r, session{})
		a.renderPage(w, page{Name: "sign-in", Message: message})
		return
	}
	a.saveSession(w, r, session{})
	a.renderPage(w, page{Name: "sign-in", Message: "Your password was changed. Please sign in."})
}
