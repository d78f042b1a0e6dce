package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

// parts is what an app's engine and worker are made of.
type parts struct {
	offer     offer
	addresses watchword.AddressPolicy
	starts    *ratelimit.Limiter
	checks    *ratelimit.Throttle
	reserved  *ratelimit.Limiter // of starts to prefixes that the breaker refuses; nil without one
	router    *delivery.Router
	carrier   func(channel string) string // the router's word; nil without one
	sender    watchword.Sender
	check     func(watchword.Message) error // whether messages show what is approved; nil without a sender
	breaker   *delivery.PrefixBreaker       // nil without limits
	callbacks *callbacks
}

// parts makes them, or reports everything that is wrong with any of them.
func (b *builder) parts(a appSettings, providers delivery.Openers) (p parts, err error) {
	var errOffer, errAddresses, errLimits, errBreaker, errRouter, errTemplates, errRender error
	p.offer, errOffer = strategies(a, b.house.storage.factors != nil, b.log)
	if p.addresses, errAddresses = delivery.NewAddressPolicy(a.addresses); errAddresses == nil && b.settings.development {
		p.addresses, errAddresses = noteCountries(p.addresses, b.log)
	}
	p.starts, p.checks, errLimits = b.limiters(a)
	p.callbacks = newCallbacks(a)
	p.router, errRouter = b.router(a, providers, p.callbacks)
	if p.router != nil {
		p.carrier = p.router.PrimaryProvider
	}
	var templates *delivery.Templates
	if templates, errTemplates = loadTemplates(a.templates); p.router != nil && templates != nil {
		var render *delivery.Renderer
		render, errRender = delivery.NewRenderer(delivery.RendererConfig{Next: p.router, Templates: templates,
			RetrieverHash: a.codes.SMSRetrieverHash, Logger: b.log})
		if errRender == nil {
			p.sender, p.check = render, render.CheckMessage
		}
	}
	if !b.settings.noLimits {
		errBreaker = b.breaker(a, &p)
	}
	return p, errors.Join(errOffer, errAddresses, errLimits, errBreaker, errRouter, errTemplates, errRender)
}

// breaker makes the app's, which watches over its addresses and lets a few starts to refused prefixes in.
func (b *builder) breaker(a appSettings, p *parts) (err error) {
	p.breaker, err = delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{App: a.id, Counters: b.house.storage.counts, Window: a.breaker.Window,
		Sent: a.breaker.Sent, Percent: a.breaker.Percent, Pause: a.breaker.Pause, Shadow: a.breaker.Shadow, Settle: a.codes.Lifetime, Logger: b.log})
	if err != nil {
		return setting.Errorf("PrefixBreaker", "%w", err)
	}
	p.addresses = p.breaker.WrapPolicy(p.addresses)
	reserved := []ratelimit.Rule{{Name: delivery.LimitPrefixBreaker, Limit: 1, Window: p.breaker.ReservedInterval(), By: ratelimit.ByPrefix}}
	p.reserved, err = ratelimit.New(b.house.storage.apps[a.id].limits, reserved, a.id)
	return err
}

// app makes one tenant: its senders, its engine, its worker.
func (b *builder) app(a appSettings, providers delivery.Openers) (server.App, error) {
	p, err := b.parts(a, providers)
	env := b.environment()
	env.Logger = b.log.With("app", a.id)
	announcer, errEvents := newAnnouncer(a.events, env)
	if err != nil {
		return server.App{}, errors.Join(err, errEvents, b.engineProblems(a, p))
	}
	queue := delivery.NewQueue(queueLength, nil)
	engine, err := watchword.New(b.engineConfig(a, p, queue, announcer))
	// Of the engine's error its problems; that the app cannot start is said already.
	if err = errors.Join(errEvents, errors.Unwrap(err)); err != nil {
		return server.App{}, err
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: p.sender, Logger: b.log})
	if err != nil {
		return server.App{}, err
	}
	p.callbacks.engine = engine
	maps.Copy(b.callbacks, p.callbacks.mounts)
	b.relate(a, p.offer)
	b.house.engines = append(b.house.engines, engine)
	b.house.workers = append(b.house.workers, worker)
	b.house.announcers = append(b.house.announcers, announcer)
	if p.breaker != nil {
		b.house.breakers = append(b.house.breakers, p.breaker)
	}
	app := server.App{Engine: engine, Signer: b.signer, PublicURL: a.publicURL, Pages: a.pages}
	for _, k := range a.keys {
		app.Keys = append(app.Keys, server.APIKey{SHA256: k.sha256, Scopes: k.scopes})
	}
	return app, nil
}

