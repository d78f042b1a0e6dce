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

// A Limiter applies rules to the buckets of one app. It is a watchword.Limiter and a watchword.Pinger, safe for
// concurrent use.
type Limiter struct {
	store   Store
	app     string
	group   string
	gate    probe.Gate
	rulesBy map[string][]compiledRule
	pool    sync.Pool // of *[]Charge
}

// compiledRule is a rule and what its charges have in common.
type compiledRule struct {
	Rule
	space string
	rate  limiter.Rate
}

var (
	_ watchword.Refunder = (*Limiter)(nil)
	_ watchword.Pinger   = (*Limiter)(nil)
)

// New makes the limiter of an app over a store that others may use too: apps share nothing but what rules by ByAll
// count. The error says everything that is wrong with the rules and the app's id.
//
// Take is atomic over all its windows, so they form one group of the store, which on a Redis Cluster is one hash slot:
// the app's own, or, when one of the rules counts by ByAll, the one slot of all apps that have such a rule. Give a
// Cluster with many busy apps no rule by ByAll.
func New(store Store, rules []Rule, app string) (*Limiter, error) {
	if err := errors.Join(checkAppID(app), Validate(rules)); err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	}
	l := &Limiter{store: store, app: app, group: app, rulesBy: make(map[string][]compiledRule, len(byValues))}
	for _, r := range rules {
		owner := app
		if r.By == ByAll {
			owner, l.group = "", "" // no app is called that
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

// checkAppID refuses ids that could be mistaken for another part of a key, or move a key to another slot of a Cluster.
func checkAppID(app string) error {
	if app == "" || len(app) > 100 || strings.ContainsAny(app, ":{}") {
		return errors.New("the app's id must be 1 to 100 octets without colons and braces")
	}
	return nil
}

// Take spends one token from every window that a rule keeps for one of the buckets, or none from any: then the error is
// a *watchword.LimitError with the rule that makes one wait longest. A bucket that no rule counts costs nothing; a window
// that several of the buckets fall into pays for each of them. Any other error is the store's.
func (l *Limiter) Take(ctx context.Context, buckets ...watchword.Bucket) error {
	return l.TakeNamed(ctx, "", buckets...)
}

// TakeNamed implements watchword.Refunder.
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

// Refund implements watchword.Refunder.
func (l *Limiter) Refund(ctx context.Context, name string, buckets ...watchword.Bucket) error {
	buffer, charges := l.chargesFor(buckets)
	defer l.release(buffer)
	if name == "" || len(charges) == 0 {
		return nil
	}
	return l.store.Refund(ctx, l.group, name, charges)
}

// chargesFor is what buckets cost, in a buffer that must be released.
func (l *Limiter) chargesFor(buckets []watchword.Bucket) (buffer *[]Charge, charges []Charge) {
	buffer = l.pool.Get().(*[]Charge)
	charges = (*buffer)[:0]
	for i := range buckets {
		charges = l.appendCharges(charges, &buckets[i])
	}
	*buffer = charges
	return buffer, charges
}

// appendCharges adds what one bucket costs.
func (l *Limiter) appendCharges(charges []Charge, b *watchword.Bucket) []Charge {
	rules := l.rulesBy[b.By]
	key := b.Key
	if b.By == ByAll {
		key = "" // apps have keys of their own for it, but it is one bucket
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

// ruleName is the name in a space.
func (l *Limiter) ruleName(space string) string {
	_, name, _ := strings.Cut(space, ":")
	return name
}

// release returns a buffer without the keys it held.
func (l *Limiter) release(buffer *[]Charge) {
	clear(*buffer)
	l.pool.Put(buffer)
}

// Ping takes and gives back a token of a window of its own in the place where the app's windows are, as starts do, at most
// once a second; in between the last result holds.
func (l *Limiter) Ping(ctx context.Context) error { return l.gate.Run(ctx, l.ping) }

func (l *Limiter) ping(ctx context.Context) error {
	name := "readiness " + rand.Text()
	charges := []Charge{{Space: l.app + ":=readiness", Rate: limiter.Rate{Period: time.Second, Limit: MaxLimit}, Cost: 1}} // no rule's name has an =
	if _, err := l.store.TakeAll(ctx, l.group, name, charges); err != nil {
		return err
	}
	return l.store.Refund(ctx, l.group, name, charges)
}
