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

// A Provider is a Sender under the name that it has in logs and in a challenge's delivery.
type Provider struct {
	Name   string
	Sender watchword.Sender
}

// A RouterConfig says who carries what. Zero values are usable, but for Routes.
type RouterConfig struct {
	Routes  map[string][]Provider // by channel, in the order in which they are tried
	Tries   int                   // of one provider that fails quickly, before it is the next one's turn; zero: 2
	Timeout time.Duration         // of one try; zero: 10 seconds
	Backoff time.Duration         // the longest wait before the second try; it doubles with each; zero: 250 ms

	Logger *slog.Logger
	Now    func() time.Time                        // the engine's clock; nil: time.Now
	Jitter func(limit time.Duration) time.Duration // a wait from zero up to limit; nil: uniformly random
}

// A Router is a Sender that carries each message by its channel's providers in order, as one logical send: the message
// keeps its id. A provider that refuses for good is not asked again. One that fails within a second is asked again, after a
// wait with full jitter, before it is the next one's turn: a dropped connection is most often gone at the second try, and
// two tries cost little. One that fails later than that, by a time-out or not, is asked once, since a person is waiting for
// the message and another provider may have it sent at once; whoever repeats the whole Send, as a Worker does, asks it
// again. One that fails again and again is skipped for a while, so that a dead provider costs no time. Nothing is sent after
// the message's code has died. It is safe for concurrent use.
//
// The error of Send is a *watchword.SendError: permanent if every provider refused for good, else with the time after
// which none of them is asked earlier than it wants to be.
//
// Of a provider's error, what a *watchword.SendError says is logged and handed on. Of any other the kind is, "time-out"
// or "connection refused", and never the text, which may hold what the provider answered.
type Router struct {
	routes  map[string][]*protectedProvider
	tries   int
	timeout time.Duration
	backoff time.Duration
	log     *slog.Logger
	now     func() time.Time
	jitter  func(limit time.Duration) time.Duration
}

// NewRouter makes a Router, or reports everything that is wrong with its configuration.
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

// Channels lists the channels that there are providers for, sorted.
func (r *Router) Channels() []string { return slices.Sorted(maps.Keys(r.routes)) }

// PrimaryProvider names the provider that a channel's messages are given to first.
func (r *Router) PrimaryProvider(channel string) string {
	if route := r.routes[channel]; len(route) > 0 {
		return route[0].name
	}
	return ""
}

// CheckMessage asks the channel's providers whether they will ever take a message, and returns why not if none will.
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

// Send carries the message by the first provider of its channel that takes it.
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
	errNoProvider = errors.New("no provider carries this channel")
	errSkipped    = errors.New("skipped, because it failed again and again")
)

// mergeFailure sums up: one failure that may pass makes the whole one that may pass, and whoever comes back before the
// latest RetryAfter would ask one of the providers too early.
func mergeFailure(sum, failed *watchword.SendError) {
	sum.Permanent = sum.Permanent && failed.Permanent
	sum.RetryAfter = max(sum.RetryAfter, failed.RetryAfter)
	sum.Cause = errors.Join(sum.Cause, failed)
}

// asSendError reads any error as a SendError; what is none may pass. Of such an error only its kind is kept: nobody has
// promised that its text, or one that was wrapped around a SendError, does not hold the recipient or the code.
func asSendError(err error, provider string) *watchword.SendError {
	var failed *watchword.SendError
	if errors.As(err, &failed) {
		return failed
	}
	return &watchword.SendError{Provider: provider, Cause: outbound.Reason(err)}
}

// quickFailureLimit is how long a try may take for the provider to be asked again before the next one is.
const quickFailureLimit = time.Second

// sendWithRetries asks one provider until it takes the message, refuses it, fails slowly, or has had its tries. A provider that says
// when to come back is not waited for: others may be faster.
func (r *Router) sendWithRetries(ctx context.Context, p *protectedProvider, m watchword.Message) (watchword.Sent, error) {
	for try := 1; ; try++ {
		timeout, alive := r.sendTimeout(m)
		if !alive {
			return watchword.Sent{}, &watchword.SendError{Permanent: true, Provider: p.name, Cause: watchword.ErrExpired}
		}
		sent, quick, err := r.sendOnce(ctx, p, m, timeout)
		if err == nil {
			return sent, nil
		}
		failed := asSendError(err, p.name)
		r.log.WarnContext(ctx, "message not taken", "provider", p.name, "channel", m.Channel, "message", m.ID, "try", try,
			"permanent", failed.Permanent, "error", failed)
		again := quick && !failed.Permanent && failed.RetryAfter == 0 && !errors.Is(err, errSkipped) && try < r.tries
		if !again || !sleep(ctx, r.jitter(r.backoff<<(try-1))) {
			return watchword.Sent{}, err
		}
	}
}

// sendOnce asks a provider once, and reports whether its answer came quickly.
func (r *Router) sendOnce(ctx context.Context, p *protectedProvider, m watchword.Message, timeout time.Duration) (sent watchword.Sent, quick bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := r.now()
	sent, err = p.send(ctx, m)
	return sent, ctx.Err() == nil && r.now().Sub(began) < quickFailureLimit, err
}

// sendTimeout says how long a try may take: not longer than the code lives.
func (r *Router) sendTimeout(m watchword.Message) (time.Duration, bool) {
	if m.ExpiresAt.IsZero() {
		return r.timeout, true
	}
	left := m.ExpiresAt.Sub(r.now())
	return min(left, r.timeout), left > 0
}

// A protectedProvider is a Provider behind its circuit breaker.
type protectedProvider struct {
	name    string
	sender  watchword.Sender
	breaker *gobreaker.CircuitBreaker[watchword.Sent]
}

const (
	breakerFailures = 5                // in a row open the breaker
	breakerPause    = 10 * time.Second // until one message may try again
)

func newProtectedProvider(p Provider, log *slog.Logger) *protectedProvider {
	return &protectedProvider{name: p.Name, sender: p.Sender, breaker: gobreaker.NewCircuitBreaker[watchword.Sent](gobreaker.Settings{
		Name:        p.Name,
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerFailures },
		// Whoever refuses a message for good is alive, and who was not waited for has not failed.
		IsSuccessful: func(err error) bool { return err == nil || asSendError(err, p.Name).Permanent },
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Warn("provider's circuit breaker", "provider", name, "from", from.String(), "to", to.String())
		},
	})}
}

// send asks the provider once, unless its breaker is open.
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
