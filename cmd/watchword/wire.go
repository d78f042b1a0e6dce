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

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	devinbox "github.com/watchword-auth/watchword/delivery/inbox"
	rediscounters "github.com/watchword-auth/watchword/delivery/redis"
	"github.com/watchword-auth/watchword/delivery/smtp"
	"github.com/watchword-auth/watchword/delivery/twilio"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/device"
	"github.com/watchword-auth/watchword/internal/script"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/ratelimit"
	redislimit "github.com/watchword-auth/watchword/ratelimit/redis"
	devplayground "github.com/watchword-auth/watchword/server/playground"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
	"github.com/watchword-auth/watchword/store/sql"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
	"github.com/watchword-auth/watchword/testaddress"
	"github.com/watchword-auth/watchword/webauthn"
)

// This file is the only list of plug-ins. Outside their own folders, strategies, senders and stores are named only here;
// layers_test.go enforces it.

// A strategySet holds an app's strategies and what they serve over HTTP.
type strategySet struct {
	strategies     []watchword.Strategy
	relatedOrigins http.Handler // serves /.well-known/webauthn at the RP id's host; nil without passkeys
}

// newStrategies makes an app's strategies: those with factors only if there is a database, and passkeys only if the app has a
// relying-party id.
func newStrategies(a appSettings, hasDatabase bool, log *slog.Logger) (set strategySet, err error) {
	tests := make([]otp.TestIdentity, len(a.codes.Test))
	for i, t := range a.codes.Test {
		tests[i] = otp.TestIdentity{Address: t.Address, Code: t.Code, Purposes: t.Purposes, Until: t.Until}
	}
	codes, errCodes := otp.New(otp.Config{Length: a.codes.Length, Letters: a.codes.Letters, TestAddresses: tests, Logger: log})
	links, errLinks := magiclink.New(magiclink.Config{Confirm: magiclink.Confirm(a.links.Confirm), NoCode: a.links.NoCode})
	set.strategies = []watchword.Strategy{codes, links}
	if a.testAddresses {
		var errWrap error
		set.strategies, errWrap = withTestAddresses(codes, links)
		errCodes = errors.Join(errCodes, errWrap)
	}
	if !hasDatabase {
		return set, errors.Join(errCodes, errLinks)
	}
	issuer := cmp.Or(a.name, a.id, "app")
	byTime, errTime := totp.New(totp.Config{Issuer: issuer})
	byCounter, errCounter := totp.NewHOTP(totp.HOTPConfig{Issuer: issuer})
	set.strategies = append(set.strategies, byTime, byCounter, recovery.New(), device.New())
	if a.rpID == "" || len(a.ownOrigins()) == 0 {
		return set, errors.Join(errCodes, errLinks, errTime, errCounter)
	}
	passkeys, errPasskeys := webauthn.New(webauthn.Config{RPID: a.rpID, RPName: issuer, Secret: a.userHandleSecret, Origins: a.ownOrigins(),
		RelatedOrigins: a.relatedOrigins(), Logger: log})
	if errPasskeys == nil {
		set.strategies, set.relatedOrigins = append(set.strategies, passkeys), passkeys.RelatedOrigins()
	}
	return set, errors.Join(errCodes, errLinks, errTime, errCounter, errPasskeys)
}

// withTestAddresses returns strategies of development, which have test addresses.
func withTestAddresses(strategies ...watchword.Matcher) (out []watchword.Strategy, err error) {
	for _, s := range strategies {
		wrapped, errWrap := testaddress.WrapStrategy(s)
		out, err = append(out, wrapped), errors.Join(err, errWrap)
	}
	return out, err
}

// placeholderStrategies makes strategies with which an engine's other settings can be checked if the app's own failed.
func placeholderStrategies(hasDatabase bool) ([]watchword.Strategy, error) {
	codes, errCodes := otp.New(otp.Config{})
	links, errLinks := magiclink.New(magiclink.Config{NoCode: true})
	strategies := []watchword.Strategy{codes, links}
	if hasDatabase {
		strategies = append(strategies, device.New())
	}
	return strategies, errors.Join(errCodes, errLinks)
}

// strategyRoutes are the routes of strategies beside the API: the ES module with which pages use passkeys, and each RP id's
// list of related origins (WebAuthn Level 3, section 5.11).
func strategyRoutes(relatedOrigins map[string]http.Handler) map[string]http.Handler {
	return map[string]http.Handler{"GET /webauthn.js": webauthn.Script(), "OPTIONS /webauthn.js": webauthn.Script(), "GET /.well-known/webauthn": serveRelatedOrigins(relatedOrigins)}
}

