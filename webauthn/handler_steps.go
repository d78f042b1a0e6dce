package webauthn

import (
	"errors"
	"net/http"
	"slices"

	"github.com/watchword-auth/watchword"
)

// signIn asks for a passkey of anybody, and signs its owner in.
func (h *handler) signIn(w http.ResponseWriter, r *http.Request, answered answeredStep) (askedStep, error) {
	if answered.Challenge == "" {
		started, err := h.ask(w, r, watchword.StartRequest{Purpose: watchword.PurposeSignIn})
		if err != nil {
			return askedStep{}, err
		}
		return askedStep{Challenge: started.ID, Authenticate: started.Public}, nil
	}
	claims, err := h.check(r, answered.Challenge, watchword.PurposeSignIn, "", answered.Authenticate)
	if err != nil {
		return askedStep{}, err
	}
	return askedStep{}, h.SignIn(w, r, claims)
}

// add adds a passkey of who is signed in, after a proof by one that exists.
func (h *handler) add(w http.ResponseWriter, r *http.Request, answered answeredStep) (askedStep, error) {
	subject := h.Subject(r)
	switch {
	case subject == "":
		return askedStep{}, errNotSignedIn
	case len(answered.Register) > 0:
		_, err := h.check(r, answered.Challenge, watchword.PurposeEnrol, subject, answered.Register)
		return askedStep{}, err
	}
	return h.change(w, r, subject, answered, func(a watchword.Authority) (askedStep, error) {
		started, err := h.ask(w, r, watchword.StartRequest{Purpose: watchword.PurposeEnrol, Subject: subject, Authority: a,
			Metadata: map[string]string{MetadataAccount: h.Account(r.Context(), subject)}})
		if err != nil {
			return askedStep{}, err
		}
		return askedStep{Challenge: started.ID, Register: started.Public}, nil
	})
}

// remove removes a passkey of who is signed in, after a proof by it or another one. The parameter factor is its id.
func (h *handler) remove(w http.ResponseWriter, r *http.Request, answered answeredStep) (askedStep, error) {
	subject := h.Subject(r)
	if subject == "" {
		return askedStep{}, errNotSignedIn
	}
	f, err := h.Engine.GetFactor(r.Context(), r.URL.Query().Get("factor"))
	if err != nil {
		return askedStep{}, err
	}
	if f.Subject != subject || f.Strategy != h.Keys.Name() {
		return askedStep{}, watchword.ErrUnknownFactor
	}
	return h.change(w, r, subject, answered, func(a watchword.Authority) (askedStep, error) {
		if err := h.Engine.RemoveFactor(r.Context(), f.ID, a); err != nil {
			return askedStep{}, err
		}
		left, err := h.Engine.ListFactors(r.Context(), subject)
		if err != nil {
			return askedStep{}, err
		}
		keys := h.Keys.AcceptedKeys(h.Engine.App(), subject, left)
		return askedStep{Signal: &keys}, nil
	})
}

// change makes a change of factors with the authority of the session or, if that is not enough, with a passkey that it asks for. The
// proof and the change are one request, so no proof is kept.
func (h *handler) change(w http.ResponseWriter, r *http.Request, subject string, answered answeredStep, apply func(watchword.Authority) (askedStep, error)) (askedStep, error) {
	if answered.Challenge != "" {
		claims, err := h.check(r, answered.Challenge, watchword.PurposeManageFactors, subject, answered.Authenticate)
		if err != nil {
			return askedStep{}, err
		}
		return apply(watchword.Authority{Claims: claims})
	}
	next, err := apply(h.Authority(r))
	if !errors.Is(err, watchword.ErrProofRequired) {
		return next, err
	}
	factors, listErr := h.Engine.ListFactors(r.Context(), subject)
	if listErr != nil {
		return askedStep{}, listErr
	}
	if !slices.ContainsFunc(factors, func(f watchword.Factor) bool { return f.Strategy == h.Keys.Name() && !f.Disabled }) {
		return askedStep{}, err // another factor proves it, which the app asks for
	}
	started, err := h.ask(w, r, watchword.StartRequest{Purpose: watchword.PurposeManageFactors, Subject: subject})
	if err != nil {
		return askedStep{}, err
	}
	return askedStep{Challenge: started.ID, Authenticate: started.Public}, nil
}
