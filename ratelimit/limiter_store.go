package ratelimit

import (
	"fmt"
	"time"

	"github.com/ulule/limiter/v3"
)

// SingleCharge is the charge that a Store's methods as a limiter.Store stand for: windows of different rates have nothing in
// common, though their keys be equal. It refuses a rate or a count that cannot be counted.
func SingleCharge(key string, count int64, rate limiter.Rate) (Charge, error) {
	if rate.Limit < 1 || rate.Limit > MaxLimit || rate.Period < minWindow || rate.Period > MaxWindow {
		return Charge{}, fmt.Errorf("ratelimit: a rate of %d in %s cannot be counted", rate.Limit, rate.Period)
	}
	if count < 1 || count > MaxLimit {
		return Charge{}, fmt.Errorf("ratelimit: a count of %d cannot be spent", count)
	}
	return Charge{Space: fmt.Sprintf("rate:%d/%s", rate.Limit, rate.Period), Key: key, Rate: rate, Cost: count}, nil
}

// NewLimiterContext makes the limiter.Context of a window from which so many tokens were spent and whose next one comes back at a
// time.
func NewLimiterContext(rate limiter.Rate, spent int64, next time.Time, refused bool) limiter.Context {
	return limiter.Context{
		Limit:     rate.Limit,
		Remaining: max(0, rate.Limit-spent),
		Reset:     next.Add(time.Second - time.Nanosecond).Unix(),
		Reached:   refused,
	}
}
