package delivery

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/watchword-auth/watchword"
)

const (
	breakerRecipients = 3               // distinct recipients whose failures open the breaker
	breakerPause      = 5 * time.Second // shortest time before a probe; as much again is random
	probeRetry        = 3 * time.Second // shortest wait of messages that find a probe in progress; as much again is random
)

// A protectedProvider is a Provider with a circuit breaker. The breaker opens when messages to three recipients have failed by the
// provider's fault without a success between them. A refusal of a recipient or a message is a success: the provider has answered.
// When the breaker is open, the provider is not called for 5 to 10 seconds; then one message probes it. The time is random, so that
// the breakers of many processes and apps do not probe a recovering provider at the same moment.
type protectedProvider struct {
	name     string
	id       string // in the channel
	channel  string
	position int // in the channel, from 0
	sender   watchword.Sender
	breaker  *gobreaker.CircuitBreaker[watchword.Sent]
	now      func() time.Time
	jitter   func(limit time.Duration) time.Duration

	mu      sync.Mutex
	failed  map[string]struct{} // recipients since the last success; at most breakerRecipients
	probeAt time.Time           // while the breaker is open: time of the next probe
}

func newProtectedProvider(p Provider, channel string, position int, r *Router) *protectedProvider {
	out := &protectedProvider{name: p.Name, id: cmp.Or(p.ID, p.Name), channel: channel, position: position, sender: p.Sender, now: r.now, jitter: r.jitter, failed: map[string]struct{}{}}
	out.breaker = gobreaker.NewCircuitBreaker[watchword.Sent](gobreaker.Settings{
		Name:         p.Name,
		Timeout:      breakerPause,
		ReadyToTrip:  func(gobreaker.Counts) bool { return out.failedRecipients() >= breakerRecipients },
		IsSuccessful: func(err error) bool { return err == nil || asSendError(err, p.Name).Fault != watchword.FaultProvider },
		// A canceled call says nothing about the provider.
		IsExcluded:    func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(_ string, from, to gobreaker.State) { out.stateChanged(r.log, from, to) },
	})
	return out
}

// stateChanged logs a change of the breaker, and chooses the time of the next probe.
func (p *protectedProvider) stateChanged(log *slog.Logger, from, to gobreaker.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	level := slog.LevelInfo
	if to == gobreaker.StateOpen {
		p.probeAt = p.now().Add(breakerPause + p.jitter(breakerPause))
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "circuit breaker of provider changed state", "provider", p.name, "from", from.String(), "to", to.String())
}

func (p *protectedProvider) failedRecipients() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.failed)
}

// noteOutcome counts the recipients of failures. An answer of the provider, if only a refusal, ends the count.
func (p *protectedProvider) noteOutcome(to string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled):
	case err == nil, asSendError(err, p.name).Fault != watchword.FaultProvider:
		clear(p.failed)
	case len(p.failed) < breakerRecipients:
		p.failed[to] = struct{}{}
	}
}

// untilProbe returns how long the provider will not be called; zero or less if it may be called now.
func (p *protectedProvider) untilProbe() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.probeAt.Sub(p.now())
}

// send calls the provider once, unless its breaker is open.
func (p *protectedProvider) send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	if wait := p.untilProbe(); wait > 0 {
		return watchword.Sent{}, &skippedError{provider: p.name, wait: wait}
	}
	sent, err := p.breaker.Execute(func() (watchword.Sent, error) {
		sent, err := p.sender.Send(ctx, m)
		p.noteOutcome(m.To, err)
		return sent, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = &skippedError{provider: p.name, wait: max(p.untilProbe(), probeRetry)}
	}
	if err == nil && sent.Provider == "" {
		sent.Provider = p.name
	}
	return sent, err
}

// A skippedError means that a provider was not called, because its breaker is open.
type skippedError struct {
	provider string
	wait     time.Duration // until the provider may be called again
}

// Error names the provider.
func (e *skippedError) Error() string { return e.provider + ": skipped after repeated failures" }

// As makes a skippedError a temporary fault of the provider.
func (e *skippedError) As(target any) bool {
	failed, ok := target.(**watchword.SendError)
	if ok {
		*failed = &watchword.SendError{Fault: watchword.FaultProvider, Provider: e.provider, Cause: errSkipped}
	}
	return ok
}
