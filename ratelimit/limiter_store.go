package ratelimit

import (
	"fmt"
	"time"

	"github.com/ulule/limiter/v3"
)

// SingleCharge returns the charge of a call of a Store's limiter.Store methods. Windows of different rates are separate, even if
// their keys are equal. The error is about a rate or count that is out of range. SingleCharge is for implementations of Store.
func SingleCharge(key string, count int64, rate limiter.Rate) (Charge, error) {
	if rate.Limit < 1 || rate.Limit > MaxLimit || rate.Period < minWindow || rate.Period > MaxWindow {
		return Charge{}, fmt.Errorf("ratelimit: a rate of %d in %s cannot be counted", rate.Limit, rate.Period)
	}
	if count < 1 || count > MaxLimit {
		return Charge{}, fmt.Errorf("ratelimit: a count of %d cannot be spent", count)
	}
	return Charge{Space: fmt.Sprintf("rate:%d/%s", rate.Limit, rate.Period), Key: key, Rate: rate, Cost: count}, nil
}

// NewLimiterContext returns the limiter.Context of a window: spent is the number of spent tokens, next the time at which the next
// token becomes available. NewLimiterContext is for implementations of Store.
func NewLimiterContext(rate limiter.Rate, spent int64, next time.Time, refused bool) limiter.Context {
	return limiter.Context{
		Limit:     rate.Limit,
		Remaining: max(0, rate.Limit-spent),
		Reset:     next.Add(time.Second - time.Nanosecond).Unix(),
		Reached:   refused,
	}
}
