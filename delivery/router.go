package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// A Provider is a sender with the name that logs and a challenge's delivery show.
type Provider struct {
	Name   string
	Sender watchword.Sender
}

// A RouterConfig configures a Router. Routes is required. The zero value of each other field selects its default.
type RouterConfig struct {
	Routes  map[string][]Provider // the providers of each channel, in the order in which they are tried
	Tries   int                   // tries of a provider that fails quickly before the next provider is used; zero: 2
	Timeout time.Duration         // of one try; zero: 10 seconds
	Backoff time.Duration         // longest delay before the second try; it doubles with each try; zero: 250 ms

	Logger *slog.Logger
	Now    func() time.Time                        // the engine's clock; nil: time.Now
	Jitter func(limit time.Duration) time.Duration // returns a delay from zero up to limit; nil: uniformly random
}

// A Router is a sender that tries the providers of a message's channel in order. The message keeps its id. A Router is safe for
// concurrent use.
//
// A provider that refuses a message permanently is not tried again. A provider that fails within a second is retried after a
// delay with full jitter, because a second try often succeeds after a dropped connection and costs little time. A provider that
// fails later, by a time-out or otherwise, is tried once per Send: a person is waiting for the message, and the next provider
// may be able to send it at once. A circuit breaker skips a provider that keeps failing for a while. Nothing is sent after the
// message has expired.
//
// Errors of Send are *watchword.SendError. They are permanent if every provider refused the message permanently. RetryAfter is
// the longest delay that any provider asked for.
//
// The Router logs and returns the text of a *watchword.SendError. Of any other error it keeps only the kind, such as "time-out"
// or "connection refused", because the text may quote the provider's answer.
type Router struct {
	routes  map[string][]*protectedProvider
	tries   int
	timeout time.Duration
	backoff time.Duration
	log     *slog.Logger
	now     func() time.Time
	jitter  func(limit time.Duration) time.Duration
}

// NewRouter returns a Router, or an error that lists every problem of the configuration.
func NewRouter(cfg RouterConfig) (*Router, error) {
	r := &Router{routes: map[string][]*protectedProvider{}, tries: cfg.Tries, timeout: cfg.Timeout, backoff: cfg.Backoff}
	setDefault(&r.tries, 2)
	setDefault(&r.timeout, 10*time.Second)
	setDefault(&r.backoff, 250*time.Millisecond)
	r.log, r.now, r.jitter = fillDefaults(cfg.Logger, cfg.Now, cfg.Jitter)
	var problems []error
	for channel, route := range cfg.Routes {
		if len(route) == 0 {
			problems = append(problems, fmt.Errorf("delivery: channel %q has no provider", channel))
		}
		for _, p := range route {
			if p.Name == "" || p.Sender == nil {
				problems = append(problems, fmt.Errorf("delivery: a provider of channel %q has no name or no sender", channel))
			}
			r.routes[channel] = append(r.routes[channel], newProtectedProvider(p, r.log))
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

// Send sends the message through the first provider of its channel that accepts it.
func (r *Router) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	route := r.routes[m.Channel]
	if len(route) == 0 {
		return watchword.Sent{}, &watchword.SendError{Permanent: true, Provider: "router", Cause: errNoProvider}
	}
	failure := &watchword.SendError{Permanent: true, Provider: "router"}
	for _, p := range route {
		sent, err := r.sendWithRetries(ctx, p, m)
		if err == nil {
			return sent, nil
		}
		mergeFailure(failure, asSendError(err, p.name))
		if ctx.Err() != nil {
			break
		}
	}
	return watchword.Sent{}, failure
}

var (
	errNoProvider = errors.New("no provider for this channel")
	errSkipped    = errors.New("skipped after repeated failures")
)

// mergeFailure adds one provider's failure to the failure of the whole Send. The sum is permanent if all failures are. Its
// RetryAfter is the longest one.
func mergeFailure(sum, failed *watchword.SendError) {
	sum.Permanent = sum.Permanent && failed.Permanent
	sum.RetryAfter = max(sum.RetryAfter, failed.RetryAfter)
	sum.Cause = errors.Join(sum.Cause, failed)
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
// wait for a provider that sets RetryAfter: another provider may be faster.
func (r *Router) sendWithRetries(ctx context.Context, p *protectedProvider, m watchword.Message) (watchword.Sent, error) {
	for try := 1; ; try++ {
		timeout, valid := r.sendTimeout(m)
		if !valid {
			return watchword.Sent{}, &watchword.SendError{Permanent: true, Provider: p.name, Cause: watchword.ErrExpired}
		}
		sent, quick, err := r.sendOnce(ctx, p, m, timeout)
		if err == nil {
			return sent, nil
		}
		failed := asSendError(err, p.name)
		r.log.WarnContext(ctx, "provider failed to send message", "provider", p.name, "channel", m.Channel, "message", m.ID, "try", try,
			"permanent", failed.Permanent, "error", failed)
		retry := quick && !failed.Permanent && failed.RetryAfter == 0 && !errors.Is(err, errSkipped) && try < r.tries
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
	return sent, ctx.Err() == nil && r.now().Sub(started) < quickFailureLimit, err
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

// A protectedProvider is a Provider with a circuit breaker.
type protectedProvider struct {
	name    string
	sender  watchword.Sender
	breaker *gobreaker.CircuitBreaker[watchword.Sent]
}

const (
	breakerFailures = 5                // consecutive failures that open the breaker
	breakerPause    = 10 * time.Second // after which one message probes the provider
)

func newProtectedProvider(p Provider, log *slog.Logger) *protectedProvider {
	return &protectedProvider{name: p.Name, sender: p.Sender, breaker: gobreaker.NewCircuitBreaker[watchword.Sent](gobreaker.Settings{
		Name:        p.Name,
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerFailures },
		// A provider that refuses a message permanently is available. A canceled call says nothing about the provider.
		IsSuccessful: func(err error) bool { return err == nil || asSendError(err, p.Name).Permanent },
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Warn("circuit breaker of provider changed state", "provider", name, "from", from.String(), "to", to.String())
		},
	})}
}

// send calls the provider once, unless its breaker is open.
func (p *protectedProvider) send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	sent, err := p.breaker.Execute(func() (watchword.Sent, error) { return p.sender.Send(ctx, m) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = &watchword.SendError{Provider: p.name, Cause: errSkipped}
	}
	if err == nil && sent.Provider == "" {
		sent.Provider = p.name
	}
	return sent, err
}
