package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// sendLink is for people without a passkey, or without it here: a link, and a code for when the mail is read elsewhere.
func (a *app) sendLink(w http.ResponseWriter, r *http.Request) {
	// Whoever writes the same address in another way is the same user, so the app keeps what it is sent to.
	to, err := a.addresses("email", r.FormValue("email"))
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Message: messageFor(errNoAddress)})
		return
	}
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "magiclink", Purpose: watchword.PurposeSignIn,
		To: to.Value, Client: clientOf(r)})
	if err != nil {
		a.renderPage(w, page{Name: "sign-in", Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{linkChallenge: started.ID, address: to.Value})
	a.renderPage(w, page{Name: "sent", SentTo: started.SentTo})
}

// openLink is where the mail's link leads. It changes nothing, so a scanner that follows it does no harm; the token is in
// the fragment, which only the page's script sees. A link signs in the browser that asked for it and no other: otherwise
// strangers could have people confirm sign-ins of theirs.
func (a *app) openLink(w http.ResponseWriter, r *http.Request) {
	if s := a.currentSession(r); s.linkChallenge != r.PathValue("id") {
		a.renderPage(w, page{Name: "elsewhere"})
		return
	}
	a.renderPage(w, page{Name: "link"})
}

// answerLink takes the link's token or the code. Purpose and address are the app's own words, not the form's.
func (a *app) answerLink(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	if s.linkChallenge == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.Check(r.Context(), s.linkChallenge, watchword.CheckRequest{Purpose: watchword.PurposeSignIn, To: s.address,
		Answer: watchword.Answer{Text: r.FormValue("answer")}, Client: clientOf(r)})
	if err != nil {
		a.renderPage(w, page{Name: "sent", Message: messageFor(err)})
		return
	}
	a.saveSession(w, r, session{user: a.users.findOrCreate(s.address)})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
