package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	devinbox "github.com/watchword-auth/watchword/delivery/inbox"
	rediscounters "github.com/watchword-auth/watchword/delivery/redis"
	"github.com/watchword-auth/watchword/delivery/smtp"
	"github.com/watchword-auth/watchword/delivery/twilio"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/script"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/ratelimit"
	redislimit "github.com/watchword-auth/watchword/ratelimit/redis"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
	"github.com/watchword-auth/watchword/webauthn"
)

// This file is the one list of plug-ins: outside their own folders, strategies, senders and stores are named nowhere
// else. floors_test.go sees to that.

// An offer is what an app's people can prove things by, and what has to be served for it.
type offer struct {
	strategies []watchword.Strategy
	related    http.Handler // of /.well-known/webauthn at the RP id's host; nil without keys
}

// strategies are the ways to prove that an app offers: those that are enrolled only where there is a place for factors,
// and keys only where they have a domain.
func strategies(a appSettings, enrolled bool, log *slog.Logger) (o offer, err error) {
	tests := make([]otp.TestIdentity, len(a.codes.Test))
	for i, t := range a.codes.Test {
		tests[i] = otp.TestIdentity{Address: t.Address, Code: t.Code, Purposes: t.Purposes, Until: t.Until}
	}
	codes, errCodes := otp.New(otp.Config{Length: a.codes.Length, Letters: a.codes.Letters, TestAddresses: tests, Logger: log})
	links, errLinks := magiclink.New(magiclink.Config{Confirm: magiclink.Confirm(a.links.Confirm), NoCode: a.links.NoCode})
	o.strategies = []watchword.Strategy{codes, links}
	if !enrolled {
		return o, errors.Join(errCodes, errLinks)
	}
	issuer := cmp.Or(a.name, a.id, "app")
	byTime, errTime := totp.New(totp.Config{Issuer: issuer})
	byCounter, errCounter := totp.NewHOTP(totp.HOTPConfig{Issuer: issuer})
	o.strategies = append(o.strategies, byTime, byCounter, recovery.New())
	if a.rpID == "" || len(a.ownOrigins()) == 0 {
		return o, errors.Join(errCodes, errLinks, errTime, errCounter)
	}
	keys, errKeys := webauthn.New(webauthn.Config{RPID: a.rpID, RPName: issuer, Secret: a.keySecret, Origins: a.ownOrigins(),
		RelatedOrigins: a.relatedOrigins(), Logger: log})
	if errKeys == nil {
		o.strategies, o.related = append(o.strategies, keys), keys.RelatedOrigins()
	}
	return o, errors.Join(errCodes, errLinks, errTime, errCounter, errKeys)
}

// standInStrategies are for looking at an engine's settings where the app's own strategies could not be made.
func standInStrategies() ([]watchword.Strategy, error) {
	codes, err := otp.New(otp.Config{})
	return []watchword.Strategy{codes}, err
}

// besideAPI is what strategies show over HTTP beside the API: the ES module that pages use keys with, and, at each RP id's
// own host, where else its keys may be used.
func besideAPI(related map[string]http.Handler) map[string]http.Handler {
	return map[string]http.Handler{"GET /webauthn.js": webauthn.Script(), "OPTIONS /webauthn.js": webauthn.Script(), "GET /.well-known/webauthn": keySites(related)}
}

// providers are the senders, by the scheme of the URL that configures one. The inbox is shared by all that open it.
func providers(box *inbox) delivery.Providers {
	return delivery.Providers{
		"inbox":         box.Open,
		"smtp":          smtp.Open,
		"smtps":         smtp.Open,
		"twilio":        twilio.Open,
		"webhook+https": webhook.Open,
		"webhook+http":  webhook.Open,
	}
}

// An inbox is where development mode looks at what would have been sent.
type inbox = devinbox.Inbox

func newInbox() *inbox { return &inbox{} }

// devSender is the sender of every channel that has none of its own in development, and shown is where it can be read.
const devSender = "inbox:"

func shown(box *inbox) map[string]http.Handler {
	return map[string]http.Handler{"GET /inbox": box.Handler(), "GET /inbox/": box.Handler()}
}

// pressConfirms reports whether a setting of links lets a press alone confirm; pages must know it too.
func pressConfirms(confirm string) bool { return magiclink.Confirm(confirm) == magiclink.ConfirmButton }

// embeddedDatabase is a database in a file, for development.
func embeddedDatabase(path string) watchword.Code { return watchword.NewCode(sqliteScheme + path) }

// An announcer tells an app's endpoints of its events.
type announcer = webhook.Events

func newAnnouncer(wanted []eventsSettings, env delivery.Environment) (*announcer, error) {
	endpoints := make([]webhook.Endpoint, len(wanted))
	for i, w := range wanted {
		endpoints[i] = webhook.Endpoint{URL: w.url, Types: w.types}
	}
	return webhook.NewEvents(webhook.EventsConfig{Endpoints: endpoints, Environment: env})
}

// memoryURL keeps everything in the process, which must then be the only one.
const memoryURL = "memory:"

