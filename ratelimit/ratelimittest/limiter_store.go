package ratelimittest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
)

func (s *suite) testLimiterStoreGetAndPeek(t *testing.T) {
	l := limiter.New(s.Nodes[0], limiter.Rate{Period: time.Hour, Limit: 2})
	key := s.newAppID()
	check := func(what string, ask func() (limiter.Context, error), remaining int64, reached bool) {
		t.Helper()
		c, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		if c.Limit != 2 || c.Remaining != remaining || c.Reached != reached {
			t.Errorf("%s = %+v, want limit 2, remaining %d, reached %t", what, c, remaining, reached)
		}
	}
	peek := func() (limiter.Context, error) { return l.Peek(t.Context(), key) }
	get := func() (limiter.Context, error) { return l.Get(t.Context(), key) }
	check("Peek", peek, 2, false)
	check("Get", get, 1, false)
	check("Peek", peek, 1, false)
	check("Get", get, 0, false)
	check("Get", get, 0, true)
	check("Peek", peek, 0, true)
	check("another key's Get", func() (limiter.Context, error) { return l.Get(t.Context(), key+"x") }, 1, false)
	slower := limiter.Rate{Period: 2 * time.Hour, Limit: 2}
	check("another rate's Get", func() (limiter.Context, error) { return l.Store.Get(t.Context(), key, slower) }, 1, false)
}

func (s *suite) testLimiterStoreIncrementAndReset(t *testing.T) {
	rate := limiter.Rate{Period: time.Hour, Limit: 10}
	l := limiter.New(s.Nodes[0], rate)
	key := s.newAppID()
	fresh, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		count, remaining int64
		reached          bool
	}{{4, 6, false}, {7, 6, true}, {6, 0, false}, {1, 0, true}, {11, 0, true}} {
		c, err := l.Increment(t.Context(), key, step.count)
		if err != nil {
			t.Fatal(err)
		}
		if c.Remaining != step.remaining || c.Reached != step.reached {
			t.Errorf("Increment(%d) = %+v, want remaining %d, reached %t", step.count, c, step.remaining, step.reached)
		}
		if wait := c.Reset - fresh.Reset; wait < 3600-1 || wait > 3600+60 {
			t.Errorf("Increment(%d): the next token comes %d s after the start, want an hour", step.count, wait)
		}
	}
	c, err := l.Reset(t.Context(), key)
	if err != nil || c.Remaining != 10 || c.Reached {
		t.Errorf("Reset = %+v, %v, want remaining 10", c, err)
	}
	if c, err = l.Increment(t.Context(), key, 10); err != nil || c.Reached {
		t.Errorf("Increment(10) after Reset = %+v, %v, want it not reached", c, err)
	}
	for _, count := range []int64{0, -1} {
		if c, err = l.Increment(t.Context(), key, count); err == nil {
			t.Errorf("Increment(%d) = %+v, want an error", count, c)
		}
	}
	for _, bad := range []limiter.Rate{{Period: time.Hour}, {Limit: 1}, {Period: time.Hour, Limit: -1}} {
		if c, err = l.Store.Get(t.Context(), key, bad); err == nil {
			t.Errorf("Get with the rate %+v = %+v, want an error", bad, c)
		}
	}
}

func (s *suite) testLimiterStoreInMiddleware(t *testing.T) {
	user := s.newAppID()
	m := stdlib.NewMiddleware(limiter.New(s.Nodes[0], limiter.Rate{Period: time.Hour, Limit: 2}),
		stdlib.WithKeyGetter(func(*http.Request) string { return user }))
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for i, want := range []struct {
		status    int
		remaining string
	}{{204, "1"}, {204, "0"}, {429, "0"}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if remaining := w.Header().Get("X-RateLimit-Remaining"); w.Code != want.status || remaining != want.remaining {
			t.Errorf("request %d: status %d, remaining %s, want %d, %s", i+1, w.Code, remaining, want.status, want.remaining)
		}
	}
}
