package delivery_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// A senderFunc is a function as a sender.
type senderFunc func(ctx context.Context, m watchword.Message) (watchword.Sent, error)

func (f senderFunc) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	return f(ctx, m)
}

// A scriptedSender returns the listed errors in order, and then succeeds. It records the messages.
type scriptedSender struct {
	mu       sync.Mutex
	errors   []error
	messages []watchword.Message
	times    []time.Time
}

func (s *scriptedSender) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.times = append(s.messages, m), append(s.times, time.Now())
	if len(s.errors) == 0 {
		return watchword.Sent{}, nil
	}
	err := s.errors[0]
	s.errors = s.errors[1:]
	return watchword.Sent{}, err
}

// An outage is a provider that is down until a time.
type outage struct {
	until time.Time

	mu    sync.Mutex
	calls int
}

func (o *outage) Send(context.Context, watchword.Message) (watchword.Sent, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls++; time.Now().Before(o.until) {
		return watchword.Sent{}, errDown
	}
	return watchword.Sent{}, nil
}

func (o *outage) callCount() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls
}

var errDown = errors.New("connection refused")

func repeat(n int, err error) (out []error) {
	for range n {
		out = append(out, err)
	}
	return out
}

func permanentError() error {
	return &watchword.SendError{Permanent: true, Provider: "p", Cause: errors.New("refused")}
}

func retryAfterError(d time.Duration) error {
	return &watchword.SendError{RetryAfter: d, Provider: "p", Cause: errors.New("too many requests")}
}

// A fakeEngine composes a message for each challenge, and records deliveries.
type fakeEngine struct {
	compose func(o watchword.Outgoing) (watchword.Message, error)

	mu       sync.Mutex
	recorded map[string][]watchword.Delivery
	attempts map[string][]int
}

func (e *fakeEngine) ComposeMessage(_ context.Context, o watchword.Outgoing) (watchword.Message, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attempts == nil {
		e.attempts = map[string][]int{}
	}
	e.attempts[o.ChallengeID] = append(e.attempts[o.ChallengeID], o.Attempt)
	if e.compose != nil {
		return e.compose(o)
	}
	return watchword.Message{ID: "msg_" + o.ChallengeID, ChallengeID: o.ChallengeID, Channel: "sms"}, nil
}

func (e *fakeEngine) RecordDelivery(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.recorded == nil {
		e.recorded = map[string][]watchword.Delivery{}
	}
	e.recorded[o.ChallengeID] = append(e.recorded[o.ChallengeID], d)
	return nil
}

func (e *fakeEngine) FinishSend(context.Context, watchword.Outgoing, watchword.Delivery) error {
	return errors.ErrUnsupported
}

func (e *fakeEngine) AllowRetry(context.Context, watchword.Outgoing, time.Time) error { return nil }

// countRecorded returns the number of challenges with exactly one recorded delivery of the given status.
func (e *fakeEngine) countRecorded(status string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.recorded {
		if len(d) == 1 && d[0].Status == status {
			n++
		}
	}
	return n
}

// deliveriesOf returns what was recorded of a challenge.
func (e *fakeEngine) deliveriesOf(id string) []watchword.Delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.recorded[id])
}

// lastAttempts returns the attempt with which each challenge's message was composed last.
func (e *fakeEngine) lastAttempts() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := map[string]int{}
	for id, attempts := range e.attempts {
		last[id] = attempts[len(attempts)-1]
	}
	return last
}
