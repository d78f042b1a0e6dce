package webauthn

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword"
)

//go:embed passkeys.js
var passkeysSource []byte

// A HandlerConfig configures NewHandler. Engine, Keys, Subject and SignIn are required.
type HandlerConfig struct {
	Engine *watchword.Engine // has Keys among its strategies. If its purposes are listed, sign_in, enrol and manage_factors are among them
	Keys   *Strategy         // with Required as the ResidentKey of its policy for enrol: browsers suggest only discoverable passkeys

	// Subject returns the subject who is signed in, from the session of a request; empty: nobody is.
	Subject func(r *http.Request) string
	// SignIn begins a session of claims.Subject, whose passkey was verified, under a new id. It may set headers and cookies, and writes
	// neither status nor body.
	SignIn func(w http.ResponseWriter, r *http.Request, claims *watchword.Claims) error

	// Account returns the name under which browsers list a subject's passkeys, such as the e-mail address. Nil: the subject's id.
	Account func(ctx context.Context, subject string) string
	// Authority returns what the session proves for a change of factors, such as the claims of a code of an authenticator app for the
	// purpose manage_factors. The handler asks for a passkey only if that is not enough. Nil: nothing.
	Authority func(r *http.Request) watchword.Authority
	// Client returns the client by which limits count. Behind a proxy it is needed. Nil: the address of the connection.
	Client func(r *http.Request) watchword.Client
}

// NewHandler returns a handler for passkeys on an app's own pages: signing in, and adding and removing passkeys of who is signed in. It
// can be mounted on any mux, at a path of its own:
//
//	mux.Handle("/passkeys/", handler)
//
// It serves the module passkeys.js, with which a page does the rest:
//
//	import { add, available, remove, signIn, suggest } from "/passkeys/passkeys.js";
//
//	if (await signIn()) location.assign("/");    // by a button
//	if (await suggest()) location.assign("/");   // by <input autocomplete="username webauthn">; false: the browser cannot
//	await add();                                 // who has a passkey uses it first
//	await remove(id);                            // the id of a factor of Engine.ListFactors; uses a passkey first
//
// The functions reject with the browser's errors, such as a NotAllowedError if the person cancels, or with an error whose code is that
// of an error of the engine, such as rate_limited. Further codes are not_signed_in, cross_origin and internal_error. The session stays
// the app's own. The handler only remembers, for five minutes in cookies, what the browser was asked. Requests of other origins are
// refused, so the pages have the origin of the handler.
func NewHandler(cfg HandlerConfig) (http.Handler, error) {
	if cfg.Engine == nil || cfg.Keys == nil || cfg.Subject == nil || cfg.SignIn == nil {
		return nil, errors.New("webauthn: a handler needs Engine, Keys, Subject and SignIn")
	}
	if cfg.Account == nil {
		cfg.Account = func(_ context.Context, subject string) string { return subject }
	}
	if cfg.Authority == nil {
		cfg.Authority = func(*http.Request) watchword.Authority { return watchword.Authority{} }
	}
	if cfg.Client == nil {
		cfg.Client = clientOf
	}
	h := &handler{cfg}
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusForbidden, handlerError{Code: "cross_origin"})
	}))
	return sameOrigin.Handler(h), nil
}

type handler struct{ HandlerConfig }

// clientOf returns the client of a connection. The zone of a link-local address names the server's interface and not the client.
func clientOf(r *http.Request) watchword.Client {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	host, _, _ = strings.Cut(host, "%")
	return watchword.Client{IP: host, UserAgent: r.UserAgent()}
}

// An asked step is what the page does next, or the end of the ceremony. One of its members is set beside Challenge.
type askedStep struct {
	Challenge    string           `json:"challenge,omitempty"` // id, which the answer names
	Authenticate watchword.Public `json:"authenticate,omitempty"`
	Register     watchword.Public `json:"register,omitempty"`
	Signal       *AcceptedKeys    `json:"signal,omitempty"`
}

// ServeHTTP decides by the last element of the path, so that it does not matter where the handler is mounted.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	actions := map[string]func(http.ResponseWriter, *http.Request, answeredStep) (askedStep, error){"sign-in": h.signIn, "add": h.add, "remove": h.remove}
	name := path.Base(r.URL.Path)
	action := actions[name]
	switch {
	case name == "passkeys.js":
		serveScript(w, r, passkeysSource)
	case name == "webauthn.js":
		serveScript(w, r, scriptSource)
	case action == nil:
		http.NotFound(w, r)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		answered, err := h.readAnswer(w, r)
		var next askedStep
		if err == nil {
			next, err = action(w, r, answered)
		}
		if err != nil {
			h.writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, next)
	}
}

// check checks an answer and returns its claims.
func (h *handler) check(r *http.Request, challenge, purpose, subject string, answer []byte) (*watchword.Claims, error) {
	if len(answer) == 0 {
		return nil, watchword.ErrInvalidRequest
	}
	result, err := h.Engine.Check(r.Context(), challenge, watchword.CheckRequest{Purpose: purpose, Subject: subject,
		Answer: watchword.AnswerCredential(answer), Client: h.Client(r)})
	if err != nil {
		return nil, err
	}
	return result.Claims, nil
}

var errNotSignedIn = errors.New("webauthn: nobody is signed in")

// A handlerError is the body of a refusal.
type handlerError struct {
	Code       string `json:"code"`
	RetryAfter int    `json:"retry_after,omitempty"` // seconds
}

// writeError answers with the stable code of an error. Causes are logged.
func (h *handler) writeError(w http.ResponseWriter, err error) {
	var e *watchword.Error
	switch {
	case errors.Is(err, errNotSignedIn):
		writeJSON(w, http.StatusUnauthorized, handlerError{Code: "not_signed_in"})
	case errors.As(err, &e):
		if e.Cause != nil {
			h.Keys.cfg.Logger.Error("passkey request failed", "error", err)
		}
		refusal := handlerError{Code: e.Code, RetryAfter: int(math.Ceil(e.RetryAfter.Seconds()))}
		if refusal.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter))
		}
		writeJSON(w, statusOf(e), refusal)
	default:
		h.Keys.cfg.Logger.Error("passkey request failed", "error", err)
		writeJSON(w, http.StatusInternalServerError, handlerError{Code: "internal_error"})
	}
}

// statusOf returns the HTTP status of an error.
func statusOf(err *watchword.Error) int {
	switch err.Code {
	case watchword.ErrInvalidRequest.Code:
		return http.StatusBadRequest
	case watchword.ErrProofRequired.Code, watchword.ErrFactorDisabled.Code:
		return http.StatusForbidden
	case watchword.ErrUnknownChallenge.Code, watchword.ErrUnknownFactor.Code:
		return http.StatusNotFound
	case watchword.ErrRateLimited.Code, watchword.ErrTooManyGuesses.Code:
		return http.StatusTooManyRequests
	case watchword.ErrUnavailable.Code:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // the bodies of this file can be encoded
		http.Error(w, fmt.Sprint(err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
