package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
)

// newService starts watchword for this app: links by e-mail, storage in memory, default limits. It adds the hosted pages and the inbox to
// the app's mux. A real app gets its keys from service.LoadKeys, uses delivery/smtp instead of the inbox and, with more than one process,
// store/redis and ratelimit/redis.
func newService(ctx context.Context, origin string, mux *http.ServeMux) (*service.Service, error) {
	var box inbox.Inbox
	keys, errKeys := service.NewKeys()
	mail, errMail := delivery.Openers{"inbox": box.Open}.Open(ctx, "inbox:", delivery.Environment{Development: true})
	links, errLinks := magiclink.New(magiclink.Config{})
	if err := errors.Join(errKeys, errMail, errLinks); err != nil {
		return nil, err
	}
	s, err := service.New(service.Config{
		App: "notes", Name: "Example Notes", URL: origin, Keys: keys,
		Store: memory.New(memory.Config{}), Strategies: []watchword.Strategy{links},
		Senders:  map[string][]delivery.Provider{"email": {{Name: "inbox", Sender: mail}}},
		Purposes: []string{watchword.PurposeSignIn},
	})
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /inbox", box.Handler())
	mux.Handle("/inbox/", box.Handler())
	return s, server.MountPages(mux, server.Config{Apps: []server.App{{Engine: s.Engine, PublicURL: origin}}})
}
