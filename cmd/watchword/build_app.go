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

// buildApp builds one app, or returns every problem of its settings.
func (b *builder) buildApp(a appSettings, providers delivery.Openers) (server.App, error) {
	p, err := b.buildAppComponents(a, providers)
	env := b.senderEnvironment()
	env.Logger = b.log.With("app", a.id)
	publisher, errEvents := newEventPublisher(a.events, env)
	if err != nil {
		return server.App{}, errors.Join(err, errEvents, b.findEngineProblems(a, p))
	}
	queue := delivery.NewQueue(queueLength, nil)
	engine, err := watchword.New(b.engineConfig(a, p, queue, publisher))
	// Unwrap leaves the engine's problems without its own introduction.
	if err = errors.Join(errEvents, errors.Unwrap(err)); err != nil {
		return server.App{}, err
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: p.sender, Logger: b.log})
	if err != nil {
		return server.App{}, err
	}
	p.callbacks.engine = engine
	maps.Copy(b.callbackRoutes, p.callbacks.routes)
	b.registerRelatedOrigins(a, p.strategies)
	b.service.engines = append(b.service.engines, engine)
	b.service.workers = append(b.service.workers, worker)
	b.service.eventPublishers = append(b.service.eventPublishers, publisher)
	b.service.apps = append(b.service.apps, builtApp{settings: a, engine: engine, addresses: p.addresses, routes: p.routes, templates: p.templates, publisher: publisher})
	if p.breaker != nil {
		b.service.breakers = append(b.service.breakers, p.breaker)
	}
	app := server.App{Engine: engine, Signer: b.signer, PublicURL: a.publicURL, Pages: a.pages}
	for _, k := range a.keys {
		app.Keys = append(app.Keys, server.APIKey{SHA256: k.sha256, Scopes: k.scopes})
	}
	return app, nil
}

// appComponents are what an app's engine and worker are built from.
type appComponents struct {
	strategies     strategySet
	addresses      watchword.AddressPolicy
	startLimiter   *ratelimit.Limiter
	checkThrottle  *ratelimit.Throttle
	reservedStarts *ratelimit.Limiter             // of starts to prefixes that the breaker refuses; nil without a breaker
	routes         map[string][]delivery.Provider // the senders of each channel
	router         *delivery.Router
	templates      *delivery.Templates
	providerName   func(channel string) string // nil without a router
	sender         watchword.Sender
	checkMessage   func(watchword.Message) error // fails if a message does not show its transaction; nil without a sender
	breaker        *delivery.PrefixBreaker       // nil without limits
	callbacks      *callbacks
}

// buildAppComponents builds the components of an app. Its error joins the problems of all of them.
func (b *builder) buildAppComponents(a appSettings, providers delivery.Openers) (p appComponents, err error) {
	var errStrategies, errAddresses, errLimits, errBreaker, errRouter, errTemplates, errRender error
	p.strategies, errStrategies = newStrategies(a, b.service.storage.factors != nil, b.log)
	if p.addresses, errAddresses = delivery.NewAddressPolicy(a.addresses); errAddresses == nil && b.settings.development {
		p.addresses, errAddresses = logRefusedCountries(p.addresses, b.log)
	}
	p.startLimiter, p.checkThrottle, errLimits = b.buildLimiters(a)
	p.callbacks = newCallbacks(a)
	p.routes, p.router, errRouter = b.openSenders(a, providers, p.callbacks)
	if p.router != nil {
		p.providerName = p.router.PrimaryProvider
	}
	p.templates, errTemplates = loadTemplates(a.templates)
	if errTemplates != nil { // so that the other settings are checked
		p.templates, _ = loadTemplates("")
	}
	if p.templates != nil {
		var render *delivery.Renderer // without a router only its settings are checked
		render, errRender = delivery.NewRenderer(delivery.RendererConfig{Next: p.router, Templates: p.templates,
			RetrieverHash: a.codes.SMSRetrieverHash, Logger: b.log})
		if errRender == nil && p.router != nil {
			p.sender, p.checkMessage = render, render.CheckMessage
		}
	}
	if !b.settings.noLimits {
		errBreaker = b.buildBreaker(a, &p)
	}
	return p, errors.Join(errStrategies, errAddresses, errLimits, errBreaker, errRouter, errTemplates, errRender)
}

// buildLimiters builds the limiter of starts, which all processes share, and the throttle of checks, which counts in this
// process. Both count each app separately. With --dev-no-limits they are nil.
func (b *builder) buildLimiters(a appSettings) (starts *ratelimit.Limiter, checks *ratelimit.Throttle, err error) {
	if b.settings.noLimits {
		return nil, nil, nil
	}
	starts, errStarts := ratelimit.New(b.service.storage.apps[a.id].limits, a.limits, a.id)
	checks, errChecks := ratelimit.NewThrottle(ratelimit.DefaultCheckRules(), ratelimit.ThrottleConfig{})
	for _, danger := range ratelimit.Warnings(a.limits, channelNames(a)) {
		b.log.Warn("unsafe limits", "app", a.id, "danger", danger)
	}
	return starts, checks, errors.Join(errStarts, errChecks)
}

// openSenders opens the senders of every channel. If some fail, it returns an error and a router of the others, so that the
// rest of the app can be checked.
func (b *builder) openSenders(a appSettings, providers delivery.Openers, callbacks *callbacks) (routes map[string][]delivery.Provider, router *delivery.Router, err error) {
	routes = map[string][]delivery.Provider{}
	var problems []error
	for _, channel := range channelNames(a) {
		for _, s := range a.send[channel] {
			env := callbacks.assignURL(b.senderEnvironment())
			env.Channel = channel
			sender, err := providers.Open(context.Background(), s.url.Reveal(), env)
			if err != nil {
				problems = append(problems, setting.Errorf(s.path, "%w", err))
				continue
			}
			callbacks.addRoute(sender, env)
			routes[channel] = append(routes[channel], delivery.Provider{Name: providerName(s.url), Sender: sender})
		}
	}
	router, err = delivery.NewRouter(delivery.RouterConfig{Routes: routes, Logger: b.log})
	return routes, router, errors.Join(append(problems, err)...)
}

