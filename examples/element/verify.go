package main

import (
	"encoding/json"
	"net/http"

	"github.com/watchword-auth/watchword"
)

// start begins a sign-in and responds with what the element needs. With an address it offers a code and a link by e-mail, without one a
// passkey, which names its owner. The handle stays in the session.
func (a *app) start(w http.ResponseWriter, r *http.Request) {
	to := r.FormValue("email")
	methods := []watchword.MethodRequest{{Strategy: "webauthn"}}
	if to != "" {
		methods = []watchword.MethodRequest{{Strategy: "otp", Channel: "email", To: to}, {Strategy: "magiclink", To: to}}
	}
	started, err := a.engine.StartVerification(r.Context(), watchword.VerificationRequest{Purpose: watchword.PurposeSignIn, Methods: methods,
		Open: watchword.OpenFirst, ReturnURL: a.origin + "/done", Client: clientOf(r)})
	if err != nil {
		replyError(w, err)
		return
	}
	a.sessions.save(w, r, session{asked: started.ID, handle: started.Handle, address: to})
	reply(w, map[string]string{"id": started.ID, "ticket": started.Ticket.Reveal()})
}

// finish signs in after the element's event: it collects the receipt with the handle of this browser's session and the return code of the
// event. The event alone proves nothing.
func (a *app) finish(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Verification string `json:"verification"`
		ReturnCode   string `json:"return_code"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&event)
	if err == nil {
		err = a.redeem(w, r, event.Verification, event.ReturnCode)
	}
	if err != nil {
		replyError(w, err)
		return
	}
	reply(w, map[string]any{})
}

// done is the return URL. The element leads there if the person clicks its button after the end, and a page for a passkey does. The address
// holds the code, so it is not passed on as the referrer.
func (a *app) done(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	query := r.URL.Query()
	s := a.sessions.of(r)
	switch {
	case query.Has("error"):
	case s.user != "" && s.asked == query.Get("challenge"):
		_, _ = a.engine.Redeem(r.Context(), s.asked, watchword.RedeemRequest{Handle: s.handle.Reveal(), Purpose: watchword.PurposeEnrol, Subject: s.user, ReturnCode: query.Get("return_code")})
	case s.user == "":
		_ = a.redeem(w, r, query.Get("verification"), query.Get("return_code"))
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// redeem signs in who was verified. The verification must be that of the session: otherwise an attacker's own verification could sign
// somebody else in as the attacker.
func (a *app) redeem(w http.ResponseWriter, r *http.Request, verification, returnCode string) error {
	s := a.sessions.of(r)
	if s.asked == "" || s.asked != verification {
		return errOtherQuestion
	}
	result, err := a.engine.RedeemVerification(r.Context(), s.asked, watchword.RedeemRequest{Handle: s.handle.Reveal(), Purpose: watchword.PurposeSignIn,
		To: s.address, ReturnCode: returnCode})
	if err != nil {
		return err
	}
	user := result.Claims.Subject // of the passkey
	if user == "" {
		user = a.users.findOrCreate(s.address)
	}
	a.sessions.save(w, r, session{user: user})
	return nil
}

// addPasskey responds with the address of the hosted page that adds a passkey. The element answers verifications, and enrols nothing.
func (a *app) addPasskey(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.of(r)
	if s.user == "" {
		replyError(w, errOtherQuestion)
		return
	}
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "webauthn", Purpose: watchword.PurposeEnrol, Subject: s.user,
		Metadata: map[string]string{"account": a.users.email(s.user)}, ReturnURL: a.origin + "/done", Client: clientOf(r)})
	if err != nil {
		replyError(w, err)
		return
	}
	a.sessions.save(w, r, session{user: s.user, asked: started.ID, handle: started.Handle})
	reply(w, map[string]string{"page_url": a.verify + "/c/" + started.ID + "#" + started.Ticket.Reveal()})
}
