package main

import (
	"net/http"

	"github.com/watchword-auth/watchword"
)

// sendLink sends a link to people who have no passkey on this device, and a code for when the mail is read elsewhere.
func (a *app) sendLink(w http.ResponseWriter, r *http.Request) {
	// Another spelling of the same address is the same user, so the app keeps the canonical address.
	to, err := a.addresses("email", r.FormValue("email"))
	if err != nil {
		a.show(w, page{Name: "sign-in", Message: explain(errNoAddress)})
		return
	}
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "magiclink", Purpose: watchword.PurposeSignIn,
		To: to.Value, Client: client(r)})
	if err != nil {
		a.show(w, page{Name: "sign-in", Message: explain(err)})
		return
	}
	a.keep(w, r, session{link: started.ID, asked: to.Value})
	a.show(w, page{Name: "sent", SentTo: started.SentTo})
}

// openLink is the page of the mail's link. It changes nothing, so a scanner that follows it does no harm. The token is in
// the fragment, which only the page's script sees. A link signs in only the browser that asked for it. Otherwise strangers
// could let people confirm the strangers' sign-ins.
func (a *app) openLink(w http.ResponseWriter, r *http.Request) {
	if s := a.session(r); s.link != r.PathValue("id") {
		a.show(w, page{Name: "elsewhere"})
		return
	}
	a.show(w, page{Name: "link"})
}

// answerLink checks the link's token or the code. Purpose and address come from the app, not from the form.
func (a *app) answerLink(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s.link == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	_, err := a.engine.Check(r.Context(), s.link, watchword.CheckRequest{Purpose: watchword.PurposeSignIn, To: s.asked,
		Answer: watchword.Answer{Text: r.FormValue("answer")}, Client: client(r)})
	if err != nil {
		a.show(w, page{Name: "sent", Message: explain(err)})
		return
	}
	a.keep(w, r, session{user: a.users.of(s.asked)})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
