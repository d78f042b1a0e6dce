package watchword

import (
	"context"
	"errors"
	"net/netip"
)

// A taken is what the shared limits were charged with for one start or resend, so that it can be given back.
type taken struct {
	name    string
	buckets []Bucket
}

// takeStart asks the shared limits for one start or resend. Keys are digests under the identity key, and a device that
// the app knows is counted apart from strangers, so that they cannot use up its sends.
func (e *Engine) takeStart(ctx context.Context, t Traits, req StartRequest, to Address) (taken, error) {
	if e.cfg.Starts == nil {
		return taken{}, nil
	}
	took := taken{buckets: e.startBuckets(t, req, to)}
	refunder, ok := e.cfg.Starts.(Refunder)
	if !ok {
		return taken{}, e.limited(ctx, e.cfg.Starts.Take(ctx, took.buckets...))
	}
	name, err := e.random(randomSize)
	if err != nil {
		return taken{}, err
	}
	took.name = b64.EncodeToString(name)
	err = e.limited(ctx, refunder.TakeNamed(ctx, took.name, took.buckets...))
	if errors.Is(err, ErrUnavailable) { // a lost reply: it may have been charged
		e.giveBack(ctx, took)
	}
	return took, err
}

// giveBack takes the charge of a start or resend back that did not come about. No answer waits for it.
func (e *Engine) giveBack(ctx context.Context, took taken) {
	if took.name == "" {
		return
	}
	refunder := e.cfg.Starts.(Refunder)
	e.background.retry(ctx, func(ctx context.Context) error {
		return refunder.Refund(ctx, took.name, took.buckets...)
	})
}

func (e *Engine) startBuckets(t Traits, req StartRequest, to Address) []Bucket {
	channel := ""
	if t.Sends {
		channel = req.Channel
	}
	buckets := make([]Bucket, 0, 7)
	add := func(by, value, known string) {
		if value != "" {
			buckets = append(buckets, Bucket{By: by, Key: e.bucketKey(by, value, known), Channel: channel})
		}
	}
	known := ""
	if req.Client.Known {
		known = "known"
	}
	add("address", to.key(), known)
	add("subject", req.Subject, known)
	add(clientIs(t, req), clientNetwork(req.Client.IP), "")
	add("prefix", to.Prefix, "")
	add("country", to.Country, "")
	add("app", e.cfg.App, "")
	return append(buckets, Bucket{By: "all", Key: "all", Channel: channel})
}

// clientIs says what a client is counted as. A page that offers passkeys in its form starts a challenge with each view;
// those who only look do not use up the starts of everybody behind their address.
func clientIs(t Traits, req StartRequest) string {
	if !t.Sends && req.Subject == "" {
		return "visitor"
	}
	return "ip"
}

// takeCheck asks this process's own throttle for one check.
func (e *Engine) takeCheck(ctx context.Context, client Client) error {
	if e.cfg.Checks == nil {
		return nil
	}
	buckets := []Bucket{{By: "app", Key: e.cfg.App}}
	if network := clientNetwork(client.IP); network != "" {
		buckets = append(buckets, Bucket{By: "ip", Key: network})
	}
	if refused := e.cfg.Checks.Allow(buckets...); refused != nil {
		return e.limited(ctx, refused)
	}
	return nil
}

func (e *Engine) limited(ctx context.Context, err error) error {
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
