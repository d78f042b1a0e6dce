package outbound

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter bounds what a peer may ask for; no code lives that long.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads a Retry-After header (RFC 9110 §10.2.3), seconds or a date: how long from now, at most a day. Zero if there
// is neither, or the date is over.
func RetryAfter(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
