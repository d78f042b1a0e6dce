package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// signIn checks the password and, if it is right, asks for the second step. Nobody is signed in yet.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	u := a.users.signIn(r.FormValue("email"), r.FormValue("password"))
	if u == nil {
		a.show(w, page{Name: "sign-in", Message: "Wrong e-mail address or password."})
		return
	}
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "otp", Purpose: watchword.PurposeMFA,
		Subject: u.id, Channel: "email", To: u.email, Client: client(r)})
	if err != nil {
		message, _ := explain(err)
		a.show(w, page{Name: "sign-in", Message: message})
		return
	}
	a.keep(w, r, session{asked: u, challenge: started.ID, sentTo: started.SentTo})
	a.show(w, page{Name: "mfa", SentTo: started.SentTo})
}

// signInCode checks the code. Purpose and subject come from the app, not from the form.
func (a *app) signInCode(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s.asked == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.Check(r.Context(), s.challenge, watchword.CheckRequest{Purpose: watchword.PurposeMFA,
		Subject: s.asked.id, Answer: watchword.Answer{Text: r.FormValue("code")}, Client: client(r)})
	if err != nil {
		message, again := explain(err)
		if again {
			a.show(w, page{Name: "mfa", SentTo: s.sentTo, Message: message})
			return
		}
		a.keep(w, r, session{})
		a.show(w, page{Name: "sign-in", Message: message})
		return
	}
	a.keep(w, r, session{user: s.asked})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
