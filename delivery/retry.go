package delivery

import (
	"errors"
	"time"

	"github.com/watchword-auth/watchword"
)

// firstWaits are the waits after the first tries of a message. They are short, because a person is waiting.
var firstWaits = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second}

const (
	minuteWaits     = 10               // number of waits of a minute that follow; they end after about ten minutes, as codes do
	maxRetryWait    = 15 * time.Minute // the waits then grow by half up to this
	maxRetryPeriod  = 24 * time.Hour   // after the message was requested
	lastRetryMargin = 5 * time.Second  // no try is begun later than this before the code expires
	maxAttempts     = 120              // of a message that cannot be composed, so that its expiry is unknown; about 24 hours
)

// A retrySchedule computes when a failed message is tried again.
type retrySchedule struct {
	now    func() time.Time
	jitter func(limit time.Duration) time.Duration
}

// next returns when a message is due again after a failure, and whether it is given up instead: every provider has refused it for
// good, its code is dead, or its retry period is over. If the next try would be after the expiry, the message is due at the expiry,
// and the engine ends it then.
func (s retrySchedule) next(m watchword.Message, attempt int, err error) (at time.Time, giveUp bool) {
	failed, now := asSendError(err, "sender"), s.now()
	dead := !m.ExpiresAt.IsZero() && !now.Before(m.ExpiresAt)
	if failed.Permanent || dead || attempt >= maxAttempts || !m.RequestedAt.IsZero() && now.Sub(m.RequestedAt) >= maxRetryPeriod {
		return now, true
	}
	wait := retryWait(attempt)
	wait = wait*3/4 + s.jitter(wait/2)
	var route *routeError
	if errors.As(err, &route) && route.probeIn > 0 {
		untilProbe := route.probeIn + s.jitter(probeRetry)
		if untilProbe < wait || !route.called { // before the probe no provider would be called again either
			wait = untilProbe
		}
	}
	wait = max(wait, failed.RetryAfter)
	if m.ExpiresAt.IsZero() || now.Add(wait).Before(m.ExpiresAt) {
		return now.Add(wait), false
	}
	left := m.ExpiresAt.Sub(now)
	if half := left / 2; half >= lastRetryMargin && half >= failed.RetryAfter {
		return now.Add(half), false
	}
	return m.ExpiresAt, false
}

// wasCalled reports whether a failed Send called a provider. If it did not, because every provider was skipped by its breaker, the
// message has not used up a try.
func wasCalled(err error) bool {
	var route *routeError
	return !errors.As(err, &route) || route.called
}

// retryWait returns the wait after a number of earlier retries, without jitter.
func retryWait(attempt int) time.Duration {
	attempt = max(attempt, 0)
	if attempt < len(firstWaits) {
		return firstWaits[attempt]
	}
	wait := time.Minute
	for n := attempt - len(firstWaits) - minuteWaits; n >= 0 && wait < maxRetryWait; n-- {
		wait = wait * 3 / 2
	}
	return min(wait, maxRetryWait)
}