// engineProblems are those of the engine's own settings, where some of its parts could not be made.
func (b *builder) engineProblems(a appSettings, p parts) error {
	var err error
	if p.offer.strategies, err = standInStrategies(); err != nil {
		return err
	}
	if p.addresses == nil {
		p.addresses = func(string, string) (watchword.Address, error) { return watchword.Address{}, nil }
	}
	_, err = watchword.New(b.engineConfig(a, p, delivery.NewQueue(1, nil), nil))
	return errors.Unwrap(err)
}

// relate serves the list of other sites where keys may be used; an RP id has one, whatever apps share it.
func (b *builder) relate(a appSettings, o offer) {
	if o.related != nil && len(a.relatedOrigins()) > 0 {
		b.related[a.rpID] = o.related
	}
}

func (b *builder) engineConfig(a appSettings, p parts, queue *delivery.Queue, announcer *announcer) watchword.Config {
	cfg := watchword.Config{
		App: a.id, Name: a.name, Issuer: a.publicURL,
		Keys: b.settings.keys, Identity: b.settings.identity,
		Store: b.house.storage.apps[a.id].store, Factors: b.house.storage.factors, Outbox: queue, Strategies: p.offer.strategies, Addresses: p.addresses,
		Channels: channelsOf(a), ProviderName: p.carrier, CheckMessage: p.check, Purposes: a.purposes, ReturnOrigins: a.returnURLs,
		Lifetime: a.codes.Lifetime, Tries: a.codes.Tries, Sends: a.codes.Sends, Cooldown: a.codes.Cooldown,
		ReceiptLifetime: a.codes.ReceiptLifetime, NewCodes: a.codes.NewOnResend, SMSOrigin: smsOrigin(a.origins),
		NoBudget: b.settings.noLimits, Development: b.settings.development, Logger: b.log, Events: b.events(p.breaker, announcer),
	}
	if !b.settings.noLimits { // a nil pointer in the interface would be a limiter
		cfg.Starts, cfg.Checks, cfg.Reserved = p.starts, p.checks, p.reserved
	}
	return cfg
}

// limiters are the app's: of starts, shared by all processes, and of checks, which each process counts by itself and each app
// apart. With --dev-no-limits there are none.
func (b *builder) limiters(a appSettings) (starts *ratelimit.Limiter, checks *ratelimit.Throttle, err error) {
	if b.settings.noLimits {
		return nil, nil, nil
	}
	starts, errStarts := ratelimit.New(b.house.storage.apps[a.id].limits, a.limits, a.id)
	checks, errChecks := ratelimit.NewThrottle(ratelimit.DefaultCheckRules(), ratelimit.ThrottleConfig{})
	for _, danger := range ratelimit.Warnings(a.limits, channelsOf(a)) {
		b.log.Warn("limits leave something open", "app", a.id, "danger", danger)
	}
	return starts, checks, errors.Join(errStarts, errChecks)
}

// environment is what the program lends to whatever connects to a configured URL.
func (b *builder) environment() delivery.Environment {
	return delivery.Environment{Logger: b.log, Development: b.settings.development, Allowed: b.settings.allowed}
}

// router opens the senders of every channel. With an error it holds those that could be opened, so that the rest can be checked.
func (b *builder) router(a appSettings, providers delivery.Openers, reports *callbacks) (*delivery.Router, error) {
	routes := map[string][]delivery.Provider{}
	var problems []error
	for _, channel := range channelsOf(a) {
		for _, s := range a.send[channel] {
			env := reports.lend(b.environment())
			env.Channel = channel
			sender, err := providers.Open(context.Background(), s.url.Reveal(), env)
			if err != nil {
				problems = append(problems, setting.Errorf(s.path, "%w", err))
				continue
			}
			reports.serve(sender, env)
			routes[channel] = append(routes[channel], delivery.Provider{Name: schemeOf(s.url), Sender: sender})
		}
	}
	router, err := delivery.NewRouter(delivery.RouterConfig{Routes: routes, Logger: b.log})
	return router, errors.Join(append(problems, err)...)
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
		return nil, setting.Errorf("Templates", "%w", err)
	}
	templates, err := delivery.LoadTemplates(os.DirFS(folder))
	if err != nil {
		return nil, setting.Errorf("Templates", "%w", err)
	}
	return templates, nil
}

// events tells an app's events to the metrics, to its breaker and to its endpoints.
func (b *builder) events(breaker *delivery.PrefixBreaker, announcer *announcer) func(context.Context, watchword.Event) {
	return func(ctx context.Context, e watchword.Event) {
		if b.metrics != nil {
			b.metrics.event(e)
		}
		if breaker != nil {
			breaker.HandleEvent(ctx, e)
		}
		if b.settings.development && e.Type == watchword.EventLimitReached {
			b.log.Warn("a limit is reached; --dev-no-limits lifts them", "limit", e.Limit)
		}
		announcer.HandleEvent(ctx, e)
	}
}
