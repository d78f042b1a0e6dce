package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
)

// Readiness reports whether the senders of each channel work. It implements watchword.Pinger and is safe for concurrent use.
type Readiness struct {
	routes map[string][]Provider
	watch  probe.Watch
}

var _ watchword.Pinger = (*Readiness)(nil)

// NewReadiness returns the Readiness of the providers of each channel.
func NewReadiness(routes map[string][]Provider) *Readiness { return &Readiness{routes: routes} }

// Ping returns an error if no sender of a channel works. A sender that is no Checker is taken for working. Senders are checked
// in the background, every 15 seconds and after a failure every three, while Ping is called; it returns the last result.
func (r *Readiness) Ping(ctx context.Context) error { return r.watch.Run(ctx, r.check) }

func (r *Readiness) check(ctx context.Context) error {
	channels := slices.Sorted(maps.Keys(r.routes))
	failed := make([]error, len(channels))
	var all sync.WaitGroup
	for i, channel := range channels {
		all.Go(func() { failed[i] = checkChannel(ctx, channel, r.routes[channel]) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// checkChannel returns the error of the channel's first sender if none of them works.
func checkChannel(ctx context.Context, channel string, providers []Provider) (first error) {
	for _, p := range providers {
		err := CheckSender(ctx, p.Sender)
		if err == nil {
			return nil
		}
		if first == nil {
			first = &channelError{channel, p.Name, err}
		}
	}
	return first
}

// CheckSender checks a sender that is a Checker. For any other it returns nil.
func CheckSender(ctx context.Context, s watchword.Sender) error {
	if c, ok := s.(Checker); ok {
		return c.Check(ctx)
	}
	return nil
}

// A channelError means that no sender of a channel works. It has the first one's error.
type channelError struct {
	channel, provider string
	cause             error
}

// Error returns the channel, the provider and the cause.
func (e *channelError) Error() string {
	return fmt.Sprintf("no sender of %s works: %s: %v", e.channel, e.provider, e.cause)
}

// Unwrap returns the cause.
func (e *channelError) Unwrap() error { return e.cause }

// Reason returns a text for anybody, as watchword.Pinger describes.
func (e *channelError) Reason() string {
	reason := "sender failed"
	var known interface{ Reason() string }
	if errors.As(e.cause, &known) {
		reason = known.Reason()
	}
	return fmt.Sprintf("no sender of %s works: %s: %s", e.channel, e.provider, reason)
}
