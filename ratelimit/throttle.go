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

// maxBucketsPerGeneration is how many buckets a rule of a Throttle counts in each of two generations.
const maxBucketsPerGeneration = 1 << 15

// A ThrottleConfig says how a Throttle works. The zero value is fine.
type ThrottleConfig struct {
	Now func() time.Time // the clock; nil: time.Now
}

// A Throttle keeps noise away from what lies behind it: it counts in the process, cannot fail, and belongs to one app. It is
// a watchword.Throttle and no watchword.Limiter, because it may forget: nothing that protects a guess or a send rests on it.
//
// A bucket allows a rule's Limit events at once, and one more each time that Window / Limit has passed (the generic cell rate
// algorithm, ITU-T I.371): in any stretch as long as Window fewer than twice Limit, and Limit on the average. A bucket is one
// number, which is forgotten when it says nothing any more, after Window at the latest. Where a rule sees more buckets than
// it may keep, those that were not used for longest are forgotten sooner: at most 65,536 of a rule are kept, at about 35 bytes
// each, so a Throttle with DefaultCheckRules never takes more than 6 MB, and a million buckets of many apps take about 35 MB.
//
// It is safe for concurrent use.
type Throttle struct {
	now   func() time.Time
	start time.Time // times are counted from here, so that the clock's monotonic reading is used where it has one
	seed  maphash.Seed

	mu      sync.Mutex
	rulesBy map[string][]*throttledRule
	found   []throttleEntry // scratch of Allow
}

var _ watchword.Throttle = (*Throttle)(nil)

// NewThrottle makes the throttle of one app. The error says everything that is wrong with the rules; none may count by
// ByAll, since a Throttle knows one app only.
func NewThrottle(rules []Rule, c ThrottleConfig) (*Throttle, error) {
	errAll := error(nil)
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.By == ByAll }) {
		errAll = fmt.Errorf("a throttle belongs to one app, so no rule of it counts by %q", ByAll)
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

// A throttledRule rule and what it counts: for the digest of each bucket when all of its tokens will be back, in nanoseconds. Of
// two generations the older one is forgotten when the younger is full, or as old as a bucket can be.
type throttledRule struct {
	Rule
	current, previous map[uint64]int64
	since             int64 // when the younger generation did
}

// A throttleEntry is one bucket of a rule as it will be when the event is counted.
type throttleEntry struct {
	rule   *throttledRule
	key    uint64
	fullAt int64 // when all tokens will be back
}

// interval is how long it takes until one token comes back.
func (r *throttledRule) interval() int64 { return max(int64(r.Window)/int64(r.Limit), 1) }

// burst is how long it takes until all tokens come back.
func (r *throttledRule) burst() int64 { return r.interval() * int64(r.Limit) }

func (r *throttledRule) lookup(now int64, key uint64) throttleEntry {
	full, known := r.current[key]
	if !known {
		full = r.previous[key]
	}
	return throttleEntry{r, key, max(full, now) + r.interval()}
}

// store counts the event. A generation that is as old as burst holds, once it is the older one for as long, nothing that counts.
func (r *throttledRule) store(now int64, c throttleEntry) {
	_, recent := r.current[c.key]
	if !recent && len(r.current) >= maxBucketsPerGeneration || now-r.since >= r.burst() {
		r.previous, r.current, r.since = r.current, map[uint64]int64{}, now
	}
	r.current[c.key] = c.fullAt
}
