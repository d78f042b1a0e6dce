package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// A Provider is a sender with the name that logs and a challenge's delivery show.
type Provider struct {
	Name   string
	Sender watchword.Sender

	// ID names the sender in its channel for as long as messages are under way, also if a new process or a new configuration has its
	// senders in another order. No other sender of the channel has it. Empty: Name.
	ID string
}

// A RouterConfig configures a Router. Routes is required. The zero value of each other field selects its default.
type RouterConfig struct {
	Routes  map[string][]Provider // the providers of each channel, in the order in which they are tried
	Tries   int                   // tries of a provider that fails quickly before the next provider is used; zero: 2
	Timeout time.Duration         // of one try; zero: 10 seconds
	Backoff time.Duration         // longest delay before the second try; it doubles with each try; zero: 250 ms
	OnTry   func(Try)             // is called after each try, by the goroutine that made it; nil: nothing is called

	Logger *slog.Logger
	Now    func() time.Time                        // the engine's clock; nil: time.Now
	Jitter func(limit time.Duration) time.Duration // returns a delay from zero up to limit; nil: uniformly random
}

// A Router is a sender that tries the providers of a message's channel in order. The message keeps its id. A Router is safe for
// concurrent use.
//
// A provider that fails by its own fault within a second is retried after a delay with full jitter, because a second try often
// succeeds after a dropped connection and costs little time. A provider that fails later, by a time-out or otherwise, or that
// refuses the recipient or the message, is tried once per Send: a person is waiting for the message, and the next provider may be
// able to send it at once. Each provider has a circuit breaker of its own: when messages to three recipients have failed by the
// provider's fault without a success between them, the provider is skipped for some seconds, and then probed with one message.
// Nothing is sent after the message has expired. Between two calls the Router asks Message.StillWanted.
//
// Errors of Send contain a *watchword.SendError. It is permanent if every provider refused the message permanently. RetryAfter is
// the longest delay that any provider asked for.
//
// The Router logs and returns the text of a *watchword.SendError. Of any other error it keeps only the kind, such as "time-out"
// or "connection refused", because the text may quote the provider's answer.
type Router struct {
	routes  map[string][]*protectedProvider
	tries   int
	timeout time.Duration
	backoff time.Duration
	onTry   func(Try)
	log     *slog.Logger
	now     func() time.Time
	jitter  func(limit time.Duration) time.Duration
}

// NewRouter returns a Router, or an error that lists every problem of the configuration.
func NewRouter(cfg RouterConfig) (*Router, error) {
	r := &Router{routes: map[string][]*protectedProvider{}, tries: cfg.Tries, timeout: cfg.Timeout, backoff: cfg.Backoff, onTry: cfg.OnTry}
	if r.onTry == nil {
		r.onTry = func(Try) {}
	}
	setDefault(&r.tries, 2)
	setDefault(&r.timeout, 10*time.Second)
	setDefault(&r.backoff, 250*time.Millisecond)
	r.log, r.now, r.jitter = fillDefaults(cfg.Logger, cfg.Now, cfg.Jitter)
	var problems []error
	for channel, route := range cfg.Routes {
		if len(route) == 0 {
			problems = append(problems, fmt.Errorf("delivery: channel %q has no provider", channel))
		}
		for position, p := range route {
			if p.Name == "" || p.Sender == nil {
				problems = append(problems, fmt.Errorf("delivery: a provider of channel %q has no name or no sender", channel))
			}
			added := newProtectedProvider(p, channel, position, r)
			if slices.ContainsFunc(r.routes[channel], func(other *protectedProvider) bool { return other.id == added.id }) {
				problems = append(problems, fmt.Errorf("delivery: two providers of channel %q are named %q: give one another Name or an ID", channel, added.id))
			}
			r.routes[channel] = append(r.routes[channel], added)
		}
	}
	return r, errors.Join(problems...)
}

// Channels returns the channels that have providers, sorted.
func (r *Router) Channels() []string { return slices.Sorted(maps.Keys(r.routes)) }

// PrimaryProvider returns the name of the first provider of a channel, or "" if the channel has none.
func (r *Router) PrimaryProvider(channel string) string {
	if route := r.routes[channel]; len(route) > 0 {
		return route[0].name
	}
	return ""
}

// Reports reports whether a sender of a channel, by its ID, gets delivery reports. Use it as Reports of watchword.Config.
func (r *Router) Reports(channel, sender string) bool {
	return slices.ContainsFunc(r.routes[channel], func(p *protectedProvider) bool { return p.id == sender && p.reports() })
}

