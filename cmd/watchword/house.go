package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
)

// queueLength is how many messages of an app may wait or be sent at a time; a start beyond is refused.
const queueLength = 10_000

// A house is everything that runs: one engine and one worker for each app, over shared stores, behind one server.
type house struct {
	server  http.Handler
	engines []*watchword.Engine
	workers []*delivery.Worker
	storage storage
}

// A builder makes a house from settings.
type builder struct {
	settings settings
	log      *slog.Logger
	metrics  *metrics // nil: nothing is counted
	checks   ratelimit.Store
	signer   *receipt.Signer
	house    house
}

// build makes the house, or reports everything that keeps it from being made. Nothing is connected and nothing runs yet.
func build(s settings, log *slog.Logger, m *metrics) (*house, []error) {
	b := &builder{settings: s, log: log, metrics: m, checks: ratelimit.NewMemory(ratelimit.MemoryConfig{})}
	var c checker
	var err error
	if b.house.storage, err = openStorage(s); err != nil {
		c.note("redis", err)
	}
	if b.signer, err = receipt.NewSigner(receipt.SignerConfig{Keys: s.signing}); err != nil {
		c.note("signing", err)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	box := newInbox()
	var apps []server.App
	for _, a := range s.apps {
		app, problems := b.app(a, providers(box))
		for _, p := range problems {
			c.note(fmt.Sprintf("app %q", a.id), p)
		}
		apps = append(apps, app)
	}
	if len(c.problems) > 0 {
		return nil, append(c.problems, b.house.storage.close())
	}
	cfg := server.Config{Apps: apps, Development: s.development, TrustedProxies: s.proxies, Logger: log}
	if s.development {
		cfg.Mount = map[string]http.Handler{"GET /inbox": box.Handler(), "GET /inbox/": box.Handler()}
	}
	if m != nil {
		cfg.Metrics = m
	}
	srv, err := server.New(cfg)
	if err != nil {
		c.note("server", err)
		return nil, append(c.problems, b.house.storage.close())
	}
	b.house.server = srv
	return &b.house, nil
}

// app makes one tenant: its senders, its engine, its worker.
func (b *builder) app(a appSettings, providers delivery.Providers) (server.App, []error) {
	router, problems := b.router(a, providers)
	strategies, err := strategies(a, b.log)
	problems = append(problems, err)
	addresses, err := delivery.NewAddressPolicy(a.addresses)
	problems = append(problems, err)
	templates, err := loadTemplates(a.templates)
	problems = append(problems, err)
	starts, checks, err := b.limiters(a)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return server.App{}, []error{err}
	}
	render, err := delivery.NewRender(delivery.RenderConfig{Next: router, Templates: templates, RetrieverHash: a.codes.SMSRetrieverHash, Logger: b.log})
	if err != nil {
		return server.App{}, []error{err}
	}
	queue := delivery.NewQueue(queueLength, nil)
	cfg := watchword.Config{App: a.id, Name: a.name, Issuer: a.publicURL, Keys: b.settings.keys, Identity: b.settings.identity,
		Store: b.house.storage.store, Outbox: queue, Strategies: strategies, Addresses: addresses, Channels: router.Channels(), Purposes: a.purposes,
		Lifetime: a.codes.Lifetime, Tries: a.codes.Tries, Sends: a.codes.Sends, Cooldown: a.codes.Cooldown, ReceiptLifetime: a.codes.ReceiptLifetime,
		NewCodes: a.codes.NewOnResend, SMSOrigin: smsOrigin(a.origins), NoBudget: b.settings.noLimits, Logger: b.log, Events: b.events()}
	if starts != nil {
		cfg.Starts, cfg.Checks = starts, checks
	}
	engine, err := watchword.New(cfg)
	if err != nil {
		return server.App{}, []error{err}
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: render, Logger: b.log})
	if err != nil {
		return server.App{}, []error{err}
	}
	b.house.engines = append(b.house.engines, engine)
	b.house.workers = append(b.house.workers, worker)
	app := server.App{Engine: engine, Signer: b.signer, PublicURL: a.publicURL}
	for _, k := range a.keys {
		app.Keys = append(app.Keys, server.APIKey{SHA256: k.sha256, Scopes: k.scopes})
	}
	return app, nil
}

// limiters are the app's: of starts, shared by all processes, and of checks, which each process counts by itself. With
// --dev-no-limits there are none.
func (b *builder) limiters(a appSettings) (starts, checks *ratelimit.Limiter, err error) {
	if b.settings.noLimits {
		return nil, nil, nil
	}
	starts, errStarts := ratelimit.New(b.house.storage.limits, a.limits, a.id)
	checks, errChecks := ratelimit.New(b.checks, ratelimit.CheckDefaults(), a.id)
	for _, w := range ratelimit.Warnings(a.limits, channelsOf(a)) {
		b.log.Warn("limits leave something open", "app", a.id, "danger", w)
	}
	return starts, checks, errors.Join(errStarts, errChecks)
}

// router opens the senders of every channel.
func (b *builder) router(a appSettings, providers delivery.Providers) (*delivery.Router, []error) {
	env := delivery.Environment{Logger: b.log, Development: b.settings.development, Allowed: b.settings.allowed}
	routes := map[string][]delivery.Provider{}
	var problems []error
	for _, channel := range channelsOf(a) {
		for i, secret := range a.send[channel] {
			sender, err := providers.Open(context.Background(), secret.Reveal(), env)
			if err != nil {
				problems = append(problems, fmt.Errorf("send: %s[%d]: %w", channel, i, err))
				continue
			}
			routes[channel] = append(routes[channel], delivery.Provider{Name: schemeOf(secret), Sender: sender})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	router, err := delivery.NewRouter(delivery.RouterConfig{Routes: routes, Logger: b.log})
	return router, []error{err}
}

// schemeOf is the sender's name in logs and in a challenge's delivery: webhook+https is webhook.
func schemeOf(secret watchword.Code) string {
	scheme, _, _ := strings.Cut(secret.Reveal(), ":")
	name, _, _ := strings.Cut(scheme, "+")
	return name
}

// smsOrigin is the host that browsers bind a code in an SMS to: the app's first origin.
func smsOrigin(origins []string) string {
	if len(origins) == 0 {
		return ""
	}
	u, err := url.Parse(origins[0])
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// loadTemplates reads the app's own words over the built-in ones.
func loadTemplates(folder string) (*delivery.Templates, error) {
	if folder == "" {
		return delivery.LoadTemplates(nil)
	}
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", folder)
	}
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	return delivery.LoadTemplates(os.DirFS(folder))
}

// events is who listens to the engines.
func (b *builder) events() func(context.Context, watchword.Event) {
	if b.metrics == nil {
		return nil
	}
	return func(_ context.Context, e watchword.Event) { b.metrics.event(e) }
}
