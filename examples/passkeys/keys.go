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

// startKey asks for a key and returns its options to the page. A sign-in has no subject: the browser suggests its passkeys for this
// site, and the chosen one identifies the user.
func (a *app) startKey(w http.ResponseWriter, r *http.Request) {
	s, purpose := a.currentSession(r), r.PathValue("purpose")
	if purpose != watchword.PurposeSignIn && s.user == "" {
		replyError(w, errSignedOut)
		return
	}
	var id string
	var options map[string]any
	var err error
	if purpose == watchword.PurposeEnrol {
		id, options, err = a.startEnrolment(r, s)
		s.proof = nil
	} else {
		id, options, err = a.startVerification(r, s, purpose)
	}
	if err != nil {
		replyError(w, err)
		return
	}
	s.key, s.purpose = id, purpose
	a.saveSession(w, r, s)
	reply(w, options)
}

// startVerification asks for one of the user's passkeys or, for a sign-in, for a passkey of any user.
func (a *app) startVerification(r *http.Request, s session, purpose string) (id string, options map[string]any, err error) {
	req := watchword.VerificationRequest{Purpose: purpose, Methods: []watchword.MethodRequest{{Strategy: "webauthn"}}, Client: clientOf(r)}
	if purpose != watchword.PurposeSignIn {
		req.Subject = s.user
	}
	started, err := a.engine.StartVerification(r.Context(), req)
	if err != nil {
		return "", nil, err
	}
	return started.ID, started.Challenge.Public, nil
}

// startEnrolment asks for a new passkey. An enrolment is a challenge of its own.
func (a *app) startEnrolment(r *http.Request, s session) (id string, options map[string]any, err error) {
	started, err := a.engine.Start(r.Context(), watchword.StartRequest{Strategy: "webauthn", Purpose: watchword.PurposeEnrol, Subject: s.user,
		Metadata: map[string]string{webauthn.MetadataAccount: a.users.email(s.user)}, Authority: watchword.Authority{Claims: s.proof}, Client: clientOf(r)})
	if err != nil {
		return "", nil, err
	}
	return started.ID, started.Public, nil
}

// answerKey checks the answer to what the browser was last asked.
func (a *app) answerKey(w http.ResponseWriter, r *http.Request) {
	answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	if err != nil {
		replyError(w, err)
		return
	}
	s := a.currentSession(r)
	if s.key == "" {
		replyError(w, watchword.ErrUnknownVerification)
		return
	}
	check := watchword.CheckRequest{Purpose: s.purpose, Answer: watchword.AnswerCredential(answer), Client: clientOf(r)}
	if s.purpose != watchword.PurposeSignIn {
		check.Subject = s.user
	}
	if s.purpose == watchword.PurposeEnrol {
		_, err = a.engine.Check(r.Context(), s.key, check)
	} else {
		var result *watchword.VerificationResult
		if result, err = a.engine.CheckVerification(r.Context(), s.key, watchword.VerificationCheck{CheckRequest: check}); err == nil {
			s = s.verified(result.Claims)
		}
	}
	if err != nil {
		replyError(w, err)
		return
	}
	s.key, s.purpose = "", ""
	a.saveSession(w, r, s)
	reply(w, struct{}{})
}

// verified returns the session after a verification.
func (s session) verified(claims *watchword.Claims) session {
	if s.purpose == watchword.PurposeSignIn {
		return session{user: claims.Subject}
	}
	s.proof = claims // of the purpose manage_factors
	return s
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
