package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
)

// queueLength is how many messages of a channel of an app may be queued or in flight in this process, and half of those of all its
// channels. A start beyond it is refused. An outbox that processes share has no such limit.
const queueLength = 10_000

// A service is everything that one server process runs. Each app has an engine, a worker that sends its messages, a prefix
// breaker and a publisher of its events. All apps share the stores and the handler. A reload of the configuration replaces handler
// and engines.
type service struct {
	handler         http.Handler
	engines         []*watchword.Engine
	apps            map[string]*appTasks // by id
	workers         []backgroundTask
	breakers        []backgroundTask
	eventPublishers []backgroundTask
	storage         storage
	signer          *receipt.Signer
	inbox           *inbox
	playground      *playground // nil: not in development mode
	eventSpace      *eventSpace // of all apps
	senders         []senderSummary
	built           []builtApp
}

// A senderSummary describes the connection of a sender, for the log and the doctor.
type senderSummary struct {
	app, path, settings string
}

// A builtApp is what the doctor checks of an app.
type builtApp struct {
	settings  appSettings
	engine    *watchword.Engine
	addresses watchword.AddressPolicy
	routes    map[string][]delivery.Provider // the senders of each channel
	templates *delivery.Templates
	publisher *eventPublisher
}

// A backgroundTask works until its context ends, and then finishes what it has begun. Its error names what it left undone.
type backgroundTask interface {
	Run(ctx context.Context) error
}

// A builder builds a service from settings.
type builder struct {
	settings       settings
	log            *slog.Logger
	metrics        *metrics                       // nil: nothing is counted
	tracing        *tracing                       // nil: nothing is traced
	offline        bool                           // the database is not opened
	running        *service                       // whose stores and tasks a reload keeps, and adds those of new apps to; nil at the start
	activations    []func()                       // what makes tasks use the new engines, when all is built
	templates      map[string]*delivery.Templates // by folder
	relatedOrigins map[string]http.Handler        // by RP id
	callbackRoutes map[string]http.Handler        // by pattern
	service        service
}

func newBuilder(s settings, log *slog.Logger) *builder {
	return &builder{settings: s, log: log, templates: map[string]*delivery.Templates{}, relatedOrigins: map[string]http.Handler{}, callbackRoutes: map[string]http.Handler{}}
}

// build builds a service, or returns every problem that prevents it. It opens the database. It makes no other connection and
// starts no task.
func build(ctx context.Context, s settings, log *slog.Logger, m *metrics, t *tracing) (*service, []error) {
	b := newBuilder(s, log)
	b.metrics, b.tracing = m, t
	return b.build(ctx)
}

func (b *builder) build(ctx context.Context) (*service, []error) {
	var c checker
	b.buildShared(ctx, &c)
	apps := b.buildApps(&c)
	if !b.offline {
		c.problems = append(c.problems, b.findRefusedHosts(ctx)...)
	}
	if len(c.problems) == 0 {
		c.addError("server", b.buildHandler(apps))
	}
	if len(c.problems) > 0 {
		c.addError("stores", b.service.storage.closeSince(b.running))
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	for _, activate := range b.activations {
		activate()
	}
	return &b.service, nil
}

// buildShared builds what apps share, or takes it from the running service. Problems are added to c.
func (b *builder) buildShared(ctx context.Context, c *checker) {
	if b.running != nil {
		b.service = service{apps: maps.Clone(b.running.apps), storage: b.running.storage.clone(), signer: b.running.signer, inbox: b.running.inbox,
			playground: b.running.playground, eventSpace: b.running.eventSpace}
		c.addError("redis", b.service.storage.addApps(b.settings, b))
		return
	}
	var err error
	b.service.apps, b.service.inbox, b.service.eventSpace = map[string]*appTasks{}, newInbox(), newEventSpace()
	if b.settings.development {
		b.service.playground = newPlayground()
	}
	b.service.storage, err = openStorage(b.settings, b)
	c.addError("redis", err)
	c.addError("database", b.openFactors(ctx))
	b.service.signer, err = receipt.NewSigner(receipt.SignerConfig{Keys: b.settings.signing})
	c.addError("signing", err)
}

// buildApps builds the apps. Problems are added to c.
func (b *builder) buildApps(c *checker) (apps []server.App) {
	for _, a := range b.settings.apps {
		app, err := b.buildApp(a, senderProviders(b.service.inbox))
		c.addFieldErrors(fmt.Sprintf("app %q", a.id), a.paths, err)
		apps = append(apps, app)
	}
	return apps
}

// reportDamagedValues implements storeObserver: it logs and counts damaged values.
func (b *builder) reportDamagedValues(kind string, n int) {
	b.log.Error("damaged value found in the store", "what", kind, "count", n)
	if b.metrics != nil {
		b.metrics.damaged.WithLabelValues(kind).Add(float64(n))
	}
}

// roundTripCounter implements storeObserver. It returns nil if nothing is counted.
func (b *builder) roundTripCounter(store string) func(commands int) {
	if b.metrics == nil {
		return nil
	}
	size := b.metrics.batches.WithLabelValues(store)
	return func(commands int) { size.Observe(float64(commands)) }
}

// openFactors opens the database, if one is configured.
func (b *builder) openFactors(ctx context.Context) error {
	if b.settings.database.IsZero() {
		return nil
	}
	open, err := parseDatabaseURL(b.settings.database.Reveal())
	if err != nil || b.offline {
		b.service.storage.factors = newMemoryFactors()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	factors, err := open(ctx)
	if err != nil {
		return err
	}
	b.service.storage.factors = factors
	b.service.storage.closers = append(b.service.storage.closers, factors.Close)
	return nil
}

// buildHandler builds the HTTP handler: the API and the pages, the routes of strategies and senders and, in development,
// the inbox and the playground.
func (b *builder) buildHandler(apps []server.App) (err error) {
	cfg := server.Config{Apps: apps, Development: b.settings.development, TrustedProxies: b.settings.proxies, Logger: b.log,
		Mount: strategyRoutes(b.relatedOrigins)}
	maps.Copy(cfg.Mount, b.callbackRoutes)
	if b.settings.development {
		maps.Copy(cfg.Mount, inboxRoutes(b.service.inbox))
		routes, err := playgroundRoutes(b.service.playground, b.settings.apps[0].publicURL)
		if err != nil {
			return err
		}
		maps.Copy(cfg.Mount, routes)
		cfg.LimitDetail = devLimitDetail
	}
	if b.metrics != nil {
		cfg.Metrics = b.metrics
	}
	if b.metrics != nil && b.tracing != nil {
		cfg.Metrics = tracedRequests{b.metrics, b.tracing}
	}
	b.service.handler, err = server.New(cfg)
	return err
}