// senderProviders are the providers by the scheme of a sender's URL. All senders with the scheme inbox share one inbox.
func senderProviders(box *inbox) delivery.Openers {
	return delivery.Openers{
		"inbox":         box.Open,
		"smtp":          smtp.Open,
		"smtps":         smtp.Open,
		"twilio":        twilio.Open,
		"webhook+https": webhook.Open,
		"webhook+http":  webhook.Open,
	}
}

// An inbox shows the messages of development mode instead of sending them.
type inbox = devinbox.Inbox

func newInbox() *inbox { return &inbox{} }

// devSenderURL is the sender of a channel in development unless --send names another. inboxRoutes shows what it was given.
const devSenderURL = "inbox:"

// newTestSender returns a sender that refuses or delays messages of some test addresses, and passes all others on.
func newTestSender(next watchword.Sender) watchword.Sender { return &testaddress.Sender{Next: next} }

func inboxRoutes(box *inbox) map[string]http.Handler {
	return map[string]http.Handler{"GET /inbox": box.Handler(), "/inbox/": box.Handler()}
}

// A playground is the page of development mode on which everything can be tried.
type playground = devplayground.Playground

func newPlayground() *playground { return devplayground.New() }

func playgroundRoutes(p *playground, publicURL string) (map[string]http.Handler, error) {
	h, err := p.Handler(devplayground.Config{PublicURL: publicURL, Key: devKey, AdminKey: devAdminKey, App: devApp})
	return map[string]http.Handler{"GET /{$}": h, "GET /playground/": h}, err
}

// addEvent shows an event in the playground as endpoints get it.
func addEvent(p *playground, e watchword.Event) error {
	body, err := webhook.EncodeEvent(e)
	if err == nil {
		p.AddEvent(body)
	}
	return err
}

// confirmsByButton reports whether a click on a link's page confirms it without a number. The pages must know.
func confirmsByButton(confirm string) bool {
	return magiclink.Confirm(confirm) == magiclink.ConfirmButton
}

// sqliteURL is the URL of a database in a file.
func sqliteURL(path string) watchword.Code { return watchword.NewCode(sqliteScheme + path) }

// An eventPublisher sends an app's events to its endpoints.
type eventPublisher = webhook.Dispatcher

// An eventSpace bounds the events that wait at the endpoints of all apps, of maxWaitingEvents bytes.
type eventSpace = webhook.Space

func newEventSpace() *eventSpace { return webhook.NewSpace(maxWaitingEvents) }

const maxWaitingEvents = 32 << 20

// A publisherQueue is where the events of an eventPublisher wait.
type publisherQueue = webhook.Queue

func newEventPublisher(configured []eventsSettings, env delivery.Environment, space *eventSpace, queue *publisherQueue) (*eventPublisher, error) {
	endpoints := make([]webhook.Endpoint, len(configured))
	for i, s := range configured {
		endpoints[i] = webhook.Endpoint{URL: s.url, Types: s.types}
	}
	return webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: endpoints, Environment: env, Space: space, Queue: queue})
}

// memoryURL keeps challenges and limits in this process, which must then be the only one.
const memoryURL = "memory:"

// storedEvents are the events of an app that wait in a store that processes share.
type storedEvents = redisstore.EventQueue

// describeEvent decrypts what identifies an event in the queue of an endpoint.
func describeEvent(sealer *watchword.EventSealer, endpoint string, q watchword.QueuedEvent) (webhook.QueuedInfo, error) {
	return webhook.DescribeQueued(sealer, endpoint, q)
}

// isReplayedMeanwhile reports whether an event is no dead letter any more.
func isReplayedMeanwhile(err error) bool { return errors.Is(err, redisstore.ErrNoDeadLetter) }

// publisherQueue returns the queue of an app's events. The store is an outbox that has one.
func (s appStorage) publisherQueue(engine *currentEngine, sealer *watchword.EventSealer) *publisherQueue {
	return &publisherQueue{Engine: engine, Happened: s.outbox.(watchword.EventOutbox).Events(), Events: s.events, Switch: s.events, Sealer: sealer}
}

// newMemoryStorage makes stores in memory. Their size is bounded whatever the number of apps. Each app gets an equal share, so
// no app can fill another's.
func newMemoryStorage(apps []appSettings) storage {
	share := func(total int) int { return max(total/max(len(apps), 1), 1) }
	s := storage{
		apps:       map[string]appStorage{},
		counters:   delivery.NewMemoryCounters(nil),
		checkReady: func(context.Context) error { return nil },
		warnings:   func(context.Context) []string { return nil },
		summary:    "none, so challenges are in the memory of one process",
		clock:      func(context.Context) (time.Time, error) { return time.Now(), nil },
	}
	limits := ratelimit.NewMemory(ratelimit.MemoryConfig{MaxWindows: share(ratelimit.DefaultMaxWindows / 2)})
	for _, a := range apps {
		s.apps[a.id] = appStorage{store: memory.New(memory.Config{MaxEntries: share(memory.DefaultMaxEntries / 2)}), limits: limits}
	}
	return s
}

