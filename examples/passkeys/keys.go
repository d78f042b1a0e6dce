package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/webauthn"
)

// maxAnswer is the largest answer that is read, in bytes. No key's answer needs as much.
const maxAnswer = 64 << 10

// askKey starts a challenge for a key and gives its options to the page. For signing in it has no subject: the browser
// suggests the passkeys that it has for this site, and the one that is chosen names its owner.
func (a *app) askKey(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	req := watchword.StartRequest{Strategy: "webauthn", Purpose: r.PathValue("purpose"), Client: client(r)}
	if req.Purpose != watchword.PurposeSignIn {
		if s.user == "" {
			refuse(w, errSignedOut)
			return
		}
		req.Subject = s.user
	}
	if req.Purpose == watchword.PurposeEnrol {
		req.Metadata = map[string]string{webauthn.MetadataAccount: a.users.email(s.user)}
		req.Authority, s.proof = watchword.Authority{Claims: s.proof}, nil
	}
	started, err := a.engine.Start(r.Context(), req)
	if err != nil {
		refuse(w, err)
		return
	}
	s.key, s.purpose = started.ID, req.Purpose
	a.keep(w, r, s)
	reply(w, started.Public)
}

// answerKey checks a key's answer to the last challenge of this session.
func (a *app) answerKey(w http.ResponseWriter, r *http.Request) {
	answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	if err != nil {
		refuse(w, err)
		return
	}
	s := a.session(r)
	if s.key == "" {
		refuse(w, watchword.ErrUnknownChallenge)
		return
	}
	check := watchword.CheckRequest{Purpose: s.purpose, Answer: watchword.Answer{Text: string(answer), Object: true}, Client: client(r)}
	if s.purpose != watchword.PurposeSignIn {
		check.Subject = s.user
	}
	result, err := a.engine.Check(r.Context(), s.key, check)
	if err != nil {
		refuse(w, err)
		return
	}
	switch s.purpose {
	case watchword.PurposeSignIn:
		s = session{user: result.Claims.Subject}
	case watchword.PurposeManageFactors:
		s.proof = result.Claims
	}
	s.key, s.purpose = "", ""
	a.keep(w, r, s)
	reply(w, struct{}{})
}

// removeKey removes one of the user's own passkeys. The engine requires a proof by a key for it, as for adding a second one.
// So an attacker who reads the mailbox can sign in by a link, but neither removes the owner's passkeys nor adds one. For an
// owner who lost all passkeys, the app must verify by other means, and then uses Authority{Admin: true}.
//
// The page tells the browser which keys are left, so that the removed one is not suggested any more.
func (a *app) removeKey(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	key, err := a.engine.GetFactor(r.Context(), r.FormValue("id"))
	if err == nil && (s.user == "" || key.Subject != s.user) {
		err = watchword.ErrUnknownFactor
	}
	if err == nil {
		err = a.engine.RemoveFactor(r.Context(), key.ID, watchword.Authority{Claims: s.proof})
	}
	if err != nil {
		refuse(w, err)
		return
	}
	s.proof = nil
	a.keep(w, r, s)
	left, err := a.engine.ListFactors(r.Context(), s.user)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, a.keys.AcceptedKeys(appID, s.user, left))
}

// reply answers the page's script with JSON.
func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

// refuse answers the page's script with a text for the person. It does not say why a key was refused.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	if err := json.NewEncoder(w).Encode(map[string]string{"message": explain(err)}); err != nil {
		log.Print(err)
	}
}
