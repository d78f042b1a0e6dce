package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

const (
	appID   = "diary"
	appName = "Example Diary"
)

// services holds the parts of watchword that the app uses.
type services struct {
	engine    *watchword.Engine
	keys      *webauthn.Strategy
	addresses watchword.AddressPolicy
	inbox     http.Handler
}

// newServices starts watchword for this app: passkeys, links by e-mail, storage in memory, default limits. A real app gets its keys
// from service.LoadKeys, stores factors with store/sql or in its own tables, uses delivery/smtp instead of the inbox and, with more than
// one process, store/redis and ratelimit/redis. It runs until ctx ends.
//
// Each view of the sign-in page starts a challenge. An app whose users share IP addresses should raise the limits by IP. If a limit
// refuses a start, the page has no suggestions, but the form still works.
func newServices(ctx context.Context, origin string) (services, error) {
	var box inbox.Inbox
	var errKeys, errAddresses error
	keys, errSecrets := service.NewKeys()
	mail, errMail := delivery.Openers{"inbox": box.Open}.Open(ctx, "inbox:", delivery.Environment{Development: true})
	links, errLinks := magiclink.New(magiclink.Config{})
	s := services{inbox: box.Handler()}
	s.keys, errKeys = newKeys(origin, keys.PasskeySecret(appID))
	s.addresses, errAddresses = delivery.NewAddressPolicy(delivery.Addresses{})
	if err := errors.Join(errSecrets, errMail, errLinks, errKeys, errAddresses); err != nil {
		return s, err
	}
	running, err := service.New(service.Config{
		App: appID, Name: appName, URL: origin, Keys: keys,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Strategies: []watchword.Strategy{s.keys, links},
		Senders:  map[string][]delivery.Provider{"email": {{Name: "inbox", Sender: mail}}},
		Purposes: []string{watchword.PurposeSignIn, watchword.PurposeEnrol, watchword.PurposeManageFactors},
	})
	if err != nil {
		return s, err
	}
	context.AfterFunc(ctx, func() { _ = running.Close() })
	s.engine = running.Engine
	return s, nil
}

// newKeys returns the strategy for passkeys. It requires discoverable keys, because browsers suggest only those before the user
// is known.
func newKeys(origin string, secret watchword.Code) (*webauthn.Strategy, error) {
	return webauthn.New(webauthn.Config{
		RPID: "localhost", RPName: appName, Origins: []string{origin}, Secret: secret,
		Policies: map[string]webauthn.Policy{watchword.PurposeEnrol: {ResidentKey: webauthn.Required}},
	})
}
