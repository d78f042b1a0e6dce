package ratelimit_test

import (
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

// An app with MaxWindows windows is refused new ones. Another app is not, and windows that apps share count for both.
func TestMemoryFullOfOneAppAcceptsWindowsOfAnother(t *testing.T) {
	clock := newFakeClock()
	store := ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now, MaxWindows: 10})
	limiter := func(app string) *ratelimit.Limiter {
		l, err := ratelimit.New(store, []ratelimit.Rule{
			{Name: "hour", Limit: 3, Window: time.Hour, By: ratelimit.ByIP},
			{Name: "total", Limit: 20, Window: time.Hour, By: ratelimit.ByAll},
		}, app)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	hostile, quiet, all := limiter("hostile"), limiter("quiet"), watchword.Bucket{By: ratelimit.ByAll}
	for i := range 10 {
		if err := hostile.Take(t.Context(), byIP(strconv.Itoa(i)), all); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		if err := hostile.Take(t.Context(), byIP("new "+strconv.Itoa(i)), all); !errors.Is(err, ratelimit.ErrFull) {
			t.Fatalf("the eleventh client of an app with at most ten windows: %v", err)
		}
	}
	for i := range 10 {
		if err := quiet.Take(t.Context(), byIP(strconv.Itoa(i)), all); err != nil {
			t.Fatalf("client %d of the neighbor: %v", i, err)
		}
	}
	var refused *watchword.LimitError
	if err := quiet.Take(t.Context(), byIP("0"), all); !errors.As(err, &refused) || refused.Rule != "total" {
		t.Errorf("the 21st event of all apps: %v", err)
	}
	clock.Advance(time.Hour)
	if err := hostile.Take(t.Context(), byIP("new"), all); err != nil {
		t.Errorf("after the windows have ended: %v", err)
	}
}

// The names of an app's takes are not dropped because another app has many takes.
func TestRefundWorksDespiteManyTakesOfAnotherApp(t *testing.T) {
	clock := newFakeClock()
	store := ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now})
	limiter := func(app string, limit int) *ratelimit.Limiter {
		l, err := ratelimit.New(store, []ratelimit.Rule{{Name: "hour", Limit: limit, Window: time.Hour, By: ratelimit.ByIP}}, app)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	quiet, hostile := limiter("quiet", 1), limiter("hostile", ratelimit.MaxLimit)
	if err := quiet.TakeNamed(t.Context(), "start", byIP("a")); err != nil {
		t.Fatal(err)
	}
	for i := range 1 << 16 {
		if err := hostile.TakeNamed(t.Context(), strconv.Itoa(i), byIP("b")); err != nil {
			t.Fatal(err)
		}
	}
	if err := quiet.Refund(t.Context(), "start", byIP("a")); err != nil {
		t.Fatal(err)
	}
	if err := quiet.Take(t.Context(), byIP("a")); err != nil {
		t.Errorf("after the refund: %v", err)
	}
}

// The documentation says about 300 bytes, so a million windows take less than a gigabyte.
func TestMemoryUsesAtMost350BytesPerWindow(t *testing.T) {
	clock := newFakeClock()
	before := heap()
	store := ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now})
	l, err := ratelimit.New(store, []ratelimit.Rule{{Name: "day", Limit: 3, Window: 24 * time.Hour, By: ratelimit.ByAddress}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	const windows = 250_000
	for i := range windows {
		if err := l.Take(t.Context(), watchword.Bucket{By: ratelimit.ByAddress, Key: digest(i)}); err != nil {
			t.Fatal(err)
		}
	}
	used := heap() - before
	t.Logf("%d bytes a window", used/windows)
	if used > 350*windows {
		t.Errorf("%d windows take %d bytes", windows, used)
	}
	runtime.KeepAlive(store)
}

// digest returns a key of the length of the engine's keys.
func digest(i int) string { return (strconv.Itoa(i) + "________________")[:16] }