// A storage is where challenges and limits are kept, and what subjects have enrolled.
type storage struct {
	apps    map[string]appStorage                    // by id
	counts  delivery.Counters                        // of messages that were sent and verified
	factors watchword.Factors                        // nil: nothing can be enrolled
	ready   func(context.Context) error              // an error if it cannot be reached, or must not be used
	warn    func(context.Context) []string           // what of its settings leaves something open
	clock   func(context.Context) (time.Time, error) // by which challenges expire
	closers []func() error
}

// An appStorage is what an app's challenges and limits are kept in.
type appStorage struct {
	store  watchword.Store
	limits ratelimit.Store
}

func (s *storage) close() error {
	var all []error
	for _, c := range s.closers {
		all = append(all, c())
	}
	return errors.Join(all...)
}

// inMemory is the storage of one process, which forgets. It is bounded whatever the number of apps, and each has its equal
// part of it, so that none can fill another's.
func inMemory(apps []appSettings) storage {
	part := func(all int) int { return max(all/max(len(apps), 1), 1) }
	s := storage{
		apps:   map[string]appStorage{},
		counts: delivery.NewMemoryCounters(nil),
		ready:  func(context.Context) error { return nil },
		warn:   func(context.Context) []string { return nil },
		clock:  func(context.Context) (time.Time, error) { return time.Now(), nil },
	}
	limits := ratelimit.NewMemory(ratelimit.MemoryConfig{MaxWindows: part(ratelimit.DefaultMaxWindows / 2)})
	for _, a := range apps {
		s.apps[a.id] = appStorage{memory.New(memory.Config{MaxEntries: part(memory.DefaultMaxEntries / 2)}), limits}
	}
	return s
}

// openStorage makes the stores of challenges and limits that a URL names. Nothing is connected yet. With an error it is
// memory, so that the rest can be checked. Each app has connections of its own, so that none can take another's. Where
// something damaged is found, damaged is called with what it should have been.
func openStorage(s settings, damaged func(what string)) (storage, error) {
	if s.redis.Reveal() == memoryURL {
		return inMemory(s.apps), nil
	}
	client, err := redisstore.Open(s.redis.Reveal())
	if err != nil {
		return inMemory(s.apps), err
	}
	counts, err := rediscounters.New(client, "watchword")
	if err != nil {
		return inMemory(s.apps), errors.Join(err, client.Close())
	}
	store := redisstore.New(client, redisstore.Config{WaitReplicas: s.waitReplicas, Damaged: damaged})
	all := storage{
		apps:   map[string]appStorage{},
		counts: counts,
		ready:  store.CheckPolicy,
		warn:   store.Warnings,
		clock: func(ctx context.Context) (time.Time, error) {
			now, err := client.Time(ctx).Result()
			return now, script.Reason(err)
		},
		closers: []func() error{client.Close},
	}
	for _, a := range s.apps {
		app, closeApp, err := openAppStorage(s, damaged)
		if err != nil {
			return inMemory(s.apps), errors.Join(err, all.close())
		}
		all.apps[a.id] = app
		all.closers = append(all.closers, closeApp)
	}
	return all, nil
}

func openAppStorage(s settings, damaged func(what string)) (app appStorage, closeApp func() error, err error) {
	client, err := redisstore.Open(s.redis.Reveal())
	if err != nil {
		return app, nil, err
	}
	limits, err := redislimit.New(client, redislimit.Config{Prefix: "watchword", Damaged: func(windows int) {
		for range windows {
			damaged("limit")
		}
	}})
	if err != nil {
		return app, nil, errors.Join(err, client.Close())
	}
	return appStorage{redisstore.New(client, redisstore.Config{WaitReplicas: s.waitReplicas, Damaged: damaged}), limits}, client.Close, nil
}

// logStores sends what the stores' clients log of their own accord to the program's log. It holds for the whole process.
func logStores(log *slog.Logger) { redisstore.SetClientLogger(log) }

// A database opens factors and brings their schema up to date.
type database func(ctx context.Context) (factorsCloser, error)

type factorsCloser interface {
	watchword.Factors
	Close() error
}

const sqliteScheme = "sqlite://"

// databaseFrom is a database's URL whose path, if it is a relative one, starts from a folder.
func databaseFrom(folder string, url watchword.Code) watchword.Code {
	path, isFile := strings.CutPrefix(url.Reveal(), sqliteScheme)
	if !isFile || folder == "" || path == "" || filepath.IsAbs(path) {
		return url
	}
	return embeddedDatabase(filepath.Join(folder, path))
}

// openDatabase finds out which database a URL names, and whether it can be one; nothing is opened yet.
func openDatabase(rawURL string) (database, error) {
	path, isFile := strings.CutPrefix(rawURL, sqliteScheme)
	scheme, _, _ := strings.Cut(rawURL, "://")
	switch {
	case isFile && strings.ContainsAny(path, "?#%"):
		return nil, errors.New("sqlite:// has a path and nothing else: no parameters, and no characters that are escaped")
	case isFile && path != "":
		return func(ctx context.Context) (factorsCloser, error) { return sqlite.Open(ctx, path) }, sqlite.CheckPath(path)
	case scheme == "postgres" || scheme == "postgresql":
		return func(ctx context.Context) (factorsCloser, error) { return postgres.Open(ctx, rawURL) }, postgres.CheckURL(rawURL)
	}
	return nil, errors.New("not a URL of a database: sqlite:///path or postgres://user:password@host/name")
}

func factorsInMemory() watchword.Factors { return &memory.Factors{} }