// senderEnvironment is what senders and event publishers get beside their URL.
func (b *builder) senderEnvironment() delivery.Environment {
	return delivery.Environment{Logger: b.log, Development: b.settings.development, Allowed: b.settings.allowed}
}

// providerName is the sender's name in logs and in a challenge's delivery: the URL's scheme up to a "+".
func providerName(secret watchword.Code) string {
	scheme, _, _ := strings.Cut(secret.Reveal(), ":")
	name, _, _ := strings.Cut(scheme, "+")
	return name
}

// loadTemplates loads the built-in templates and, over them, those of a folder. An empty folder means none.
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

// buildBreaker builds the prefix breaker, puts it before the address policy, and builds the limiter of the few starts that a
// refused prefix still gets.
func (b *builder) buildBreaker(a appSettings, p *appComponents) (err error) {
	p.breaker, err = delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{App: a.id, Counters: b.service.storage.counters, Window: a.breaker.Window,
		Sent: a.breaker.Sent, Percent: a.breaker.Percent, Pause: a.breaker.Pause, Shadow: a.breaker.Shadow, Settle: a.codes.Lifetime, Logger: b.log})
	if err != nil {
		return setting.Errorf("PrefixBreaker", "%w", err)
	}
	p.addresses = p.breaker.WrapPolicy(p.addresses)
	reserved := []ratelimit.Rule{{Name: delivery.LimitPrefixBreaker, Limit: 1, Window: p.breaker.ReservedInterval(), By: ratelimit.ByPrefix}}
	p.reservedStarts, err = ratelimit.New(b.service.storage.apps[a.id].limits, reserved, a.id)
	return err
}

func (b *builder) engineConfig(a appSettings, p appComponents, queue *delivery.Queue, publisher *eventPublisher) watchword.Config {
	cfg := watchword.Config{
		App: a.id, Name: a.name, Issuer: a.publicURL,
		Keys: b.settings.keys, Identity: b.settings.identity,
		Store: b.service.storage.apps[a.id].store, Factors: b.service.storage.factors, Outbox: queue, Strategies: p.strategies.strategies, Addresses: p.addresses,
		Channels: channelNames(a), ProviderName: p.providerName, CheckMessage: p.checkMessage, Purposes: a.purposes, ReturnOrigins: a.returnURLs,
		Lifetime: a.codes.Lifetime, Tries: a.codes.Tries, Sends: a.codes.Sends, Cooldown: a.codes.Cooldown,
		ReceiptLifetime: a.codes.ReceiptLifetime, NewCodes: a.codes.NewOnResend, SMSOrigin: firstOriginHost(a.origins),
		NoBudget: b.settings.noLimits, Development: b.settings.development, Logger: b.log, Events: b.eventHandler(p.breaker, publisher),
	}
	cfg.Dependencies = map[string]watchword.Pinger{partSending: delivery.NewReadiness(p.routes)}
	if p.breaker != nil {
		cfg.Dependencies[partCounters] = p.breaker
	}
	if !b.settings.noLimits { // a nil pointer in an interface is not a nil interface
		cfg.Starts, cfg.Checks, cfg.Reserved = p.startLimiter, p.checkThrottle, p.reservedStarts
	}
	return cfg
}

// The parts of an engine that it does not know itself, as readiness names them.
const (
	partSending  = "sending"
	partCounters = "counters"
)

// firstOriginHost is the host to which browsers bind a code in an SMS: that of the app's first origin, or empty.
func firstOriginHost(origins []string) string {
	if len(origins) == 0 {
		return ""
	}
	u, err := url.Parse(origins[0])
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// eventHandler passes an app's events to the metrics, to its prefix breaker and to its event endpoints.
func (b *builder) eventHandler(breaker *delivery.PrefixBreaker, publisher *eventPublisher) func(context.Context, watchword.Event) {
	return func(ctx context.Context, e watchword.Event) {
		if b.metrics != nil {
			b.metrics.countEvent(e)
		}
		if breaker != nil {
			breaker.HandleEvent(ctx, e)
		}
		if b.settings.development && e.Type == watchword.EventLimitReached {
			b.log.Warn("limit reached; --dev-no-limits turns limits off", "limit", e.Limit)
		}
		publisher.HandleEvent(ctx, e)
	}
}

// registerRelatedOrigins registers the list of other sites where an RP id's passkeys may be used. Apps that share an RP id
// share the list (checkUnique).
func (b *builder) registerRelatedOrigins(a appSettings, s strategySet) {
	if s.relatedOrigins != nil && len(a.relatedOrigins()) > 0 {
		b.relatedOrigins[a.rpID] = s.relatedOrigins
	}
}

// findEngineProblems returns the problems of the engine's own settings if some of its components could not be built.
// Placeholders take the place of those.
func (b *builder) findEngineProblems(a appSettings, p appComponents) error {
	var err error
	if p.strategies.strategies, err = placeholderStrategies(); err != nil {
		return err
	}
	if p.addresses == nil {
		p.addresses = func(string, string) (watchword.Address, error) { return watchword.Address{}, nil }
	}
	_, err = watchword.New(b.engineConfig(a, p, delivery.NewQueue(1, nil), nil))
	return errors.Unwrap(err)
}
