package ratelimit

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// maxBucketsPerGeneration is the largest number of buckets in each of the two generations of a rule.
const maxBucketsPerGeneration = 1 << 15

// A ThrottleConfig configures a Throttle. The zero value of each field selects its default.
type ThrottleConfig struct {
	Now func() time.Time // nil: time.Now
}

// A Throttle limits the rate of events of one app, in the memory of the process. It cannot fail. It implements watchword.Throttle but
// not watchword.Limiter, because it may drop what it has counted: use it to reduce load, not to limit guesses or sends.
//
// A bucket allows a burst of Limit events, and one more event in each interval of Window / Limit (the generic cell rate algorithm,
// ITU-T I.371). So in any period as long as Window it allows fewer than twice Limit events, and Limit on average. A bucket is one
// number. It is dropped when all its tokens are available again, after Window at the latest. A rule keeps at most 65,536 buckets, of
// about 35 bytes each; when there are more, the least recently used ones are dropped. So a Throttle with DefaultCheckRules takes
// at most 6 MB, and a million buckets of many apps take about 35 MB.
//
// A Throttle is safe for concurrent use.
type Throttle struct {
	now   func() time.Time
	start time.Time // times are relative to it, so that they use the clock's monotonic reading if there is one
	seed  maphash.Seed

	mu      sync.Mutex
	rulesBy map[string][]*throttledRule
	found   []throttleEntry // reused by Allow
}

var _ watchword.Throttle = (*Throttle)(nil)

// NewThrottle returns the throttle of one app. The error lists every problem of the rules. No rule may count by ByAll, because a
// Throttle belongs to one app.
func NewThrottle(rules []Rule, c ThrottleConfig) (*Throttle, error) {
	errAll := error(nil)
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.By == ByAll }) {
		errAll = fmt.Errorf("a throttle belongs to one app, so its rules must not count by %q", ByAll)
	}
	if err := errors.Join(Validate(rules), errAll); err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	t := &Throttle{now: c.Now, start: c.Now(), seed: maphash.MakeSeed(), rulesBy: map[string][]*throttledRule{}}
	for _, r := range rules {
		r.Channels = slices.Clone(r.Channels)
		t.rulesBy[r.By] = append(t.rulesBy[r.By], &throttledRule{Rule: r, current: map[uint64]int64{}})
	}
	return t, nil
}

// Allow implements watchword.Throttle.
func (t *Throttle) Allow(buckets ...watchword.Bucket) *watchword.LimitError {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := int64(t.now().Sub(t.start))
	t.found = t.found[:0]
	var refused *watchword.LimitError
	for i := range buckets {
		for _, rule := range t.rulesBy[buckets[i].By] {
			if !rule.matches(buckets[i].Channel) {
				continue
			}
			c := rule.lookup(now, maphash.String(t.seed, buckets[i].Key))
			if wait := time.Duration(c.fullAt - now - rule.burst()); wait > 0 && (refused == nil || wait > refused.RetryAfter) {
				refused = &watchword.LimitError{Rule: rule.Name, RetryAfter: wait}
			}
			t.found = append(t.found, c)
		}
	}
	if refused == nil {
		for _, c := range t.found {
			c.rule.store(now, c)
		}
	}
	return refused
}

// A throttledRule is a rule with its buckets, in two generations. When the current generation is full, or as old as burst, it
// replaces the previous one.
type throttledRule struct {
	Rule
	current, previous map[uint64]int64 // hash of the bucket's key to the time at which all its tokens are available, in nanoseconds
	since             int64            // start of the current generation
}

// A throttleEntry is a bucket of a rule after the event.
type throttleEntry struct {
	rule   *throttledRule
	key    uint64
	fullAt int64 // time at which all tokens are available again
}

// interval returns the nanoseconds until one token becomes available.
func (r *throttledRule) interval() int64 { return max(int64(r.Window)/int64(r.Limit), 1) }

// burst returns the nanoseconds until all tokens of an empty bucket are available.
func (r *throttledRule) burst() int64 { return r.interval() * int64(r.Limit) }

// lookup returns a bucket after another event, without storing it.
func (r *throttledRule) lookup(now int64, key uint64) throttleEntry {
	fullAt, known := r.current[key]
	if !known {
		fullAt = r.previous[key]
	}
	return throttleEntry{r, key, max(fullAt, now) + r.interval()}
}

// store stores a bucket. The previous generation can be dropped after burst, because all its buckets are full again.
func (r *throttledRule) store(now int64, c throttleEntry) {
	_, known := r.current[c.key]
	if !known && len(r.current) >= maxBucketsPerGeneration || now-r.since >= r.burst() {
		r.previous, r.current, r.since = r.current, map[uint64]int64{}, now
	}
	r.current[c.key] = c.fullAt
}
