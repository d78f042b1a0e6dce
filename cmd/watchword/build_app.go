package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

// buildApp builds one app, or returns every problem of its settings.
func (b *builder) buildApp(a appSettings, providers delivery.Openers) (server.App, error) {
	tasks := b.service.apps[a.id]
	var errTasks error
	if tasks == nil {
		tasks, errTasks = b.newTasks(a.id)
	}
	p, err := b.buildAppComponents(a, tasks, providers)
	err = errors.Join(errTasks, err)
	env := b.senderEnvironment(a.id)
	publisher, errEvents := newEventPublisher(a.events, env, b.service.eventSpace, tasks.events)
	if err != nil {
		return server.App{}, errors.Join(err, errEvents, b.findEngineProblems(a, p))
	}
	if tasks.failover == nil && b.service.apps[a.id] == nil {
		tasks.failover = p.failover
	}
	cfg := b.engineConfig(a, p)
	if tasks.failover != nil { // a nil pointer in an interface is not a nil interface
		cfg.Failover = tasks.failover
	}
	cfg.Events, cfg.Replaces = b.eventHandler(tasks), tasks.engine.Load()
	cfg.Subscribed = func(eventType string) bool { return tasks.publisher.Subscribes(eventType) } // tasks keeps its publisher
	if b.service.storage.apps[a.id].outbox == nil {
		cfg.Outbox = tasks.outbox
	}
	b.traceQueue(&cfg)
	engine, err := watchword.New(cfg)
	// Unwrap leaves the engine's problems without its own introduction.
	if err = errors.Join(errEvents, errors.Unwrap(err)); err != nil {
		return server.App{}, err
	}
	if b.service.apps[a.id] == nil {
		tasks.breaker, tasks.throttle, tasks.publisher = p.breaker, p.checkThrottle, publisher
		if err := b.addTasks(a.id, tasks); err != nil {
			return server.App{}, err
		}
	}
	p.callbacks.engine = engine
	maps.Copy(b.callbackRoutes, p.callbacks.routes)
	b.registerRelatedOrigins(a, p.strategies)
	b.service.engines = append(b.service.engines, engine)
	b.service.built = append(b.service.built, builtApp{settings: a, engine: engine, addresses: p.addresses, routes: p.routes, templates: p.templates, publisher: publisher})
	b.activations = append(b.activations, func() { tasks.use(engine, p, publisher) })
	app := server.App{Engine: engine, Signer: b.service.signer, PublicURL: a.publicURL, Pages: a.pages, Origins: slices.Concat(a.origins, a.devOrigins)}
	for _, k := range a.keys {
		app.Keys = append(app.Keys, server.APIKey{SHA256: k.sha256, Scopes: k.scopes})
	}
	return app, nil
}

// newTasks returns the tasks of a new app. Its messages and events wait in the store, or in this process if the store is no outbox.
func (b *builder) newTasks(app string) (*appTasks, error) {
	stored := b.service.storage.apps[app]
	if stored.outbox == nil {
		return &appTasks{outbox: delivery.NewQueue(queueLength, nil)}, nil
	}
	tasks := &appTasks{outbox: stored.outbox}
	if stored.events == nil {
		return tasks, nil
	}
	sealer, err := watchword.NewEventSealer(b.settings.identity, app)
	tasks.events = stored.publisherQueue(&tasks.engine, sealer)
	return tasks, err
}

// addTasks adds the tasks of a new app to the service.
func (b *builder) addTasks(app string, tasks *appTasks) error {
	cfg := delivery.WorkerConfig{Engine: &tasks.engine, Outbox: tasks.outbox, Sender: &tasks.sender, Logger: b.log.With("app", app)}
	if b.tracing != nil {
		cfg.Engine, cfg.Sender = tracedEngine{cfg.Engine, b.tracing, app}, tracedSender{cfg.Sender, b.tracing, app}
	}
	worker, err := delivery.NewWorker(cfg)
	if err != nil {
		return err
	}
	b.service.apps[app] = tasks
	b.service.workers = append(b.service.workers, worker)
	b.service.eventPublishers = append(b.service.eventPublishers, tasks.publisher)
	if tasks.breaker != nil {
		b.service.breakers = append(b.service.breakers, tasks.breaker)
	}
	if tasks.failover != nil {
		b.service.breakers = append(b.service.breakers, tasks.failover)
	}
	return nil
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
	providerName   func(channel string) string       // nil without a router
	reports        func(channel, sender string) bool // nil without a router
	sender         watchword.Sender
	checkMessage   func(watchword.Message) error // fails if a message does not show its transaction; nil without a sender
	breaker        *delivery.PrefixBreaker       // nil without limits
	failover       *delivery.ReportFailover      // nil: messages do not move after their reports
	callbacks      *callbacks
}

