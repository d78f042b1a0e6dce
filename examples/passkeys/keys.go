package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/webauthn"
)

// maxAnswer is the maximum size of an answer in bytes.
const maxAnswer = 64 << 10

// startKeyChallenge starts a challenge and returns its options to the page. A sign-in has no subject: the browser suggests its
// passkeys for this site, and the chosen one identifies the user.
func (a *app) startKeyChallenge(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	req := watchword.StartRequest{Strategy: "webauthn", Purpose: r.PathValue("purpose"), Client: clientOf(r)}
	if req.Purpose != watchword.PurposeSignIn {
		if s.user == "" {
			replyError(w, errSignedOut)
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
		replyError(w, err)
		return
	}
	s.keyChallenge, s.purpose = started.ID, req.Purpose
	a.saveSession(w, r, s)
	reply(w, started.Public)
}

// answerKey checks the answer to the browser's last challenge.
func (a *app) answerKey(w http.ResponseWriter, r *http.Request) {
	answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	if err != nil {
		replyError(w, err)
		return
	}
	s := a.currentSession(r)
	if s.keyChallenge == "" {
		replyError(w, watchword.ErrUnknownChallenge)
		return
	}
	check := watchword.CheckRequest{Purpose: s.purpose, Answer: watchword.Answer{Text: string(answer), Object: true}, Client: clientOf(r)}
	if s.purpose != watchword.PurposeSignIn {
		check.Subject = s.user
	}
	result, err := a.engine.Check(r.Context(), s.keyChallenge, check)
	if err != nil {
		replyError(w, err)
		return
	}
	switch s.purpose {
	case watchword.PurposeSignIn:
		s = session{user: result.Claims.Subject}
	case watchword.PurposeManageFactors:
		s.proof = result.Claims
	}
	s.keyChallenge, s.purpose = "", ""
	a.saveSession(w, r, s)
	reply(w, struct{}{})
}

// removeKey removes one of the user's passkeys. The engine requires a proof by a passkey for it, and for adding another one: an
// attacker with access to the mailbox can sign in by a link, but can neither remove the owner's passkeys nor add one. If an
// owner has lost all passkeys, the app must verify the owner in another way and then use Authority{Admin: true}.
//
// The page signals the remaining keys to the browser, so that the removed one is no longer suggested.
func (a *app) removeKey(w http.ResponseWriter, r *http.Request) {
	s := a.currentSession(r)
	key, err := a.engine.GetFactor(r.Context(), r.FormValue("id"))
	if err == nil && (s.user == "" || key.Subject != s.user) {
		err = watchword.ErrUnknownFactor
	}
	if err == nil {
		err = a.engine.RemoveFactor(r.Context(), key.ID, watchword.Authority{Claims: s.proof})
	}
	if err != nil {
		replyError(w, err)
		return
	}
	s.proof = nil
	a.saveSession(w, r, s)
	left, err := a.engine.ListFactors(r.Context(), s.user)
	if err != nil {
		replyError(w, err)
		return
	}
	reply(w, a.keys.AcceptedKeys(appID, s.user, left))
}

// reply sends JSON to the page's script.
func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

// replyError sends the message for an error to the page's script. It does not reveal why a key was refused.
func replyError(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	if err := json.NewEncoder(w).Encode(map[string]string{"message": messageFor(err)}); err != nil {
		log.Print(err)
	}
}
