package main

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/store/memory"
)

// newEngine configures watchword for this app: codes by e-mail, storage in memory, default limits. A real app reads its keys from
// its secret store, uses delivery/smtp instead of the inbox and, with more than one process, store/redis and ratelimit/redis.
// The worker sends messages until ctx ends.
func newEngine(ctx context.Context) (*watchword.Engine, http.Handler, error) {
	ring, identity, err := newKeys()
	if err != nil {
		return nil, nil, err
	}
	codes, err := otp.New(otp.Config{})
	if err != nil {
		return nil, nil, err
	}
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		return nil, nil, err
	}
	limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), ratelimit.DefaultRules(), appID)
	if err != nil {
		return nil, nil, err
	}
	queue := delivery.NewQueue(1000, nil)
	engine, err := watchword.New(watchword.Config{
		App: appID, Name: "Example Shop", Issuer: "https://shop.example.com",
		Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Outbox: queue, Starts: limits,
		Strategies: []watchword.Strategy{codes}, Addresses: addresses, Channels: []string{"email"},
		Purposes: []string{watchword.PurposeMFA, watchword.PurposePasswordReset},
	})
	if err != nil {
		return nil, nil, err
	}
	var box inbox.Inbox
	sender, err := newSender(ctx, &box)
	if err != nil {
		return nil, nil, err
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: sender})
	if err != nil {
		return nil, nil, err
	}
	go func() { _ = worker.Run(ctx) }()
	return engine, box.Handler(), nil
}

const appID = "shop"

// newSender returns a sender that renders messages and stores them in the inbox.
func newSender(ctx context.Context, box *inbox.Inbox) (watchword.Sender, error) {
	providers := delivery.Openers{"inbox": box.Open}
	mail, err := providers.Open(ctx, "inbox:", delivery.Environment{Development: true})
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
	return delivery.NewRenderer(delivery.RendererConfig{Next: router, Templates: templates})
}

// newKeys returns random keys. They are lost when the process ends, like all other data of the example.
func newKeys() (ring, identity watchword.Key, err error) {
	secrets := make([]byte, 64)
	if _, err = rand.Read(secrets); err != nil {
		return ring, identity, err
	}
	if ring, err = watchword.NewKey("1", secrets[:32]); err != nil {
		return ring, identity, err
	}
	identity, err = watchword.NewKey("identity", secrets[32:])
	return ring, identity, err
}
