package watchword

import (
	"context"
	"errors"
	"net/netip"
)

// A Bucket is one value that limits count by. A limiter applies every rule whose By and channel match.
type Bucket struct {
	By      string // address, subject, ip, visitor (ip of a start without subject and message), prefix, country, app or all
	Key     string // keyed digest of the value; does not change when keys rotate
	Channel string // of the message; empty if nothing is sent
	Known   bool   // of a trusted device; it is counted apart from other devices
}

// limitCharges are the charges of one start or resend, so that they can be refunded.
type limitCharges []limitCharge

// A limitCharge is what one limiter was charged under a name.
type limitCharge struct {
	refunder Refunder
	name     string
	buckets  []Bucket
}

// chargeStart charges the shared limits for one start or resend. The keys are digests under the identity key. A trusted
// device has counts of its own, so that strangers cannot use up its sends.
func (e *Engine) chargeStart(ctx context.Context, props StrategyProperties, req StartRequest, to Address) (limitCharges, error) {
	var buckets []Bucket
	if e.cfg.Starts != nil {
		buckets = e.startBuckets(props, req, to)
	}
	charges, err := e.charge(ctx, e.cfg.Starts, buckets...)
	if err != nil || to.refusal == nil || req.Client.Known {
		return charges, err
	}
	reserved, err := e.chargeReserved(ctx, req.Channel, to)
	if err != nil {
		e.refundStart(ctx, charges)
		return nil, err
	}
	return append(charges, reserved...), nil
}

// chargeReserved charges Config.Reserved, the few starts that unknown devices have to an address that the policy refuses for
// a while.
func (e *Engine) chargeReserved(ctx context.Context, channel string, to Address) (limitCharges, error) {
	if e.cfg.Reserved == nil {
		return nil, e.limitError(ctx, &LimitError{Rule: to.refusal.Limit, RetryAfter: to.refusal.RetryAfter})
	}
	charges, err := e.charge(ctx, e.cfg.Reserved, Bucket{By: "prefix", Key: e.bucketKey("prefix", to.Prefix), Channel: channel})
	var refused *Error
	if errors.As(err, &refused) && refused.RetryAfter > to.refusal.RetryAfter {
		refused.RetryAfter = to.refusal.RetryAfter // the refusal ends earlier
	}
	return charges, err
}

// charge charges a limiter, under a name if the limiter is a Refunder.
func (e *Engine) charge(ctx context.Context, limiter Limiter, buckets ...Bucket) (limitCharges, error) {
	if limiter == nil {
		return nil, nil
	}
	refunder, ok := limiter.(Refunder)
	if !ok {
		return nil, e.limitError(ctx, limiter.Take(ctx, buckets...))
	}
	name, err := e.random(randomSize)
	if err != nil {
		return nil, err
	}
	charges := limitCharges{{refunder, b64.EncodeToString(name), buckets}}
	if err = e.limitError(ctx, refunder.TakeNamed(ctx, charges[0].name, buckets...)); err == nil {
		return charges, nil
	}
	if errors.Is(err, ErrUnavailable) { // the reply may be lost and the charge made
		e.refundStart(ctx, charges)
	}
	return nil, err
}

// refundStart refunds the charges of a start or resend that failed. It works in the background.
func (e *Engine) refundStart(ctx context.Context, charges limitCharges) {
	for _, c := range charges {
		e.background.RunUntilDone(ctx, func(ctx context.Context) error { return c.refunder.Refund(ctx, c.name, c.buckets...) })
	}
}

func (e *Engine) startBuckets(props StrategyProperties, req StartRequest, to Address) []Bucket {
	channel := ""
	if props.SendsMessages {
		channel = req.Channel
	}
	buckets := make([]Bucket, 0, 7)
	known := ""
	if req.Client.Known {
		known = "known"
	}
	add := func(by, value string) {
		if value != "" {
			buckets = append(buckets, Bucket{By: by, Key: e.bucketKey(by, value, known), Channel: channel, Known: req.Client.Known})
		}
	}
	add("address", to.key())
	add("subject", req.Subject)
	add(clientLimit(props, req), clientNetwork(req.Client.IP))
	add("prefix", to.Prefix)
	add("country", to.Country)
	add("app", e.cfg.App)
	add("all", "all")
	return buckets
}

// clientLimit returns the bucket of a client. A page that offers passkeys in its form starts a challenge with each view; such
// views have a bucket of their own, so that they do not use up the starts of everybody behind one IP address.
func clientLimit(props StrategyProperties, req StartRequest) string {
	if !props.SendsMessages && req.Subject == "" {
		return "visitor"
	}
	return "ip"
}

// chargeCheck charges the throttle of this process for one check.
func (e *Engine) chargeCheck(ctx context.Context, client Client) error {
	if e.cfg.Checks == nil {
		return nil
	}
	buckets := []Bucket{{By: "app", Key: e.cfg.App}}
	if network := clientNetwork(client.IP); network != "" {
		buckets = append(buckets, Bucket{By: "ip", Key: network})
	}
	if refused := e.cfg.Checks.Allow(buckets...); refused != nil {
		return e.limitError(ctx, refused)
	}
	return nil
}

func (e *Engine) budget(id challengeID) Budget {
	props := id.strategy.Properties()
	if props.Group == GroupNone || e.cfg.NoBudget {
		return Budget{}
	}
	return Budget{Key: id.budgetKey(), Limits: e.cfg.Budget, FirstFree: props.Group == GroupAddress || props.unguessable()}
}

// attemptBudget returns the budget of an attempt, with what is queued if the attempt ends the challenge.
func (e *Engine) attemptBudget(id challengeID) Budget {
	b := e.budget(id)
	b.Ended = e.endOutgoing(id)
	return b
}

// unguessable reports whether a limit on guesses protects nothing: a million guesses a second for a year succeed with a
// chance of less than 1 in 1,000.
func (props StrategyProperties) unguessable() bool {
	return props.AnswerSpace > 0 && float64(max(props.RightAnswers, 1))/props.AnswerSpace < 1e-17
}

func (e *Engine) limitError(ctx context.Context, err error) error {
	var refused *LimitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		e.emit(ctx, EventLimitReached, nil, func(ev *Event) { ev.Limit = refused.Rule })
		return &Error{Code: ErrRateLimited.Code, Limit: refused.Rule, RetryAfter: refused.RetryAfter}
	}
	return unavailable(err)
}

func (e *Engine) bucketKey(parts ...string) string {
	sum := e.identity.buckets.sum(parts...)
	return b64.EncodeToString(sum[:12])
}

// clientNetwork returns the network that a client's IP address is counted as: an IPv6 host owns its /64.
func clientNetwork(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	network, _ := a.Prefix(64)
	return network.Masked().String()
}

// key returns the key that an address is counted by. Spellings that reach the same person share one budget, but each is
// verified separately.
func (a *Address) key() string {
	if a.Key != "" {
		return a.Key
	}
	return a.Value
}
