package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
	"github.com/watchword-auth/watchword/internal/setting"
)

// LimitPrefixBreaker is the Limit of the errors with which a PrefixBreaker refuses an address.
const LimitPrefixBreaker = "prefix_breaker"

// A PrefixBreakerConfig configures a PrefixBreaker. The zero value of each field selects its default.
type PrefixBreakerConfig struct {
	App      string   // id of the app whose challenges are counted
	Counters Counters // shared by all processes; nil: counters in the memory of this process

	Window  time.Duration // sliding window of the counts, at least a minute; zero: an hour
	Sent    int           // least number of challenges in the window before a prefix is evaluated; zero: 50
	Percent int           // least share of challenges, in percent, that must be verified; zero: 10
	Pause   time.Duration // how long a prefix is refused; zero: an hour
	Settle  time.Duration // least age of evaluated challenges, because younger ones may still be answered; at most 50 times Window; zero: 10 minutes
	Shadow  bool          // dry run: refusals are only logged

	Logger *slog.Logger
	Now    func() time.Time // the engine's clock; nil: time.Now
}

const (
	slotsPerWindow = 12
	// maxSettledWindows bounds the slots of a prefix, of which Counters on Redis expect 1,000 at most.
	maxSettledWindows = 50
	maxPending        = 20_000                 // counts kept until the next exchange; further ones are dropped
	maxBatch          = 64                     // counts in one batch: on Redis a batch is one script, for which all other commands wait
	exchangeInterval  = 800 * time.Millisecond // a decision reaches every process within two seconds
)

// A PrefixBreaker protects against SMS pumping: messages to number ranges whose owner earns a share of their price. Such a
// range receives many messages, and few of them are verified. For each watchword.Address.Prefix the PrefixBreaker counts, in a
// sliding window, the challenges that were sent and those that were approved. If too few were approved it refuses the prefix
// for some time. It wraps the address policy (WrapPolicy) and must receive the engine's events (HandleEvent). It is safe for
// concurrent use.
//
// All processes count in the same Counters, so one process may send a challenge and another verify it. Run exchanges the counts
// in the background: the policy and the event handler never do I/O, and a decision is at most two seconds old. While Counters
// are unavailable, pending counts are kept, and refused prefixes stay refused until their pause ends.
type PrefixBreaker struct {
	cfg     PrefixBreakerConfig
	slot    time.Duration
	refusal string // message of the log when a prefix is refused

	mu      sync.Mutex
	pending map[pendingKey]Count
	refused map[string]time.Time // prefix to the end of its pause

	gate probe.Gate

	exchanging   sync.Mutex // held during an exchange; guards the fields below
	batch        *Batch     // sent, but without a reply yet
	batchCreated time.Time
	watched      map[string][]Count // last counts of prefixes that may be refused when their challenges have settled
	unavailable  bool               // the last exchange failed
}

type pendingKey struct {
	prefix string
	slot   int64
}

// Ping implements watchword.Pinger: it tests the counters, if they have a Ping method. It does so at most once a second and
// otherwise returns the last result.
func (b *PrefixBreaker) Ping(ctx context.Context) error {
	counters, ok := b.cfg.Counters.(interface {
		Ping(ctx context.Context, app string) error
	})
	if !ok {
		return nil
	}
	return b.gate.Run(ctx, func(ctx context.Context) error { return counters.Ping(ctx, b.cfg.App) })
}

