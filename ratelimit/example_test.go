package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// Two messages a minute may be sent to one address, and ten to all addresses together.
func Example() {
	clock := newFakeClock()
	limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now}), []ratelimit.Rule{
		{Name: "address_minute", Limit: 2, Window: time.Minute, By: ratelimit.ByAddress},
		{Name: "app_minute", Limit: 10, Window: time.Minute, By: ratelimit.ByApp},
	}, "shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		err := limits.Take(context.Background(),
			watchword.Bucket{By: ratelimit.ByAddress, Key: "digest of an address", Channel: "sms"},
			watchword.Bucket{By: ratelimit.ByApp, Key: "shop", Channel: "sms"})
		var refused *watchword.LimitError
		if errors.As(err, &refused) {
			fmt.Println("refused by", refused.Rule, "for", refused.RetryAfter)
		} else {
			fmt.Println(err)
		}
		clock.Advance(10 * time.Second)
	}
	// Output:
	// <nil>
	// <nil>
	// refused by address_minute for 40s
}

// The middleware of ulule/limiter works with a Store. Set a key getter and an error handler: the default key getter trusts
// forwarding headers, and the default error handler panics.
func ExampleStore_middleware() {
	rate := limiter.Rate{Limit: 1, Period: time.Minute}
	middleware := stdlib.NewMiddleware(limiter.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), rate),
		stdlib.WithKeyGetter(func(r *http.Request) string { return r.RemoteAddr }),
		stdlib.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "limits cannot be counted", http.StatusServiceUnavailable)
		}))
	handler := middleware.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	for range 2 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("X-RateLimit-Remaining"))
	}
	// Output:
	// 204 0
	// 429 0
}

// Warnings are sentences for the log or for a configuration check.
func ExampleWarnings() {
	rules := []ratelimit.Rule{
		{Name: "address_10m", Limit: 5, Window: 10 * time.Minute, By: ratelimit.ByAddress},
		{Name: "subject_day", Limit: 50, Window: 24 * time.Hour, By: ratelimit.BySubject},
		{Name: "app_hour", Limit: 500, Window: time.Hour, By: ratelimit.ByApp},
	}
	for _, w := range ratelimit.Warnings(rules, []string{"email"}) {
		fmt.Println(w)
	}
	// Output:
	// the limits by address for email (address_10m) allow 720 starts a day: with six digits the chance that one guess at an address is correct is up to 1 in 1333 a day
	// no limit by ip for all starts: one client may start challenges for any number of addresses
}
