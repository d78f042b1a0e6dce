// Package watchword verifies people for an app: it sends codes and links and checks them, and it checks the factors that a
// subject has enrolled, such as authenticator apps, passkeys and recovery codes. It knows no users and no sessions.
//
// An Engine serves one app. Engine.Start creates a challenge for a subject or an address. If the answer reaches the app's
// backend, the backend calls Engine.Check, which returns the claims of a receipt. If the answer comes from a hosted page or
// a link, Engine.Answer checks it, and the starter of the challenge collects the receipt with Engine.Redeem.
//
// Engine.StartVerification asks one question that any of several methods may answer: each method opens a challenge, and together
// they give one receipt.
//
// Strategies, stores, senders, limiters and signers implement the interfaces of this package in packages of their own;
// implementations must be safe for concurrent use. The engine keeps challenges in a Store, where they are encrypted, and
// factors in Factors. Every node with the same keys and stores can serve every request.
package watchword

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword/internal/background"
	"github.com/watchword-auth/watchword/internal/probe"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/internal/tombstones"
	"github.com/watchword-auth/watchword/internal/watch"
)

// A Config is the configuration of an Engine. Zero values of fields that are not required are replaced by defaults. New
// reports all missing and unsafe settings at once.
type Config struct {
	App    string // id of the app: part of every key's derivation, and the audience of receipts; required
	Name   string // of the app, for people; default App
	Issuer string // public URL, such as https://verify.example.com: issuer of receipts, origin of links; required

	Keys     []Key // the first (the active key) encrypts and derives codes; all of them decrypt and verify; required
	Identity Key   // for ids, guess budgets, limits and address_hash; keep it when Keys rotate; required

	Store        Store                       // required
	Outbox       Outbox                      // required by strategies that send, unless Store is an Outbox
	Factors      Factors                     // required by strategies that enrol
	Strategies   []Strategy                  // required
	Addresses    AddressPolicy               // required by strategies that send
	Channels     []string                    // channels by which messages can be sent
	ProviderName func(channel string) string // provider to show for messages that are not really sent, as of decoys; nil: none
	Purposes     []string                    // the only purposes allowed; empty: every well-formed one

	// CheckMessage refuses a message that would not show the transaction that is approved. It is called for every start that
	// sends and has a transaction, before anything is counted, and for a resend by another channel. Its error is an *Error of
	// ErrInvalidRequest that names the fields. It must do no I/O. Nil: no message is refused.
	CheckMessage func(m Message) error

	// Reports reports whether a sender of a channel, by its id, gets delivery reports. Only its silence opens the fallback of
	// a verification. Nil: none does.
	Reports func(channel, sender string) bool

	Failover FailoverPolicy // moves messages that a sender has accepted and not delivered to the next sender; nil: none move

	// ReturnOrigins are the origins of allowed return URLs, such as https://app.example.com. A return_url must match one
	// exactly; with an empty list all are refused.
	ReturnOrigins []string

	Starts Limiter  // limits of starts and resends, shared by all nodes; nil: none
	Checks Throttle // limits of checks, counted by each process; nil: none

	// Reserved limits the starts and resends that unknown devices may make to addresses that Addresses refuses for a while
	// (ErrRateLimited). It counts by prefix and is shared by all nodes. Nil: they may make none.
	Reserved Limiter

	// Dependencies are what Ping tests beside Store, Starts, Checks and Factors, by the name that a Fault's Part has.
	Dependencies map[string]Pinger

	// Lifetimes are the lifetimes of challenges by purpose, from a second to 10 minutes. A longer one is for the links that a strategy
	// sends by mail (StrategyProperties.LongLived): an hour at most for PurposePasswordReset, seven days for the app's own purposes,
	// and never for other purposes of the engine. Such a link needs a return URL. It asks for no number, and only the browser that
	// confirmed it gets the code that Redeem then needs. Purposes that are not listed have Lifetime.
	Lifetimes map[string]time.Duration

	TrustedDevices TrustedDevices // devices that stay trusted after a verification; the zero value: none

	Lifetime        time.Duration // of a challenge; at most and by default 10 minutes
	Tries           int           // of a challenge; by default 5
	Sends           int           // messages of a challenge; by default 5
	Cooldown        time.Duration // before the first resend; by default 30 seconds; doubles with each send
	ReceiptLifetime time.Duration // at most 10 minutes; by default 5
	NewCodes        bool          // each resend brings a new code and invalidates the older one
	SMSOrigin       string        // host of the @host #code line that browsers bind a code to; empty: no such line
	Budget          []Window      // of a group's wrong answers; by default 5 in 15 minutes and 30 a day
	NoBudget        bool          // for load tests: only a challenge's own tries limit wrong answers
	Development     bool          // allows strategies with DevelopmentOnly; Error.Extra names what contradicts the challenge: purpose, subject, address or transaction

	Clock  func() time.Time                   // default: time.Now
	Random io.Reader                          // default: crypto/rand.Reader
	Logger *slog.Logger                       // default: discards everything. Lines have the attribute app
	Events func(ctx context.Context, e Event) // called synchronously, so it must not block; nil: no events

	// Subscribed reports whether somebody gets the events of a type. If the Store is an EventOutbox, those for which IsQueued
	// holds are queued there, in the step that writes what happened. EventExpired is then sent though nobody looks; with another
	// store too, by a timer. Nil: nobody does.
	Subscribed func(eventType string) bool

	// Replaces is the engine of the same app in this process that this one takes the place of, as when the configuration is
	// reloaded. The new one knows which challenges ended in the old one, and wakes the callers who wait there. Both may be used
	// until the old one's requests have ended. Nil: none.
	Replaces *Engine
}

