package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// services holds the parts of watchword that the app uses.
type services struct {
	engine *watchword.Engine
	pages  http.Handler // the hosted pages, at /v/, /c/, /l/ and /pages/
	inbox  http.Handler
}

// newEngine configures watchword for this app: codes by e-mail and authenticator apps, storage in memory, default limits. A real app
// reads its keys from its secret store, stores factors with store/sql or in its own tables, uses delivery/smtp instead of the inbox
// and, with more than one process, store/redis and ratelimit/redis. The worker sends messages until ctx ends.
func newEngine(ctx context.Context, origin string) (s services, err error) {
	ring, identity, err := newKeys()
	if err != nil {
		return s, err
	}
	codes, err := otp.New(otp.Config{})
	if err != nil {
		return s, err
	}
	apps, err := totp.New(totp.Config{Issuer: appName})
	if err != nil {
		return s, err
	}
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		return s, err
	}
	limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), ratelimit.DefaultRules(), appID)
	if err != nil {
		return s, err
	}
	queue := delivery.NewQueue(1000, nil)
	s.engine, err = watchword.New(watchword.Config{
		App: appID, Name: appName, Issuer: origin, ReturnOrigins: []string{origin},
		Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Outbox: queue, Starts: limits,
		Strategies: []watchword.Strategy{codes, apps}, Addresses: addresses, Channels: []string{"email"},
		Purposes: []string{watchword.PurposeMFA, watchword.PurposePasswordReset, watchword.PurposeEnrol},
	})
	if err != nil {
		return s, err
	}
	if s.pages, err = newPages(s.engine, origin); err != nil {
		return s, err
	}
	s.inbox, err = startDelivery(ctx, s.engine, queue)
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
		Keys: []server.APIKey{{SHA256: sha256.Sum256([]byte(rand.Text())), Scopes: []string{server.ScopeChallenges}}}}}})
}

// startDelivery starts a worker that renders messages and stores them in an inbox. The handler shows the inbox.
func startDelivery(ctx context.Context, engine *watchword.Engine, queue *delivery.Queue) (http.Handler, error) {
	var box inbox.Inbox
	sender, err := newSender(ctx, &box)
	if err != nil {
		return nil, err
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: sender})
	if err != nil {
		return nil, err
	}
	go func() { _ = worker.Run(ctx) }()
	return box.Handler(), nil
}

const (
	appID   = "shop"
	appName = "Example Shop"
)

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