// CheckMessage implements MessageChecker. It returns the first provider's error if no provider of the channel can send the
// message.
func (r *Router) CheckMessage(m watchword.Message) error {
	var refusal error
	for _, p := range r.routes[m.Channel] {
		checker, ok := p.sender.(MessageChecker)
		if !ok {
			return nil
		}
		err := checker.CheckMessage(m)
		if err == nil {
			return nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	return refusal
}

// Send sends the message through the first provider of its channel that accepts it and is not one of m.Tried.
func (r *Router) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	tried, failure := slices.Clone(m.Tried), newRouteError()
	for _, p := range r.routes[m.Channel] {
		if slices.Contains(m.Tried, p.id) {
			continue
		}
		sent, err := r.sendWithRetries(ctx, p, m, failure.called)
		if err == nil {
			sent.Sender, sent.Tried = p.id, tried
			return sent, nil
		}
		var unwanted *unwantedError
		if errors.As(err, &unwanted) {
			return watchword.Sent{}, unwanted
		}
		tried = append(tried, p.id)
		failure.add(err, p.name)
		if ctx.Err() != nil {
			break
		}
	}
	if failure.sum.Cause == nil {
		return watchword.Sent{}, &watchword.SendError{Permanent: true, Provider: "router", Cause: errNoProvider}
	}
	return watchword.Sent{}, failure
}

var (
	errNoProvider = errors.New("no provider for this channel")
	errSkipped    = errors.New("skipped after repeated failures")
)

// A routeError is the failure of all providers of a channel.
type routeError struct {
	sum     watchword.SendError
	probeIn time.Duration // until the first of the skipped providers may be called again; 0: none was skipped
	called  bool          // a provider was called
}

func newRouteError() *routeError {
	return &routeError{sum: watchword.SendError{Permanent: true, Provider: "router", Fault: watchword.FaultMessage}}
}

// Error returns the errors of all providers.
func (e *routeError) Error() string { return e.sum.Error() }

// Unwrap returns the sum of the errors as a *watchword.SendError.
func (e *routeError) Unwrap() error { return &e.sum }

// add adds one provider's failure. The sum is permanent if all failures are. Its fault is the provider's if any of them is, else the
// recipient's if any is. Its RetryAfter is the longest one.
func (e *routeError) add(err error, provider string) {
	failed := asSendError(err, provider)
	e.sum.Permanent = e.sum.Permanent && failed.Permanent
	e.sum.Fault = min(e.sum.Fault, failed.Fault)
	e.sum.RetryAfter = max(e.sum.RetryAfter, failed.RetryAfter)
	e.sum.Cause = errors.Join(e.sum.Cause, failed)
	var skipped *skippedError
	if !errors.As(err, &skipped) {
		e.called = true
	} else if e.probeIn == 0 || skipped.wait < e.probeIn {
		e.probeIn = skipped.wait
	}
}

// asSendError converts any error to a SendError; an error of another type becomes a temporary one. Only the kind of such an
// error is kept, and text that wraps a SendError is dropped, because either may contain the recipient or the code.
func asSendError(err error, provider string) *watchword.SendError {
	var failed *watchword.SendError
	if errors.As(err, &failed) {
		return failed
	}
	return &watchword.SendError{Provider: provider, Cause: outbound.Reason(err)}
}

// quickFailureLimit is the longest duration of a failed try after which the same provider is retried.
const quickFailureLimit = time.Second

// sendWithRetries tries one provider until it accepts the message, refuses it, fails slowly, or has used its tries. It does not
// wait for a provider that sets RetryAfter: another provider may be faster. called says that the message was offered to another
// provider before: after every call it asks again whether the message is still wanted.
func (r *Router) sendWithRetries(ctx context.Context, p *protectedProvider, m watchword.Message, called bool) (watchword.Sent, error) {
	for try := 1; ; try++ {
		if called || try > 1 {
			if err := checkWanted(ctx, m); err != nil {
				return watchword.Sent{}, err
			}
		}
		timeout, valid := r.sendTimeout(m)
		if !valid {
			return watchword.Sent{}, &watchword.SendError{Fault: watchword.FaultMessage, Permanent: true, Provider: p.name, Cause: watchword.ErrExpired}
		}
		sent, quick, err := r.sendOnce(ctx, p, m, timeout)
		if err == nil {
			return sent, nil
		}
		failed := asSendError(err, p.name)
		var skipped *skippedError
		if errors.As(err, &skipped) {
			return watchword.Sent{}, err
		}
		r.log.WarnContext(ctx, "provider failed to send message", "provider", p.name, "channel", m.Channel, "message", m.ID, "try", try,
			"fault", failed.Fault.String(), "permanent", failed.Permanent, "error", failed)
		retry := quick && failed.Fault == watchword.FaultProvider && !failed.Permanent && failed.RetryAfter == 0 && try < r.tries
		if !retry || !sleep(ctx, r.jitter(r.backoff<<(try-1))) {
			return watchword.Sent{}, err
		}
	}
}

// sendOnce tries a provider once, and reports whether it returned within quickFailureLimit.
func (r *Router) sendOnce(ctx context.Context, p *protectedProvider, m watchword.Message, timeout time.Duration) (sent watchword.Sent, quick bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	started := r.now()
	sent, err = p.send(ctx, m)
	took := r.now().Sub(started)
	r.onTry(newTry(p, m, err, started, took))
	return sent, ctx.Err() == nil && took < quickFailureLimit, err
}

// sendTimeout returns the time-out of a try, which ends at the latest when the message expires, and whether the message is
// still valid.
func (r *Router) sendTimeout(m watchword.Message) (time.Duration, bool) {
	if m.ExpiresAt.IsZero() {
		return r.timeout, true
	}
	left := m.ExpiresAt.Sub(r.now())
	return min(left, r.timeout), left > 0
}
