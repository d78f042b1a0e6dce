package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// sendLink sends a link to people who have no passkey in this browser. The mail has a code too, for reading it on another device.
func (a *app) sendLink(w http.ResponseWriter, r *http.Request) {
	// Use the normalized address, so that the same address in another form is the same user.
	to, err := a.addresses("email", r.FormValue("email"))
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Message: messageFor(errNoAddress)})
		return
	}
	started, err := a.engine.StartVerification(r.Context(), watchword.VerificationRequest{Purpose: watchword.PurposeSignIn,
		Methods: []watchword.MethodRequest{{Strategy: "magiclink", To: to.Value}}, Client: clientOf(r)})
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{link: started.ID, linkChallenge: started.Challenge.ID, address: to.Value})
	a.renderPage(w, page{Name: "sent", SentTo: started.Challenge.SentTo})
}

// openLink is the target of the link. It changes nothing, so a mail scanner may follow it. The token is in the fragment, which
// only the page's script sees. A link signs in only the browser that asked for it: otherwise an attacker could start a
// sign-in and let another person confirm it.
func (a *app) openLink(w http.ResponseWriter, r *http.Request) {
	if s := a.currentSession(r); s.linkChallenge != r.PathValue("id") {
		a.renderPage(w, page{Name: "elsewhere"})
		return
	}
	a.renderPage(w, page{Name: "link"})
}

// answerLink checks the link's token or the code. Purpose and address come from the app, not from the form.
func (a *app) answerLink(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.link == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.CheckVerification(r.Context(), s.link, watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{
		Purpose: watchword.PurposeSignIn, To: s.address, Answer: watchword.AnswerCode(r.FormValue("answer")), Client: clientOf(r)}})
	if err != nil {
		a.renderPage(w, page{Name: "sent", Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{user: a.users.findOrCreate(s.address)})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
