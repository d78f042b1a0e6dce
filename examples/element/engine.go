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
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

const (
	appID   = "garden"
	appName = "Example Garden"
)

// services holds the parts of watchword that the app uses.
type services struct {
	engine *watchword.Engine
	server http.Handler // watchword's server, at its own origin
	inbox  http.Handler
}

// newEngine configures watchword for this app: passkeys, codes and links by e-mail, storage in memory, default limits. A real app reads
// its keys from its secret store, stores factors with store/sql or in its own tables, uses delivery/smtp instead of the inbox and, with
// more than one process, store/redis and ratelimit/redis. The worker sends messages until ctx ends.
func newEngine(ctx context.Context, origin, verify string) (s services, err error) {
	strategies, err := newStrategies(origin, verify)
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
	ring, identity, err := newKeys()
	if err != nil {
		return s, err
	}
	queue := delivery.NewQueue(1000, nil)
	s.engine, err = watchword.New(watchword.Config{
		App: appID, Name: appName, Issuer: verify, ReturnOrigins: []string{origin},
		Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Outbox: queue, Starts: limits,
		Strategies: strategies, Addresses: addresses, Channels: []string{"email"},
		Purposes: []string{watchword.PurposeSignIn, watchword.PurposeEnrol},
	})
	if err != nil {
		return s, err
	}
	if s.server, err = newServer(s.engine, origin, verify); err != nil {
		return s, err
	}
	s.inbox, err = startDelivery(ctx, s.engine, queue)
	return s, err
}

// newStrategies returns the ways to sign in. Passkeys work at both origins: the app's, where the element is, and that of watchword's
// server, whose hosted page adds them. They are discoverable, because browsers suggest only those before the user is known.
func newStrategies(origin, verify string) ([]watchword.Strategy, error) {
	codes, err := otp.New(otp.Config{})
	if err != nil {
		return nil, err
	}
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		return nil, err
	}
	keys, err := webauthn.New(webauthn.Config{
		RPID: "localhost", RPName: appName, Origins: []string{origin, verify},
		Secret:   watchword.NewCode(rand.Text() + rand.Text()),
		Policies: map[string]webauthn.Policy{watchword.PurposeEnrol: {ResidentKey: webauthn.Required}},
	})
	return []watchword.Strategy{codes, links, keys}, err
}

// newServer returns watchword's server. Origins lets the app's pages show the element. The app calls the engine and not the API, so the
// API's key is random.
func newServer(engine *watchword.Engine, origin, verify string) (http.Handler, error) {
	key, err := receipt.GenerateKey("1", receipt.EdDSA)
	if err != nil {
		return nil, err
	}
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{key}})
	if err != nil {
		return nil, err
	}
	return server.New(server.Config{Apps: []server.App{{Engine: engine, Signer: signer, PublicURL: verify, Origins: []string{origin},
		Keys: []server.APIKey{{SHA256: sha256.Sum256([]byte(rand.Text())), Scopes: []string{server.ScopeChallenges}}}}}})
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
