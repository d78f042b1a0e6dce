package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// A PrefixBreakerConfig says when a range of numbers is refused. Zero values are usable.
type PrefixBreakerConfig struct {
	Window  time.Duration // that challenges are counted in; zero: an hour
	Sent    int           // challenges of a prefix before it is judged; zero: 50
	Percent int           // of them that must be verified; zero: 10
	Pause   time.Duration // that a prefix is refused for; zero: an hour
	Shadow  bool          // nothing is refused, only logged what would be

	Logger *slog.Logger
	Now    func() time.Time // the engine's clock; nil: time.Now
}

const (
	slots       = 12      // of a window
	openSlots   = 2       // the youngest, in which people may still be typing: not judged yet
	maxTracked  = 100_000 // challenges that are waited for; more are not counted
	maxPrefixes = 20_000  // beyond, prefixes are not counted until others have been quiet for a window
)

// A PrefixBreaker finds number ranges to which messages are sent for the money that sending them earns somebody: many
// messages, few of which anybody verifies. It counts, for each watchword.Address.Prefix in a sliding window, challenges
// sent against challenges approved, and refuses the prefix for a while when too few are. It must see all three ways:
// wrap the AddressPolicy and the Sender, and give it the engine's events. It is safe for concurrent use, and counts in
// this process only.
type PrefixBreaker struct {
	cfg  PrefixBreakerConfig
	slot time.Duration

	mu       sync.Mutex
	prefixes map[string]*prefixCount
	tracked  map[string]sentChallenge // by challenge, until it is approved or too old to be judged
	swept    int64                    // the slot in which what is old was last removed
}

type prefixCount struct {
	slots   [slots]struct{ sent, verified int }
	newest  int64 // the slot that was last counted in
	refused time.Time
}

type sentChallenge struct {
	prefix string
	slot   int64
}

// NewPrefixBreaker makes a PrefixBreaker, or says what is wrong.
func NewPrefixBreaker(cfg PrefixBreakerConfig) (*PrefixBreaker, error) {
	orDefault(&cfg.Window, time.Hour)
	orDefault(&cfg.Sent, 50)
	orDefault(&cfg.Percent, 10)
	orDefault(&cfg.Pause, time.Hour)
	cfg.Logger, cfg.Now, _ = ambient(cfg.Logger, cfg.Now, nil)
	if cfg.Window < time.Minute || cfg.Sent < 1 || cfg.Percent < 1 || cfg.Percent > 100 || cfg.Pause < 0 {
		return nil, errors.New("delivery: a prefix breaker needs a window of a minute or more, a positive number of challenges and 1 to 100 percent")
	}
	return &PrefixBreaker{cfg: cfg, slot: cfg.Window / slots, prefixes: map[string]*prefixCount{}, tracked: map[string]sentChallenge{}}, nil
}

// Policy wraps an AddressPolicy: what it allows is refused while its prefix is.
func (b *PrefixBreaker) Policy(next watchword.AddressPolicy) watchword.AddressPolicy {
	return func(channel, address string) (watchword.Address, error) {
		a, err := next(channel, address)
		if err == nil && channel != "" && a.Prefix != "" && b.refuses(a.Prefix) {
			err = refused(ReasonPrefix)
		}
		return a, err
	}
}

func (b *PrefixBreaker) refuses(prefix string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := b.prefixes[prefix]
	return count != nil && b.cfg.Now().Before(count.refused) && !b.cfg.Shadow
}

// Sender wraps a Sender: what it takes is counted, once for each challenge.
func (b *PrefixBreaker) Sender(next watchword.Sender) watchword.Sender {
	return prefixSender{b, next}
}

type prefixSender struct {
	breaker *PrefixBreaker
	next    watchword.Sender
}

func (s prefixSender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	if m.Channel == ChannelEmail {
		return s.next.Send(ctx, m)
	}
	fresh := s.breaker.track(m) // before it is sent: people can be faster than providers' answers
	sent, err := s.next.Send(ctx, m)
	if err != nil && fresh {
		s.breaker.forget(m.ChallengeID)
	}
	return sent, err
}

// track begins to wait for a challenge's answer. It reports false if the challenge was counted before, or cannot be.
func (b *PrefixBreaker) track(m watchword.Message) bool {
	number, err := parseNumber(m.To, "")
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.sweep(now)
	_, known := b.tracked[m.ChallengeID]
	count := b.prefixes[number.Prefix]
	if known || len(b.tracked) >= maxTracked || count == nil && len(b.prefixes) >= maxPrefixes {
		return false
	}
	if count == nil {
		count = &prefixCount{newest: now}
		b.prefixes[number.Prefix] = count
	}
	b.tracked[m.ChallengeID] = sentChallenge{number.Prefix, now}
	count.moveTo(now)
	count.slots[now%slots].sent++
	b.judge(number.Prefix, count, now)
	return true
}

// Event takes the engine's events; approvals are what it counts.
func (b *PrefixBreaker) Event(_ context.Context, e watchword.Event) {
	if e.Type != watchword.EventApproved {
		return
	}
	b.settle(e.ChallengeID, func(count *prefixCount, slot int64) { count.slots[slot%slots].verified++ })
}

// forget takes back what was not sent after all.
func (b *PrefixBreaker) forget(challenge string) {
	b.settle(challenge, func(count *prefixCount, slot int64) { count.slots[slot%slots].sent-- })
}

// settle ends the waiting for a challenge, and counts in the slot in which it was sent.
func (b *PrefixBreaker) settle(challenge string, change func(count *prefixCount, slot int64)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent, known := b.tracked[challenge]
	delete(b.tracked, challenge)
	if count := b.prefixes[sent.prefix]; known && count != nil {
		count.moveTo(b.now())
		if sent.slot > count.newest-slots && count.slots[sent.slot%slots].sent > 0 {
			change(count, sent.slot)
		}
	}
}

// judge refuses the prefix if too few of those who had time to answer did. Its count then begins anew.
func (b *PrefixBreaker) judge(prefix string, count *prefixCount, now int64) {
	sent, verified := 0, 0
	for slot := now - slots + 1; slot <= now-openSlots; slot++ {
		sent, verified = sent+count.slots[slot%slots].sent, verified+count.slots[slot%slots].verified
	}
	if sent < b.cfg.Sent || verified*100 >= sent*b.cfg.Percent {
		return
	}
	*count = prefixCount{newest: now, refused: b.cfg.Now().Add(b.cfg.Pause)}
	b.cfg.Logger.Warn("number prefix is sent to, but hardly verified", "prefix", prefix, "sent", sent, "verified", verified, "shadow", b.cfg.Shadow)
}

// now is the number of the present slot.
func (b *PrefixBreaker) now() int64 { return b.cfg.Now().UnixNano() / int64(b.slot) }

// moveTo empties the slots that are used again.
func (c *prefixCount) moveTo(now int64) {
	for slot := max(c.newest+1, now-slots+1); slot <= now; slot++ {
		c.slots[slot%slots] = struct{ sent, verified int }{}
	}
	c.newest = max(c.newest, now)
}

// sweep removes, once in each slot, what can change nothing any more.
func (b *PrefixBreaker) sweep(now int64) {
	if b.swept == now {
		return
	}
	b.swept = now
	for id, sent := range b.tracked {
		if sent.slot <= now-slots {
			delete(b.tracked, id)
		}
	}
	for prefix, count := range b.prefixes {
		if count.newest <= now-slots && !b.cfg.Now().Before(count.refused) {
			delete(b.prefixes, prefix)
		}
	}
}