// buildAppComponents builds the components of an app, but for those that its tasks keep through a reload. Its error joins the
// problems of all of them.
func (b *builder) buildAppComponents(a appSettings, tasks *appTasks, providers delivery.Openers) (p appComponents, err error) {
	var errStrategies, errAddresses, errLimits, errBreaker, errRouter, errTemplates, errRender error
	p.strategies, errStrategies = newStrategies(a, b.service.storage.factors != nil, b.log.With("app", a.id))
	if p.addresses, errAddresses = delivery.NewAddressPolicy(a.addresses); errAddresses == nil && b.settings.development {
		p.addresses, errAddresses = logRefusedCountries(p.addresses, b.log)
	}
	p.startLimiter, p.checkThrottle, errLimits = b.buildLimiters(a, tasks)
	p.callbacks = newCallbacks(a)
	p.routes, p.router, errRouter = b.openSenders(a, providers, p.callbacks)
	if p.router != nil {
		p.providerName, p.reports = p.router.PrimaryProvider, p.router.Reports
	}
	p.templates, errTemplates = b.loadTemplates(a.templates)
	if errTemplates != nil { // so that the other settings are checked
		p.templates, _ = b.loadTemplates("")
	}
	if p.templates != nil {
		var render *delivery.Renderer // without a router only its settings are checked
		render, errRender = delivery.NewRenderer(a.rendererConfig(p.router, p.templates, b.log.With("app", a.id)))
		if errRender == nil && p.router != nil {
			p.sender, p.checkMessage = render, render.CheckMessage
		}
	}
	if len(a.noReportAfter) > 0 && errRouter == nil {
		p.failover, errRouter = delivery.NewReportFailover(delivery.ReportFailoverConfig{App: a.id, Router: p.router, NoReportAfter: a.noReportAfter,
			Counters: b.service.storage.counters, Logger: b.log})
	}
	if !b.settings.noLimits {
		errBreaker = b.buildBreaker(a, tasks, &p)
	}
	return p, errors.Join(errStrategies, errAddresses, errLimits, errBreaker, errRouter, errTemplates, errRender)
}

// rendererConfig returns the configuration of what writes the app's messages.
func (a appSettings) rendererConfig(next watchword.Sender, templates *delivery.Templates, log *slog.Logger) delivery.RendererConfig {
	if a.testAddresses {
		next = newTestSender(next)
	}
	return delivery.RendererConfig{Next: next, Templates: templates, RetrieverHash: a.codes.SMSRetrieverHash, Mail: a.mails, Logger: log}
}

// buildLimiters builds the limiter of starts, which all processes share, and the throttle of checks, which counts in this
// process. Both count each app separately. With --dev-no-limits they are nil.
func (b *builder) buildLimiters(a appSettings, tasks *appTasks) (starts *ratelimit.Limiter, checks *ratelimit.Throttle, err error) {
	if b.settings.noLimits {
		return nil, nil, nil
	}
	starts, errStarts := ratelimit.New(b.service.storage.apps[a.id].limits, a.limits, a.id)
	checks, errChecks := tasks.throttle, error(nil)
	if checks == nil {
		checks, errChecks = ratelimit.NewThrottle(ratelimit.DefaultCheckRules(), ratelimit.ThrottleConfig{})
	}
	for _, danger := range ratelimit.Warnings(a.limits, channelNames(a)) {
		b.log.Warn("unsafe limits", "app", a.id, "danger", danger)
	}
	return starts, checks, errors.Join(errStarts, errChecks)
}

