package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// signIn checks the password and, if it is right, asks for a second step on the hosted page. Nobody is signed in yet.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	u := a.users.checkPassword(email, r.FormValue("password"))
	if u == nil {
		a.renderPage(w, page{Name: "sign-in", Email: email, Message: "Wrong e-mail address or password."})
		return
	}
	started, err := a.engine.StartVerification(r.Context(), watchword.VerificationRequest{Purpose: watchword.PurposeMFA, Subject: u.id,
		Methods:   []watchword.MethodRequest{{Strategy: "totp"}, {Strategy: "otp", Channel: "email", To: u.email}},
		ReturnURL: a.origin + "/sign-in/done", Client: clientOf(r)})
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Email: email, Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{pendingUser: u, asked: started.ID, handle: started.Handle})
	http.Redirect(w, r, a.origin+"/v/"+started.ID+"#"+started.Ticket.Reveal(), http.StatusSeeOther)
}

// signInDone signs the user in when the browser comes back from the hosted page. Purpose and subject come from the session.
func (a *app) signInDone(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.pendingUser == nil { // a reload, or nothing that this session has started
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	code, err := returnCodeOf(w, r, s, "verification")
	if err == nil {
		_, err = a.engine.RedeemVerification(r.Context(), s.asked, watchword.RedeemRequest{Handle: s.handle.Reveal(), Purpose: watchword.PurposeMFA,
			Subject: s.pendingUser.id, ReturnCode: code})
	}
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Email: s.pendingUser.email, Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{user: s.pendingUser})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// enrolApp lets the user set up an authenticator app on the hosted page of a challenge.
func (a *app) enrolApp(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.user == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeEnrol, Subject: s.user.id,
		Metadata: map[string]string{"account": s.user.email}, ReturnURL: a.origin + "/app/done", Client: clientOf(r)})
	if err != nil {
		a.renderPage(w, page{Name: "welcome", Email: s.user.email, Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{user: s.user, asked: started.ID, handle: started.Handle})
	http.Redirect(w, r, a.origin+"/c/"+started.ID+"#"+started.Ticket.Reveal(), http.StatusSeeOther)
}

// enrolAppDone collects the result when the browser comes back. The factor is active as soon as its challenge is answered.
func (a *app) enrolAppDone(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.user == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	code, err := returnCodeOf(w, r, s, "challenge")
	if err == nil {
		_, err = a.engine.Redeem(r.Context(), s.asked, watchword.RedeemRequest{Handle: s.handle.Reveal(), Purpose: watchword.PurposeEnrol,
			Subject: s.user.id, ReturnCode: code})
	}
	message := "Your authenticator app is set up."
	if err != nil {
		message = messageFor(err)
	}
	a.saveSession(w, r, session{user: s.user})
	a.renderPage(w, page{Name: "welcome", Email: s.user.email, Message: message})
}
