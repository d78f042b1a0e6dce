package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// forgot starts a reset. For an address that nobody has, the challenge is a decoy: it looks and takes as long as a real
// one and nothing is sent, so the form tells nobody who has an account.
func (a *app) forgot(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "otp", Purpose: watchword.PurposePasswordReset,
		Channel: "email", To: email, Client: client(r), Decoy: a.users.find(email) == nil})
	if err != nil {
		message, _ := explain(err)
		a.show(w, page{Name: "sign-in", Message: message})
		return
	}
	a.keep(w, r, session{challenge: started.ID, email: email, sentTo: started.SentTo})
	a.show(w, page{Name: "reset", SentTo: started.SentTo})
}

// reset takes the code and the new password together, so there is no state "verified" that could be stolen in between.
func (a *app) reset(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s.email == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.Check(r.Context(), s.challenge, watchword.CheckRequest{Purpose: watchword.PurposePasswordReset,
		To: s.email, Answer: watchword.Answer{Text: r.FormValue("code")}, Client: client(r)})
	if err == nil {
		id := a.users.find(s.email).id
		err = a.users.add(id, s.email, r.FormValue("password"))
		a.sessions.endAll(id) // of everybody who signed in with the old password
	}
	if err != nil {
		message, again := explain(err)
		if again {
			a.show(w, page{Name: "reset", SentTo: s.sentTo, Message: message})
			return
		}
		a.keep(w, r, session{})
		a.show(w, page{Name: "sign-in", Message: message})
		return
	}
	a.keep(w, r, session{})
	a.show(w, page{Name: "sign-in", Message: "Your password was changed. Please sign in."})
}