// A storeObserver counts and logs what happens in the stores of challenges, messages and limits.
type storeObserver interface {
	// reportDamagedValues is called when damaged values were found. The kind is entry, budget, limit, outbox or event.
	reportDamagedValues(kind string, n int)
	// roundTripCounter returns what is called before each round trip to a store (challenges or limits) with the number of commands
	// that share it, or nil.
	roundTripCounter(store string) func(commands int)
}

// openStorage makes the stores of challenges and limits, without connecting. Each app has its own connections, so no app can
// use up another's. With an error, the stores are in memory, so that the other settings can be checked.
func openStorage(s settings, observer storeObserver) (storage, error) {
	if s.redis.Reveal() == memoryURL {
		return newMemoryStorage(s.apps), nil
	}
	client, err := redisstore.Open(s.redis.Reveal())
	if err != nil {
		return newMemoryStorage(s.apps), err
	}
	counters, err := rediscounters.New(client, "watchword")
	if err != nil {
		return newMemoryStorage(s.apps), errors.Join(err, client.Close())
	}
	store := newRedisStore(client, s, observer)
	all := storage{
		apps:       map[string]appStorage{},
		counters:   counters,
		checkReady: store.CheckPolicy,
		warnings:   store.Warnings,
		clock: func(ctx context.Context) (time.Time, error) {
			now, err := client.Time(ctx).Result()
			return now, script.Reason(err)
		},
		closers: []func() error{client.Close},
	}
	for _, a := range s.apps {
		app, closeApp, err := openAppStorage(s, a.id, observer)
		if err != nil {
			return newMemoryStorage(s.apps), errors.Join(err, all.close())
		}
		all.apps[a.id] = app
		all.closers = append(all.closers, closeApp)
	}
	return all, nil
}

func newRedisStore(client goredis.UniversalClient, s settings, observer storeObserver) *redisstore.Store {
	return redisstore.New(client, redisstore.Config{WaitReplicas: s.waitReplicas, OnRoundTrip: observer.roundTripCounter("challenges"),
		Damaged: func(kind string) { observer.reportDamagedValues(kind, 1) }})
}

func openAppStorage(s settings, app string, observer storeObserver) (opened appStorage, closeApp func() error, err error) {
	client, err := redisstore.Open(s.redis.Reveal())
	if err != nil {
		return opened, nil, err
	}
	limits, errLimits := redislimit.New(client, redislimit.Config{Prefix: "watchword", OnRoundTrip: observer.roundTripCounter("limits"),
		OnDamaged: func(n int) { observer.reportDamagedValues("limit", n) }})
	outbox, errOutbox := redisstore.NewOutbox(newRedisStore(client, s, observer), redisstore.OutboxConfig{App: app,
		DeadLetters: func(n int) { observer.reportDamagedValues("outbox", n) }})
	events, errEvents := redisstore.NewEventQueue(newRedisStore(client, s, observer), redisstore.EventQueueConfig{App: app,
		DeadLetters: func(n int) { observer.reportDamagedValues("event", n) }})
	if err := errors.Join(errLimits, errOutbox, errEvents); err != nil {
		return opened, nil, errors.Join(err, client.Close())
	}
	return appStorage{store: outbox, outbox: outbox, limits: limits, events: events}, client.Close, nil
}

// setStoreLogger makes the stores' client libraries log to the program's log. It holds for the whole process.
func setStoreLogger(log *slog.Logger) { redisstore.SetClientLogger(log) }

// A databaseInspector is a database of factors that reports its clock and its settings.
type databaseInspector = sql.Inspector

// A factorsOpener opens a database of factors and migrates its schema.
type factorsOpener func(ctx context.Context) (factorsCloser, error)

type factorsCloser interface {
	watchword.Factors
	Close() error
}

const sqliteScheme = "sqlite://"

// resolveDatabasePath makes the relative path of a sqlite URL start from a folder. Other URLs stay as they are.
func resolveDatabasePath(folder string, url watchword.Code) watchword.Code {
	path, isFile := strings.CutPrefix(url.Reveal(), sqliteScheme)
	if !isFile || folder == "" || path == "" || filepath.IsAbs(path) {
		return url
	}
	return sqliteURL(filepath.Join(folder, path))
}

// parseDatabaseURL checks a database's URL and returns what opens it.
func parseDatabaseURL(rawURL string) (factorsOpener, error) {
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

func newMemoryFactors() watchword.Factors { return &memory.Factors{} }
