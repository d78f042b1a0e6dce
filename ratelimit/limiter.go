package ratelimit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ulule/limiter/v3"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
)

// A Limiter applies rules to the buckets of one app. It implements watchword.Refunder and watchword.Pinger. It is safe for
// concurrent use.
type Limiter struct {
	store   Store
	app     string
	group   string
	gate    probe.Gate
	rulesBy map[string][]compiledRule
	pool    sync.Pool // of *[]Charge
}

// A compiledRule is a rule with the parts that its charges have in common.
type compiledRule struct {
	Rule
	space string
	rate  limiter.Rate
}

var (
	_ watchword.Refunder = (*Limiter)(nil)
	_ watchword.Pinger   = (*Limiter)(nil)
)

// New returns the limiter of an app. Several limiters may use the same store: apps share only the windows of rules by ByAll. The
// error lists every problem of the rules and the app's id.
//
// Take is atomic over all its windows, so they belong to one group of the store, which is one hash slot of a Redis Cluster. The
// slot is the app's own unless one of the rules counts by ByAll; all apps with such a rule share one slot. Do not use ByAll on
// a Cluster with many busy apps.
func New(store Store, rules []Rule, app string) (*Limiter, error) {
	if err := errors.Join(checkAppID(app), Validate(rules)); err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	}
	l := &Limiter{store: store, app: app, group: app, rulesBy: make(map[string][]compiledRule, len(byValues))}
	for _, r := range rules {
		owner := app
		if r.By == ByAll {
			owner, l.group = "", "" // no app has an empty id
		}
		r.Channels = slices.Clone(r.Channels)
		l.rulesBy[r.By] = append(l.rulesBy[r.By], compiledRule{
			Rule:  r,
			space: owner + ":" + r.Name,
			rate:  limiter.Rate{Period: r.Window, Limit: int64(r.Limit)},
		})
	}
	l.pool.New = func() any { return new([]Charge) }
	return l, nil
}

// checkAppID rejects ids that would make keys ambiguous or move them to another slot of a Cluster.
func checkAppID(app string) error {
	if app == "" || len(app) > 100 || strings.ContainsAny(app, ":{}") {
		return errors.New("the app's id must be 1 to 100 octets without colons and braces")
	}
	return nil
}

// Take spends one token from the window of each bucket and each rule that counts by it, or none from any. If a window is full the
// error is a *watchword.LimitError with the rule of the longest delay. A bucket that no rule counts by costs nothing. If several
// buckets have the same window, each costs a token. Other errors are those of the store.
func (l *Limiter) Take(ctx context.Context, buckets ...watchword.Bucket) error {
	return l.TakeNamed(ctx, "", buckets...)
}

// TakeNamed is Take with a name for Refund. It implements watchword.Refunder.
func (l *Limiter) TakeNamed(ctx context.Context, name string, buckets ...watchword.Bucket) error {
	buffer, charges := l.chargesFor(buckets)
	defer l.release(buffer)
	if len(charges) == 0 {
		return nil
	}
	refusal, err := l.store.TakeAll(ctx, l.group, name, charges)
	if err != nil || refusal == nil {
		return err
	}
	return &watchword.LimitError{Rule: l.ruleName(charges[refusal.Charge].Space), RetryAfter: refusal.RetryAfter}
}

// Refund returns the tokens that TakeNamed spent under a name. It implements watchword.Refunder.
func (l *Limiter) Refund(ctx context.Context, name string, buckets ...watchword.Bucket) error {
	buffer, charges := l.chargesFor(buckets)
	defer l.release(buffer)
	if name == "" || len(charges) == 0 {
		return nil
	}
	return l.store.Refund(ctx, l.group, name, charges)
}

// chargesFor returns the charges of the buckets, in a buffer that the caller must release.
func (l *Limiter) chargesFor(buckets []watchword.Bucket) (buffer *[]Charge, charges []Charge) {
	buffer = l.pool.Get().(*[]Charge)
	charges = (*buffer)[:0]
	for i := range buckets {
		charges = l.appendCharges(charges, &buckets[i])
	}
	*buffer = charges
	return buffer, charges
}

// appendCharges appends the charges of one bucket.
func (l *Limiter) appendCharges(charges []Charge, b *watchword.Bucket) []Charge {
	rules := l.rulesBy[b.By]
	key := b.Key
	if b.By == ByAll {
		key = "" // the bucket's key differs between apps, but all apps share the window
		if b.Known {
			key = "known"
		}
	}
	for i := range rules {
		r := &rules[i]
		if !r.matches(b.Channel) {
			continue
		}
		if n := indexOf(charges, r.space, key); n >= 0 {
			charges[n].Cost++
			continue
		}
		charges = append(charges, Charge{Space: r.space, Key: key, Rate: r.rate, Cost: 1})
	}
	return charges
}

func indexOf(charges []Charge, space, key string) int {
	for i := range charges {
		if charges[i].Key == key && charges[i].Space == space {
			return i
		}
	}
	return -1
}

// ruleName returns the name of a space's rule.
func (l *Limiter) ruleName(space string) string {
	_, name, _ := strings.Cut(space, ":")
	return name
}

// release clears a buffer and returns it to the pool.
func (l *Limiter) release(buffer *[]Charge) {
	clear(*buffer)
	l.pool.Put(buffer)
}

// Ping tests the store: it spends and refunds a token of a special window in the app's group. It does so at most once a second;
// other calls return the last result.
func (l *Limiter) Ping(ctx context.Context) error { return l.gate.Run(ctx, l.ping) }

func (l *Limiter) ping(ctx context.Context) error {
	name := "readiness " + rand.Text()
	charges := []Charge{{Space: l.app + ":=readiness", Rate: limiter.Rate{Period: time.Second, Limit: MaxLimit}, Cost: 1}} // no rule's name has an =
	if _, err := l.store.TakeAll(ctx, l.group, name, charges); err != nil {
		return err
	}
	return l.store.Refund(ctx, l.group, name, charges)
}
