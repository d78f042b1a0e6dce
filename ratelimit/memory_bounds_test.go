package ratelimit_test

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
)

func byIP(key string) watchword.Bucket { return watchword.Bucket{By: ratelimit.ByIP, Key: key} }

// In a full store existing windows count on, and new ones are refused with ErrFull until some windows have ended.
func TestMemoryRefusesNewWindowsWhenFull(t *testing.T) {
	clock := newFakeClock()
	store := ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now, MaxWindows: 10})
	l, err := ratelimit.New(store, []ratelimit.Rule{
		{Name: "minute", Limit: 3, Window: time.Minute, By: ratelimit.ByIP},
		{Name: "hour", Limit: 3, Window: time.Hour, By: ratelimit.ByIP},
	}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	take := func(key string, want error) {
		t.Helper()
		if err := l.Take(t.Context(), byIP(key)); !errors.Is(err, want) {
			t.Errorf("Take of %s = %v, want %v", key, err, want)
		}
	}
	for i := range 5 {
		take(strconv.Itoa(i), nil)
	}
	take("new", ratelimit.ErrFull)
	take("0", nil)
	clock.Advance(time.Minute) // the short windows end
	take("new", nil)
	take("newer", nil)
	take("one more", ratelimit.ErrFull)
	clock.Advance(time.Hour)
	for i := range 5 {
		take("later "+strconv.Itoa(i), nil)
	}
	take("one more", ratelimit.ErrFull)
}

// Each new window removes up to two ended ones, so the store does not grow without bound.
func TestMemoryForgetsEndedWindows(t *testing.T) {
	clock := newFakeClock()
	store := ratelimit.NewMemory(ratelimit.MemoryConfig{Now: clock.Now})
	l, err := ratelimit.New(store, []ratelimit.Rule{{Name: "minute", Limit: 3, Window: time.Minute, By: ratelimit.ByIP}}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if err := l.Take(t.Context(), byIP(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		if n := store.Len(); n > 61 {
			t.Fatalf("after %d visitors, one a second, %d windows of a minute are kept", i+1, n)
		}
	}
}

// Users of the package do not link a Redis client.
func TestPackageDoesNotLinkRedis(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/watchword-auth/watchword/ratelimit").Output()
	if err != nil {
		t.Skip("skipped: the go command is not at hand: ", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if strings.Contains(dep, "redis") || strings.HasSuffix(dep, "watchword/internal/script") {
			t.Errorf("package ratelimit links %s", dep)
		}
	}
}
