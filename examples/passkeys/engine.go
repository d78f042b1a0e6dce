package main

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/ratelimit"
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

// newEngine configures watchword for this app: passkeys, links by e-mail, storage in memory, default limits. A real app reads its
// keys from its secret store, stores factors with store/sql or in its own tables, uses delivery/smtp instead of the inbox
// and, with more than one process, store/redis and ratelimit/redis. The worker sends messages until ctx ends.
func newEngine(ctx context.Context, origin string) (services, error) {
	var s services
	var err error
	if s.keys, err = newKeys(origin); err != nil {
		return s, err
	}
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		return s, err
	}
	if s.addresses, err = delivery.NewAddressPolicy(delivery.Addresses{}); err != nil {
		return s, err
	}
	// Each view of the sign-in page starts a challenge. An app whose users share IP addresses should raise the limits by IP. If
	// a limit refuses a start, the page has no suggestions, but the form still works.
	limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), ratelimit.DefaultRules(), appID)
	if err != nil {
		return s, err
	}
	ring, err := newSecret("1")
	if err != nil {
		return s, err
	}
	identity, err := newSecret("identity")
	if err != nil {
		return s, err
	}
	queue := delivery.NewQueue(1000, nil)
	s.engine, err = watchword.New(watchword.Config{
		App: appID, Name: appName, Issuer: origin,
		Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Outbox: queue, Factors: &memory.Factors{}, Starts: limits,
		Strategies: []watchword.Strategy{s.keys, links}, Addresses: s.addresses, Channels: []string{"email"},
		Purposes: []string{watchword.PurposeSignIn, watchword.PurposeEnrol, watchword.PurposeManageFactors},
	})
	if err != nil {
		return s, err
	}
	s.inbox, err = startDelivery(ctx, s.engine, queue)
	return s, err
}

// newKeys returns the strategy for passkeys. It requires discoverable keys, because browsers suggest only those before the user
// is known.
func newKeys(origin string) (*webauthn.Strategy, error) {
	return webauthn.New(webauthn.Config{
		RPID: "localhost", RPName: appName, Origins: []string{origin},
		Secret:   watchword.NewCode(rand.Text() + rand.Text()),
		Policies: map[string]webauthn.Policy{watchword.PurposeEnrol: {ResidentKey: webauthn.Required}},
	})
}

// startDelivery starts a worker that renders messages and stores them in an inbox. The handler shows the inbox.
func startDelivery(ctx context.Context, engine *watchword.Engine, queue *delivery.Queue) (http.Handler, error) {
	var box inbox.Inbox
	mail, err := delivery.Openers{"inbox": box.Open}.Open(ctx, "inbox:", delivery.Environment{Development: true})
	if err != nil {
		return nil, err
	}
	router, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"email": {{Name: "inbox", Sender: mail}}}})
	if err != nil {
		return nil, err
	}
	templates, err := delivery.LoadTemplates(nil)
	if err != nil {
		return nil, err
	}
	render, err := delivery.NewRenderer(delivery.RendererConfig{Next: router, Templates: templates})
	if err != nil {
		return nil, err
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: render})
	if err != nil {
		return nil, err
	}
	go func() { _ = worker.Run(ctx) }()
	return box.Handler(), nil
}

// newSecret returns a random key. It is lost when the process ends, like all other data of the example.
func newSecret(id string) (watchword.Key, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return watchword.Key{}, err
	}
	return watchword.NewKey(id, secret)
}