// An Engine creates and checks challenges for one app. It is safe for concurrent use. It holds no state that other nodes
// need and has no method Close: before a program ends it lets its calls return, may call AwaitBackground, and then stops what it has
// made itself, such as delivery workers and stores. What an Engine does in the background, as refunding the charges of a failed start
// or closing the challenges of a verification that has ended, may be lost at any time.
type Engine struct {
	cfg             Config
	keyring         keyring
	identity        *identity
	appTag          [appSize]byte
	direct          DirectOutbox  // the store, if it is one; nil otherwise
	devices         DeviceTruster // nil: no device is trusted
	queuesEvents    bool          // the store is an EventOutbox
	eventSealer     *EventSealer
	expiries        *expiryTimers
	strategies      map[string]Strategy
	strategiesByTag map[[strategyTagSize]byte]Strategy
	channels        map[string]bool
	purposes        map[string]bool
	returnOrigins   map[string]bool
	tombstones      *tombstones.Set[Status]
	linkTombstones  *tombstones.Set[Status] // of links that live long, which the endings of others do not drop
	watchers        *watch.Watchers
	env             *environment
	background      *background.Runner
	workers         *workerWatch
	noteRemovals    noteRemovals
	keys            probe.Gate

	placeholder SealedFactor  // an encrypted factor for decoys to decrypt
	processID   [8]byte       // random; part of every requestID of this process
	requests    atomic.Uint64 // number of requests so far
	log         *slog.Logger
}

const (
	maxLifetime        = 10 * time.Minute
	maxReceiptLifetime = 10 * time.Minute
	maxGuessChance     = 1e-5 // tries × accepted values ÷ code space
	maxSends           = 100
	keepAfterExpiry    = 15 * time.Minute // entries stay readable that long after they expired
)

var appPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// New returns an Engine, or an error with everything that is missing or unsafe in the configuration.
func New(cfg Config) (*Engine, error) {
	cfg.setDefaults()
	e := &Engine{cfg: cfg, strategies: map[string]Strategy{}, strategiesByTag: map[[strategyTagSize]byte]Strategy{},
		channels: stringSet(cfg.Channels), purposes: stringSet(cfg.Purposes), tombstones: tombstones.New[Status](), linkTombstones: tombstones.New[Status](), watchers: watch.New(), background: background.New(),
		noteRemovals: noteRemovals{factors: map[string]Factor{}}, expiries: &expiryTimers{}, workers: newWorkerWatch(cfg), log: cfg.Logger}
	if old := cfg.Replaces; old != nil {
		e.tombstones, e.linkTombstones, e.watchers, e.background, e.expiries = old.tombstones, old.linkTombstones, old.watchers, old.background, old.expiries
		e.cfg.Replaces = nil // the old one is not kept
	}
	problems := append(cfg.invalidSettings(), e.deriveKeys()...)
	returns, err := parseReturnOrigins(cfg.ReturnOrigins)
	if e.returnOrigins = returns; err != nil {
		problems = append(problems, err)
	}
	if e.identity != nil {
		problems = append(problems, e.addStrategies()...)
		problems = append(problems, e.invalidTrustedDevices()...)
		problems = append(problems, e.invalidLifetimes()...)
		e.appTag = e.identity.appTag(cfg.App)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("watchword: app %q cannot start: %w", cfg.App, errors.Join(problems...))
	}
	e.env = &environment{now: cfg.Clock, random: e.random, app: cfg.App, decoy: e.decoyFactor,
		factors: &factorStore{app: cfg.App, store: cfg.Factors, keyring: e.keyring, ids: e.identity.tags, devices: e.deviceStrategy(), log: cfg.Logger}}
	if cfg.Outbox == nil {
		e.direct, _ = cfg.Store.(DirectOutbox)
		_, e.queuesEvents = cfg.Store.(EventOutbox)
	}
	process, err := e.random(len(e.processID))
	if err != nil {
		return nil, fmt.Errorf("watchword: random source: %w", err)
	}
	copy(e.processID[:], process)
	return e, e.prepareDecoys()
}

