package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// LimitPrefixBreaker is the name of the limit that a PrefixBreaker refuses by.
const LimitPrefixBreaker = "prefix_breaker"

// A PrefixBreakerConfig says when a range of numbers is refused. Zero values are usable.
type PrefixBreakerConfig struct {
	App      string   // whose challenges are counted
	Counters Counters // where all processes count; nil: in the memory of this one

	Window  time.Duration // that challenges are counted in; zero: an hour
	Sent    int           // challenges of a prefix before it is evaluated; zero: 50
	Percent int           // of them that must be verified; zero: 10
	Pause   time.Duration // that a prefix is refused for; zero: an hour
	Settle  time.Duration // the age at which challenges are evaluated: those that are younger may still be answered; zero: 10 minutes
	Shadow  bool          // a dry run: nothing is refused, the log says what would be

	Logger *slog.Logger
	Now    func() time.Time // the engine's clock; nil: time.Now
}

const (
	slotsPerWindow   = 12                     // of a window
	maxPending       = 20_000                 // counts that wait to be exchanged; more are dropped
	maxBatch         = 500                    // of them are exchanged at a time
	exchangeInterval = 800 * time.Millisecond // between two exchanges, so that a decision reaches every process within two seconds
)

// A PrefixBreaker finds number ranges to which messages are sent for the money that sending them earns somebody: many
// messages, few of which anybody verifies. It counts, for each watchword.Address.Prefix in a sliding window, challenges
// sent against challenges approved, and refuses the prefix for a while when too few are. It wraps the AddressPolicy, and must
// be given the engine's events. It is safe for concurrent use.
//
// All processes count in the same Counters, so it does not matter which of them sends and which verifies. Run exchanges, in
// the background, what was counted here for what all have counted: neither the policy nor an event waits for anything, and a
// decision is at most two seconds old. While Counters are unavailable, prefixes stay refused until their time is over, and
// counts wait.
type PrefixBreaker struct {
	cfg  PrefixBreakerConfig
	slot time.Duration

	mu      sync.Mutex
	pending map[pendingKey]Count
	refused map[string]time.Time // by prefix: until when

	exchanging  sync.Mutex // one exchange at a time; what follows is its own
	batch       *Batch     // that was not answered yet
	batchSince  time.Time
	watched     map[string][]Count // of prefixes that may have to be refused as they get older
	unavailable bool
}

type pendingKey struct {
	prefix string
	slot   int64
}

// NewPrefixBreaker makes a PrefixBreaker, or says what is wrong.
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
	if cfg.Window < time.Minute || cfg.Sent < 1 || cfg.Percent < 1 || cfg.Percent > 100 || cfg.Pause < time.Second || cfg.Settle < 0 {
		return nil, errors.New("delivery: a prefix breaker needs a window of a minute or more, a positive number of challenges, 1 to 100 percent and a pause of a second or more")
	}
	return &PrefixBreaker{cfg: cfg, slot: cfg.Window / slotsPerWindow, pending: map[pendingKey]Count{}, refused: map[string]time.Time{}, watched: map[string][]Count{}}, nil
}

// WrapPolicy wraps an AddressPolicy: what it allows is refused, as rate_limited, while its prefix is.
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

// refusedFor is how long a prefix is still refused.
func (b *PrefixBreaker) refusedFor(prefix string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, refused := b.refused[prefix]
	if !refused {
		return 0
	}
	return until.Sub(b.cfg.Now())
}

// ReservedInterval is how often one start to a refused prefix should be let in, for people who are none of those that are fought: ten
// times in a pause. It is what a limiter for watchword.Config.Reserved allows.
func (b *PrefixBreaker) ReservedInterval() time.Duration { return b.cfg.Pause / 10 }

// HandleEvent takes the engine's events. A challenge counts as sent with the first of its messages that a provider took.
func (b *PrefixBreaker) HandleEvent(_ context.Context, e watchword.Event) {
	if e.Prefix == "" || e.Repeated {
		return
	}
	switch e.Type {
	case watchword.EventMessageSent, watchword.EventMessageDelivered:
		b.addPending(e, 1, 0)
	case watchword.EventApproved:
		b.addPending(e, 0, 1)
	}
}

// addPending adds to what the next exchange takes along. Both are counted where the challenge was created.
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

// slotOf is the number of the slot that a time is in.
func (b *PrefixBreaker) slotOf(t time.Time) int64 { return t.UnixNano() / int64(b.slot) }

// evaluatedSlots are the first and the last slot of the window: the last one is over since the time that challenges need to
// settle.
func (b *PrefixBreaker) evaluatedSlots() (first, last int64) {
	last = b.slotOf(b.cfg.Now().Add(-b.cfg.Settle)) - 1
	return last - slotsPerWindow + 1, last
}
