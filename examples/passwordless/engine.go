package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

const appID = "notes"

// services holds the parts of watchword that the app uses.
type services struct {
	engine *watchword.Engine
	pages  http.Handler // the hosted pages, at /v/, /l/ and /pages/
	inbox  http.Handler
}

// newEngine configures watchword for this app: links by e-mail, storage in memory, default limits. A real app reads its keys from
// its secret store, uses delivery/smtp instead of the inbox and, with more than one process, store/redis and ratelimit/redis.
// The worker sends messages until ctx ends.
func newEngine(ctx context.Context, origin string) (services, error) {
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		return services{}, err
	}
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		return services{}, err
	}
	limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), ratelimit.DefaultRules(), appID)
	if err != nil {
		return services{}, err
	}
	ring, err := newKey("1")
	if err != nil {
		return services{}, err
	}
	identity, err := newKey("identity")
	if err != nil {
		return services{}, err
	}
	queue := delivery.NewQueue(1000, nil)
	engine, err := watchword.New(watchword.Config{
		App: appID, Name: "Example Notes", Issuer: origin, ReturnOrigins: []string{origin},
		Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Outbox: queue, Starts: limits,
		Strategies: []watchword.Strategy{links}, Addresses: addresses, Channels: []string{"email"},
		Purposes: []string{watchword.PurposeSignIn},
	})
	if err != nil {
		return services{}, err
	}
	s := services{engine: engine}
	if s.pages, err = newPages(engine, origin); err != nil {
		return services{}, err
	}
	s.inbox, err = startDelivery(ctx, engine, queue)
	return s, err
}

// newPages returns watchword's server, of which this app mounts the hosted pages only. The API is not mounted, so its key is
// random.
func newPages(engine *watchword.Engine, origin string) (http.Handler, error) {
	key, err := receipt.GenerateKey("1", receipt.EdDSA)
	if err != nil {
		return nil, err
	}
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{key}})
	if err != nil {
		return nil, err
	}
	return server.New(server.Config{Apps: []server.App{{Engine: engine, Signer: signer, PublicURL: origin,
		Pages: server.Pages{Color: brandColor},
		Keys:  []server.APIKey{{SHA256: sha256.Sum256([]byte(rand.Text())), Scopes: []string{server.ScopeChallenges}}}}}})
}

// brandColor is the color of buttons on pages and in mails.
const brandColor = "#6b3fa0"

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
	render, err := delivery.NewRenderer(delivery.RendererConfig{Next: router, Templates: templates, Mail: delivery.MailConfig{Color: brandColor}})
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

// newKey returns a random key. It is lost when the process ends, like all other data of the example.
func newKey(id string) (watchword.Key, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return watchword.Key{}, err
	}
	return watchword.NewKey(id, secret)
}
