package watchword

import (
	"context"
	"errors"
	"net/netip"
)

// A startCharge is what shared limits were charged with for one start or resend, so that it can be given back.
type startCharge []charge

// A charge is what one limiter took under a name.
type charge struct {
	by      Refunder
	name    string
	buckets []Bucket
}

// chargeStart asks the shared limits for one start or resend. Keys are digests under the identity key, and a device that
// the app knows is counted apart from strangers, so that they cannot use up its sends.
func (e *Engine) chargeStart(ctx context.Context, t StrategyProperties, req StartRequest, to Address) (startCharge, error) {
	took, err := e.take(ctx, e.cfg.Starts, e.startBuckets(t, req, to)...)
	if err != nil || to.refusal == nil || req.Client.Known {
		return took, err
	}
	reserved, err := e.takeReserved(ctx, req.Channel, to)
	if err != nil {
		e.refundStart(ctx, took)
		return nil, err
	}
	return append(took, reserved...), nil
}

// takeReserved asks for one of the few starts that strangers have to an address that is refused for a while.
func (e *Engine) takeReserved(ctx context.Context, channel string, to Address) (startCharge, error) {
	if e.cfg.Reserved == nil {
		return nil, e.limitError(ctx, &LimitError{Rule: to.refusal.Limit, RetryAfter: to.refusal.RetryAfter})
	}
	took, err := e.take(ctx, e.cfg.Reserved, Bucket{By: "prefix", Key: e.bucketKey("prefix", to.Prefix), Channel: channel})
	var refused *Error
	if errors.As(err, &refused) && refused.RetryAfter > to.refusal.RetryAfter {
		refused.RetryAfter = to.refusal.RetryAfter // the refusal ends earlier than that
	}
	return took, err
}

// take spends from a limiter, in a way that can be given back where the limiter knows how.
func (e *Engine) take(ctx context.Context, from Limiter, buckets ...Bucket) (startCharge, error) {
	if from == nil {
		return nil, nil
	}
	refunder, ok := from.(Refunder)
	if !ok {
		return nil, e.limitError(ctx, from.Take(ctx, buckets...))
	}
	name, err := e.random(randomSize)
	if err != nil {
		return nil, err
	}
	took := startCharge{{refunder, b64.EncodeToString(name), buckets}}
	if err = e.limitError(ctx, refunder.TakeNamed(ctx, took[0].name, buckets...)); err == nil {
		return took, nil
	}
	if errors.Is(err, ErrUnavailable) { // a lost reply: it may have been charged
		e.refundStart(ctx, took)
	}
	return nil, err
}

// refundStart takes the charges of a start or resend back that did not come about. No answer waits for it.
func (e *Engine) refundStart(ctx context.Context, took startCharge) {
	for _, c := range took {
		e.background.RunUntilDone(ctx, func(ctx context.Context) error { return c.by.Refund(ctx, c.name, c.buckets...) })
	}
}

func (e *Engine) startBuckets(t StrategyProperties, req StartRequest, to Address) []Bucket {
	channel := ""
	if t.Sends {
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
	add(clientLimit(t, req), clientNetwork(req.Client.IP))
	add("prefix", to.Prefix)
	add("country", to.Country)
	add("app", e.cfg.App)
	add("all", "all")
	return buckets
}

// clientLimit says what a client is counted as. A page that offers passkeys in its form starts a challenge with each view;
// those who only look do not use up the starts of everybody behind their address.
func clientLimit(t StrategyProperties, req StartRequest) string {
	if !t.Sends && req.Subject == "" {
		return "visitor"
	}
	return "ip"
}

// chargeCheck asks this process's own throttle for one check.
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

// clientNetwork is what a client's address counts as: an IPv6 host owns its /64.
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

// key is what an address counts as. Spellings that reach the same person share one budget, though each is proven by
// itself.
func (a *Address) key() string {
	if a.Key != "" {
		return a.Key
	}
	return a.Value
}
