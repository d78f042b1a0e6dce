package main

import (
	"context"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/webauthn"
)

// newPasskeys returns the requests of page.js: signing in with a passkey, and adding and removing the user's own. The session stays the
// app's.
//
// A user who has a passkey uses one before each change: an attacker with access to the mailbox can sign in by a link, but can neither
// remove the owner's passkeys nor add one. If an owner has lost all passkeys, the app must verify the owner in another way and then
// call Engine.RemoveFactor with Authority{Admin: true}.
func (a *app) newPasskeys() (http.Handler, error) {
	return webauthn.NewHandler(webauthn.HandlerConfig{
		Engine:  a.engine,
		Keys:    a.keys,
		Subject: func(r *http.Request) string { return a.currentSession(r).user },
		SignIn: func(w http.ResponseWriter, r *http.Request, claims *watchword.Claims) error {
			a.saveSession(w, r, session{user: claims.Subject})
			return nil
		},
		Account: func(_ context.Context, user string) string { return a.users.email(user) },
		Client:  clientOf,
	})
}
