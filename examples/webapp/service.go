package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
)

const (
	appID   = "shop"
	appName = "Example Shop"
)

// newService starts watchword for this app: codes by e-mail and authenticator apps, storage in memory, default limits. It adds the hosted
// pages and the inbox to the app's mux. A real app gets its keys from service.LoadKeys, stores factors with store/sql or in its own
// tables, uses delivery/smtp instead of the inbox and, with more than one process, store/redis and ratelimit/redis.
func newService(ctx context.Context, origin string, mux *http.ServeMux) (*service.Service, error) {
	var box inbox.Inbox
	keys, errKeys := service.NewKeys()
	mail, errMail := delivery.Openers{"inbox": box.Open}.Open(ctx, "inbox:", delivery.Environment{Development: true})
	codes, errCodes := otp.New(otp.Config{})
	apps, errApps := totp.New(totp.Config{Issuer: appName})
	if err := errors.Join(errKeys, errMail, errCodes, errApps); err != nil {
		return nil, err
	}
	s, err := service.New(service.Config{
		App: appID, Name: appName, URL: origin, Keys: keys,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Strategies: []watchword.Strategy{codes, apps},
		Senders:  map[string][]delivery.Provider{"email": {{Name: "inbox", Sender: mail}}},
		Purposes: []string{watchword.PurposeMFA, watchword.PurposePasswordReset, watchword.PurposeEnrol},
	})
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /inbox", box.Handler())
	mux.Handle("/inbox/", box.Handler())
	return s, server.MountPages(mux, server.Config{Apps: []server.App{{Engine: s.Engine, PublicURL: origin}}})
}