// loadTemplates loads the built-in templates and, over them, those of a folder. An empty folder means none. Apps with the same
// folder share its templates.
func (b *builder) loadTemplates(folder string) (*delivery.Templates, error) {
	if folder == "" {
		return delivery.LoadTemplates(nil)
	}
	if shared := b.templates[folder]; shared != nil {
		return shared, nil
	}
	files, err := openFolder(folder)
	if err != nil {
		return nil, setting.Errorf("Templates", "%w", err)
	}
	templates, err := delivery.LoadTemplates(files)
	if err != nil {
		return nil, setting.Errorf("Templates", "%w", err)
	}
	b.templates[folder] = templates
	return templates, nil
}

// buildBreaker builds the prefix breaker, puts it before the address policy, and builds the limiter of the few starts that a
// refused prefix still gets.
func (b *builder) buildBreaker(a appSettings, tasks *appTasks, p *appComponents) (err error) {
	if p.breaker = tasks.breaker; p.breaker == nil {
		p.breaker, err = delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{App: a.id, Counters: b.service.storage.counters, Window: a.breaker.Window,
			Sent: a.breaker.Sent, Percent: a.breaker.Percent, Pause: a.breaker.Pause, Shadow: a.breaker.Shadow, Settle: a.codes.Lifetime, Logger: b.log})
	}
	if err != nil {
		return setting.Errorf("PrefixBreaker", "%w", err)
	}
	p.addresses = p.breaker.WrapPolicy(p.addresses)
	reserved := []ratelimit.Rule{{Name: delivery.LimitPrefixBreaker, Limit: 1, Window: p.breaker.ReservedInterval(), By: ratelimit.ByPrefix}}
	p.reservedStarts, err = ratelimit.New(b.service.storage.apps[a.id].limits, reserved, a.id)
	return err
}

func (b *builder) engineConfig(a appSettings, p appComponents) watchword.Config {
	cfg := watchword.Config{
		App: a.id, Name: a.name, Issuer: a.publicURL,
		Keys: b.settings.keys, Identity: b.settings.identity,
		Store: b.service.storage.apps[a.id].store, Factors: b.service.storage.factors, Strategies: p.strategies.strategies, Addresses: p.addresses,
		Channels: channelNames(a), ProviderName: p.providerName, Reports: p.reports, CheckMessage: p.checkMessage, Purposes: a.purposes, ReturnOrigins: a.returnURLs,
		Lifetime: a.codes.Lifetime, Tries: a.codes.Tries, Sends: a.codes.Sends, Cooldown: a.codes.Cooldown,
		ReceiptLifetime: a.codes.ReceiptLifetime, NewCodes: a.codes.NewOnResend, SMSOrigin: firstOriginHost(a.origins),
		Lifetimes: a.lifetimes, NoBudget: b.settings.noLimits, Development: b.settings.development, Logger: b.log,
	}
	cfg.Dependencies = map[string]watchword.Pinger{partSending: delivery.NewReadiness(p.routes)}
	if b.service.storage.factors != nil { // devices are kept there
		cfg.TrustedDevices = a.trustedDevices
	}
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
	return hostOf(origins[0])
}

// hostOf returns the host of an origin, without the port; empty if there is none.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// eventHandler passes an app's events to the metrics, to its prefix breaker, to its event endpoints and, in development, to the
// playground.
func (b *builder) eventHandler(tasks *appTasks) func(context.Context, watchword.Event) {
	shown := b.service.playground
	return func(ctx context.Context, e watchword.Event) {
		if b.metrics != nil {
			b.metrics.countEvent(e)
		}
		if b.tracing != nil {
			b.tracing.addEvent(ctx, e)
		}
		if tasks.breaker != nil {
			tasks.breaker.HandleEvent(ctx, e)
		}
		if b.settings.development && e.Type == watchword.EventLimitReached {
			b.log.Warn("limit reached; --dev-no-limits turns limits off", "limit", e.Limit)
		}
		if shown != nil {
			if err := addEvent(shown, e); err != nil {
				b.log.Error("event not shown in the playground", "type", e.Type, "error", err)
			}
		}
		tasks.publisher.HandleEvent(ctx, e)
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
	if p.strategies.strategies, err = placeholderStrategies(b.service.storage.factors != nil); err != nil {
		return err
	}
	if p.addresses == nil {
		p.addresses = func(string, string) (watchword.Address, error) { return watchword.Address{}, nil }
	}
	cfg := b.engineConfig(a, p)
	cfg.Outbox = delivery.NewQueue(1, nil)
	_, err = watchword.New(cfg)
	return errors.Unwrap(err)
}
