package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// forgot starts a password reset on the app's own page. For an unknown address the verification is a decoy: it looks like a real one
// and takes as long, but nothing is sent. So the form does not reveal who has an account. There is no return URL, so there is no
// hosted page that could be passed on.
func (a *app) forgot(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	started, err := a.engine.StartVerification(r.Context(), watchword.VerificationRequest{Purpose: watchword.PurposePasswordReset,
		Methods: []watchword.MethodRequest{{Strategy: "otp", Channel: "email", To: email}}, Open: watchword.OpenFirst,
		Client: clientOf(r), Decoy: a.users.find(email) == nil})
	if err != nil {
		a.renderPage(w, page{Name: "forgot", Email: email, Message: messageFor(err)})
		return
	}
	s := session{resetting: true, asked: started.ID, email: email, sentTo: started.Challenge.SentTo}
	a.saveSession(w, r, s)
	a.renderPage(w, page{Name: "reset", SentTo: s.sentTo})
}

// reset takes the code and the new password in one form, so that there is no intermediate state that could be stolen. Purpose and
// address come from the app, not from the form.
func (a *app) reset(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if !s.resetting {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.CheckVerification(r.Context(), s.asked, watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{
		Purpose: watchword.PurposePasswordReset, To: s.email, Answer: watchword.AnswerCode(r.FormValue("code")), Client: clientOf(r)}})
	if err == nil {
		id := a.users.find(s.email).id
		err = a.users.add(id, s.email, r.FormValue("password"))
		a.sessions.endAll(id) // also those of an attacker with the old password
	}
	if err != nil && mayTryAgain(err) {
		a.renderPage(w, page{Name: "reset", SentTo: s.sentTo, Message: messageFor(err)})
		return
	}
	message := "Your password was changed. Please sign in."
	if err != nil {
		message = messageFor(err)
	}
	a.saveSession(w, r, session{})
	a.renderPage(w, page{Name: "sign-in", Email: s.email, Message: message})
}
