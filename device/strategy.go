package device

import (
	"context"
	"slices"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/browsers"
)

// A Strategy trusts devices. It has no settings, implements watchword.DeviceTruster and is safe for concurrent use.
type Strategy struct{}

var (
	_ watchword.DeviceTruster = (*Strategy)(nil)
	_ watchword.Describer     = (*Strategy)(nil)
)

// New returns a Strategy.
func New() *Strategy { return &Strategy{} }

// Name returns "device".
func (*Strategy) Name() string { return "device" }

// Properties returns the properties of the strategy: a token cannot be guessed, and it proves nothing that authorizes a change of
// factors.
func (*Strategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupNone, Subject: true, Tries: 1}
}

// Begin refuses every challenge: a device answers the start that presents its token, and no other.
func (*Strategy) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{}, &watchword.Error{Code: watchword.ErrInvalidRequest.Code,
		Fields: []watchword.FieldError{{Field: "strategy", Reason: "is not asked for: send the device's token as device_token"}}}
}

// NewDevice returns the factor of a device that will be trusted, and its first token. The label is the name of the browser and its
// system, from the client's user agent.
func (*Strategy) NewDevice(c *watchword.Challenge) (watchword.Factor, watchword.Code, error) {
	id, _, _ := c.DeriveForFactor("", "device id", c.ID)
	f := watchword.Factor{ID: factorID(id[:deviceSize])}
	d := &device{}
	d.Browser, d.System = browsers.Recognize(c.Client.UserAgent)
	f.Label = nameOf(d.Browser, d.System)
	secret, key, _ := secretOf(c, "", f.ID, d.Generation)
	d.Current, d.CurrentKey = digest(secret[:]), key
	return f, formatToken(f.ID, d.Generation, secret), d.writeTo(&f)
}

// Verify evaluates a token. A device that has presented the successor of its token for the first time moves on to it.
func (*Strategy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	devices, err := c.Factors(ctx)
	if err != nil {
		return watchword.Proof{}, err
	}
	t, ok := parseToken(answer)
	n := slices.IndexFunc(devices, func(f watchword.Factor) bool { return f.ID == t.factor })
	if !ok || n < 0 {
		return watchword.Proof{}, watchword.ErrMismatch
	}
	f := devices[n]
	d, err := parseDevice(f.Data)
	if err != nil {
		return watchword.Proof{}, err
	}
	standing := d.standingOf(c, t)
	switch standing {
	case unknown:
		return watchword.Proof{}, watchword.ErrMismatch
	case replaced:
		return watchword.Proof{Reused: &f}, watchword.ErrMismatch
	case next:
		d.promote(c.Now())
	}
	successor := d.successorOf(standing, c, f.ID)
	return watchword.Proof{Spend: &f, Successor: successor}, d.writeTo(&f)
}

// Describe returns the browser and the system of the device, where its user agent named them.
func (*Strategy) Describe(f watchword.Factor) map[string]any {
	d, err := parseDevice(f.Data)
	if err != nil {
		return nil
	}
	return map[string]any{"browser": d.Browser, "system": d.System}
}

// nameOf returns the name of a device in listings.
func nameOf(browser, system string) string {
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser+system != "":
		return browser + system
	}
	return "Unknown browser"
}
