package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/server"
)

// queueLength is how many messages of an app may wait or be sent at a time; a start beyond is refused.
const queueLength = 10_000

// A house is everything that runs: for each app one engine, one worker who sends its messages, one breaker that counts them
// and one announcer of its events, over shared stores, behind one server.
type house struct {
	server     http.Handler
	engines    []*watchword.Engine
	workers    []runner
	breakers   []runner
	announcers []runner
	storage    storage
}

// A runner works until its context ends, and then a little longer. Its error says what was left undone.
type runner interface {
	Run(ctx context.Context) error
}

// A builder makes a house from settings.
type builder struct {
	settings  settings
	log       *slog.Logger
	metrics   *metrics // nil: nothing is counted
	offline   bool     // nothing is opened, because nothing will run
	signer    *receipt.Signer
	related   map[string]http.Handler // by RP id
	callbacks map[string]http.Handler // by pattern
	house     house
}

// build makes the house, or reports everything that keeps it from being made. The database is opened; nothing else is
// connected and nothing runs yet.
func build(ctx context.Context, s settings, log *slog.Logger, m *metrics) (*house, []error) {
	b := newBuilder(s, log)
	b.metrics = m
	return b.build(ctx)
}

func newBuilder(s settings, log *slog.Logger) *builder {
	return &builder{settings: s, log: log, related: map[string]http.Handler{}, callbacks: map[string]http.Handler{}}
}

func (b *builder) build(ctx context.Context) (*house, []error) {
	var c checker
	box := newInbox()
	apps := b.rooms(ctx, &c, box)
	if len(c.problems) == 0 {
		c.note("server", b.door(apps, box))
	}
	if len(c.problems) > 0 {
		c.note("stores", b.house.storage.close())
		return nil, c.problems
	}
	return &b.house, nil
}

// rooms makes everything but the server, and notes what is wrong with any of it.
func (b *builder) rooms(ctx context.Context, c *checker, box *inbox) (apps []server.App) {
	var err error
	b.house.storage, err = openStorage(b.settings, b.noteDamaged)
	c.note("redis", err)
	c.note("database", b.openFactors(ctx))
	b.signer, err = receipt.NewSigner(receipt.SignerConfig{Keys: b.settings.signing})
	c.note("signing", err)
	for _, a := range b.settings.apps {
		app, err := b.app(a, providers(box))
		c.noteFields(fmt.Sprintf("app %q", a.id), a.paths, err)
		apps = append(apps, app)
	}
	return apps
}

// noteDamaged logs and counts a value in the store of challenges or limits that was damaged: an entry, a budget or a limit.
func (b *builder) noteDamaged(what string) {
	b.log.Error("damaged value found in the store", "what", what)
	if b.metrics != nil {
		b.metrics.damaged.WithLabelValues(what).Inc()
	}
}

// openFactors opens the database, if there is one.
func (b *builder) openFactors(ctx context.Context) error {
	if b.settings.database.IsZero() {
		return nil
	}
	open, err := openDatabase(b.settings.database.Reveal())
	if err != nil || b.offline {
		b.house.storage.factors = factorsInMemory()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	factors, err := open(ctx)
	if err != nil {
		return err
	}
	b.house.storage.factors = factors
	b.house.storage.closers = append(b.house.storage.closers, factors.Close)
	return nil
}

// door makes the server, with what strategies show beside it and, in development, the inbox.
func (b *builder) door(apps []server.App, box *inbox) (err error) {
	cfg := server.Config{Apps: apps, Development: b.settings.development, TrustedProxies: b.settings.proxies, Logger: b.log,
		Mount: besideAPI(b.related)}
	maps.Copy(cfg.Mount, b.callbacks)
	if b.settings.development {
		maps.Copy(cfg.Mount, shown(box))
		cfg.LimitDetail = devLimitDetail
	}
	if b.metrics != nil {
		cfg.Metrics = b.metrics
	}
	b.house.server, err = server.New(cfg)
	return err
}