func (c *Config) setDefaults() {
	orDefault(&c.Name, c.App)
	orDefault(&c.Lifetime, maxLifetime)
	orDefault(&c.Tries, 5)
	orDefault(&c.Sends, 5)
	orDefault(&c.Cooldown, 30*time.Second)
	orDefault(&c.ReceiptLifetime, 5*time.Minute)
	if c.Budget == nil {
		c.Budget = []Window{{5, 15 * time.Minute}, {30, 24 * time.Hour}}
	}
	if c.ProviderName == nil {
		c.ProviderName = func(string) string { return "" }
	}
	if c.Subscribed == nil {
		c.Subscribed = func(string) bool { return false }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("app", c.App)
}

func orDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

func (c *Config) invalidSettings() (out []error) {
	refuse := func(bad bool, field, format string, args ...any) {
		if bad {
			out = append(out, setting.Errorf(field, format, args...))
		}
	}
	refuse(!appPattern.MatchString(c.App), "App", "needs 1 to 40 of a-z, 0-9, _ and -, beginning with a letter or digit")
	if err := checkIssuer(c.Issuer); err != nil {
		refuse(true, "Issuer", "%w", err)
	}
	refuse(c.Store == nil, "Store", "missing")
	refuse(len(c.Strategies) == 0, "Strategies", "at least one is needed")
	refuse(len(c.Keys) == 0, "Keys", "at least one is needed")
	refuse(c.Lifetime < time.Second || c.Lifetime > maxLifetime, "Lifetime", "%s is not between a second and %s (NIST SP 800-63B-4 §3.1.3.2)", c.Lifetime, maxLifetime)
	refuse(c.ReceiptLifetime < time.Second || c.ReceiptLifetime > maxReceiptLifetime, "ReceiptLifetime", "%s is not between a second and %s", c.ReceiptLifetime, maxReceiptLifetime)
	refuse(c.Tries < 1, "Tries", "must be positive")
	refuse(c.Sends < 1 || c.Sends > maxSends, "Sends", "%d is not between 1 and %d", c.Sends, maxSends)
	refuse(c.SMSOrigin != "" && !isSMSOrigin(c.SMSOrigin), "SMSOrigin", "%q is not a lower-case host name", c.SMSOrigin)
	refuse(c.Cooldown < freshTime, "Cooldown", "%s is less than a second", c.Cooldown)
	refuse(len(c.Budget) == 0, "Budget", "an empty list would be no limit; NoBudget says so")
	for _, w := range c.Budget {
		refuse(w.Max < 1 || w.Per < time.Second, "Budget", "%d in %s is no limit", w.Max, w.Per)
	}
	for i, p := range c.Purposes {
		refuse(!purposePattern.MatchString(p), fmt.Sprintf("Purposes[%d]", i), "%q needs 1 to 40 of a-z, 0-9 and _", p)
	}
	seen := map[string]bool{c.Identity.ID: true}
	for i, k := range c.Keys {
		refuse(seen[k.ID], fmt.Sprintf("Keys[%d]", i), "%q is there twice, or is the identity key's id", k.ID)
		seen[k.ID] = true
	}
	return out
}

func (e *Engine) deriveKeys() (problems []error) {
	for _, k := range e.cfg.Keys {
		derived, err := k.derive(e.cfg.App)
		if err != nil {
			problems = append(problems, fmt.Errorf("Keys: %w", err))
			continue
		}
		e.keyring = append(e.keyring, derived)
	}
	var err error
	if e.identity, err = newIdentity(e.cfg.Identity, e.cfg.App); err != nil {
		problems = append(problems, fmt.Errorf("Identity: %w", err))
		return problems
	}
	e.eventSealer = &EventSealer{e.identity.events}
	return problems
}

func (e *Engine) addStrategies() (problems []error) {
	for _, s := range e.cfg.Strategies {
		name := s.Name()
		_, matches := s.(Matcher)
		_, verifies := s.(Verifier)
		if matches == verifies {
			problems = append(problems, fmt.Errorf("strategy %q: must be either a Matcher or a Verifier", name))
		}
		if err := e.checkDevelopmentOnly(s); err != nil {
			problems = append(problems, err)
		}
		if isInternal(name) {
			problems = append(problems, fmt.Errorf("strategy %q: the name is taken", name))
		}
		if e.strategies[name] != nil {
			problems = append(problems, fmt.Errorf("strategy %q: is there twice", name))
		}
		props := s.Properties()
		if chance := float64(e.tries(props)*max(props.RightAnswers, 1)) / props.AnswerSpace; props.AnswerSpace > 0 && chance > maxGuessChance {
			problems = append(problems, setting.Errorf("Tries", "strategy %q: %d tries with %d accepted values out of %.0f is a chance of more than 1 in 100,000: use longer codes or fewer tries",
				name, e.tries(props), max(props.RightAnswers, 1), props.AnswerSpace))
		}
		if props.SendsMessages && (e.cfg.Addresses == nil || e.cfg.Outbox == nil && !isOutbox(e.cfg.Store)) {
			problems = append(problems, fmt.Errorf("strategy %q: needs Addresses, and an Outbox to send from", name))
		}
		truster, trusts := s.(DeviceTruster)
		if trusts {
			if e.devices != nil {
				problems = append(problems, fmt.Errorf("strategy %q: %q trusts devices already", name, e.devices.Name()))
			}
			e.devices = truster
		}
		if _, enrols := s.(Enroller); (enrols || trusts) && e.cfg.Factors == nil {
			problems = append(problems, fmt.Errorf("strategy %q: needs Factors", name))
		}
		tag := e.identity.strategyTag(name)
		if other := e.strategiesByTag[tag]; other != nil {
			problems = append(problems, fmt.Errorf("strategy %q: its tag under this identity key is that of %q", name, other.Name()))
		}
		e.strategies[name], e.strategiesByTag[tag] = s, s
	}
	return problems
}

func isOutbox(s Store) bool { _, ok := s.(Outbox); return ok }

func (e *Engine) tries(props StrategyProperties) int {
	if props.Tries > 0 {
		return props.Tries
	}
	return e.cfg.Tries
}

// App returns the id of the app.
func (e *Engine) App() string { return e.cfg.App }

// Name returns the app's name for people.
func (e *Engine) Name() string { return e.cfg.Name }

func stringSet(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}
