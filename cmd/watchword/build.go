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

// queueLength is how many messages of an app may be queued or in flight. A start beyond it is refused.
const queueLength = 10_000

// A service is everything that one server process runs. Each app has an engine, a worker that sends its messages, a prefix
// breaker and a publisher of its events. All apps share the stores and the handler.
type service struct {
	handler         http.Handler
	engines         []*watchword.Engine
	workers         []backgroundTask
	breakers        []backgroundTask
	eventPublishers []backgroundTask
	storage         storage
	apps            []builtApp
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
	metrics        *metrics // nil: nothing is counted
	offline        bool     // the database is not opened
	signer         *receipt.Signer
	relatedOrigins map[string]http.Handler // by RP id
	callbackRoutes map[string]http.Handler // by pattern
	service        service
}

func newBuilder(s settings, log *slog.Logger) *builder {
	return &builder{settings: s, log: log, relatedOrigins: map[string]http.Handler{}, callbackRoutes: map[string]http.Handler{}}
}

// build builds a service, or returns every problem that prevents it. It opens the database. It makes no other connection and
// starts no task.
func build(ctx context.Context, s settings, log *slog.Logger, m *metrics) (*service, []error) {
	b := newBuilder(s, log)
	b.metrics = m
	return b.build(ctx)
}

func (b *builder) build(ctx context.Context) (*service, []error) {
	var c checker
	inbox := newInbox()
	apps := b.buildApps(ctx, &c, inbox)
	if !b.offline {
		c.problems = append(c.problems, b.findRefusedHosts(ctx)...)
	}
	if len(c.problems) == 0 {
		c.addError("server", b.buildHandler(apps, inbox))
	}
	if len(c.problems) > 0 {
		c.addError("stores", b.service.storage.close())
		return nil, c.problems
	}
	return &b.service, nil
}

// buildApps builds everything but the handler: first what apps share, then each app. Problems are added to c.
func (b *builder) buildApps(ctx context.Context, c *checker, box *inbox) (apps []server.App) {
	var err error
	b.service.storage, err = openStorage(b.settings, b.reportDamagedValue)
	c.addError("redis", err)
	c.addError("database", b.openFactors(ctx))
	b.signer, err = receipt.NewSigner(receipt.SignerConfig{Keys: b.settings.signing})
	c.addError("signing", err)
	for _, a := range b.settings.apps {
		app, err := b.buildApp(a, senderProviders(box))
		c.addFieldErrors(fmt.Sprintf("app %q", a.id), a.paths, err)
		apps = append(apps, app)
	}
	return apps
}

// reportDamagedValue logs and counts a damaged value in the store of challenges or limits. The kind is entry, budget or limit.
func (b *builder) reportDamagedValue(kind string) {
	b.log.Error("damaged value found in the store", "what", kind)
	if b.metrics != nil {
		b.metrics.damaged.WithLabelValues(kind).Inc()
	}
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

// buildHandler builds the HTTP handler: the API and the pages, the routes of strategies and senders and, in development, the inbox.
func (b *builder) buildHandler(apps []server.App, box *inbox) (err error) {
	cfg := server.Config{Apps: apps, Development: b.settings.development, TrustedProxies: b.settings.proxies, Logger: b.log,
		Mount: strategyRoutes(b.relatedOrigins)}
	maps.Copy(cfg.Mount, b.callbackRoutes)
	if b.settings.development {
		maps.Copy(cfg.Mount, inboxRoutes(box))
		cfg.LimitDetail = devLimitDetail
	}
	if b.metrics != nil {
		cfg.Metrics = b.metrics
	}
	b.service.handler, err = server.New(cfg)
	return err
}
