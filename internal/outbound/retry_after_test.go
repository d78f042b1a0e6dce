package outbound_test

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/outbound"
)

func TestRetryAfterReadsSecondsAndDates(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-5": 0, "soon": 0, "1.5": 0, "9223372036854775807": 24 * time.Hour,
		"Sat, 01 Aug 2026 12:00:05 GMT": 5 * time.Second, "Saturday, 01-Aug-26 12:00:05 GMT": 5 * time.Second, "Sat Aug  1 12:00:05 2026": 5 * time.Second,
		"Sat, 01 Aug 2026 11:00:00 GMT": 0, "Fri, 01 Aug 2036 12:00:00 GMT": 24 * time.Hour, "Sat, 01 Aug 2026 12:00:05 +0200": 0,
	} {
		if got := outbound.RetryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