// NewPrefixBreaker returns a PrefixBreaker, or an error if the configuration is invalid.
func NewPrefixBreaker(cfg PrefixBreakerConfig) (*PrefixBreaker, error) {
	setDefault(&cfg.Window, time.Hour)
	setDefault(&cfg.Sent, 50)
	setDefault(&cfg.Percent, 10)
	setDefault(&cfg.Pause, time.Hour)
	setDefault(&cfg.Settle, 10*time.Minute)
	cfg.Logger, cfg.Now, _ = fillDefaults(cfg.Logger, cfg.Now, nil)
	if cfg.Counters == nil {
		cfg.Counters = NewMemoryCounters(cfg.Now)
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	return &PrefixBreaker{cfg: cfg, slot: cfg.Window / slotsPerWindow, refusal: "number prefix has too few verifications", pending: map[pendingKey]Count{}, refused: map[string]time.Time{}, watched: map[string][]Count{}}, nil
}

// check returns an error that lists every problem.
func (c *PrefixBreakerConfig) check() error {
	var problems []error
	refuse := func(bad bool, field, text string) {
		if bad {
			problems = append(problems, setting.Errorf(field, "%s", text))
		}
	}
	refuse(c.Window < time.Minute, "Window", "must be a minute or more")
	refuse(c.Sent < 1, "Sent", "must be 1 or more")
	refuse(c.Percent < 1 || c.Percent > 100, "Percent", "must be 1 to 100")
	refuse(c.Pause < time.Second, "Pause", "must be a second or more")
	refuse(c.Settle < 0, "Settle", "must not be negative")
	refuse(c.Settle > maxSettledWindows*c.Window, "Settle", fmt.Sprintf("must be at most %d times Window", maxSettledWindows))
	return errors.Join(problems...)
}

// WrapPolicy returns a policy that calls next and, for addresses that next allows, returns an ErrRateLimited while their
// prefix is refused.
func (b *PrefixBreaker) WrapPolicy(next watchword.AddressPolicy) watchword.AddressPolicy {
	return func(channel, address string) (watchword.Address, error) {
		a, err := next(channel, address)
		if err != nil || channel == "" || a.Prefix == "" || b.cfg.Shadow {
			return a, err
		}
		if left := b.refusedFor(a.Prefix); left > 0 {
			err = &watchword.Error{Code: watchword.ErrRateLimited.Code, Limit: LimitPrefixBreaker, RetryAfter: left}
		}
		return a, err
	}
}

// refusedFor returns how long a prefix is still refused; zero or less if it is not.
func (b *PrefixBreaker) refusedFor(prefix string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, refused := b.refused[prefix]
	if !refused {
		return 0
	}
	return until.Sub(b.cfg.Now())
}

// ReservedInterval returns the interval at which one start to a refused prefix should be let through, for genuine users of
// the range: a tenth of the pause. Use it for the limiter of watchword.Config.Reserved.
func (b *PrefixBreaker) ReservedInterval() time.Duration { return b.cfg.Pause / 10 }

// HandleEvent counts an event of the engine. A challenge counts as sent with the first of its messages that a provider accepts.
func (b *PrefixBreaker) HandleEvent(_ context.Context, e watchword.Event) {
	if e.Prefix == "" || e.Repeated {
		return
	}
	switch e.Type {
	case watchword.EventMessageSent, watchword.EventMessageDelivered:
		b.addPending(e, 1, 0)
	case watchword.EventApproved, watchword.EventVerificationApproved:
		b.addPending(e, 0, 1)
	}
}

// addPending adds to the pending counts, in the slot in which the challenge was created.
func (b *PrefixBreaker) addPending(e watchword.Event, sent, verified int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := pendingKey{e.Prefix, b.slotOf(e.StartedAt)}
	c, known := b.pending[key]
	if !known && len(b.pending) >= maxPending {
		return
	}
	b.pending[key] = Count{Key: key.prefix, Slot: key.slot, Sent: c.Sent + sent, Verified: c.Verified + verified}
}

// slotOf returns the number of the slot of a time.
func (b *PrefixBreaker) slotOf(t time.Time) int64 { return t.UnixNano() / int64(b.slot) }

// evaluatedSlots returns the first and the last slot of the window. The last one ended at least cfg.Settle ago.
func (b *PrefixBreaker) evaluatedSlots() (first, last int64) {
	last = b.slotOf(b.cfg.Now().Add(-b.cfg.Settle)) - 1
	return last - slotsPerWindow + 1, last
}
