package outbound

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the longest delay that a peer can cause.
const maxRetryAfter = 24 * time.Hour

// RetryAfter parses a Retry-After header (RFC 9110 §10.2.3), seconds or a date. It returns the delay from now, at most a day. It
// returns zero if the header is invalid or the date is past.
func RetryAfter(text string, now time.Time) time.Duration {
	delay := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		delay = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		delay = at.Sub(now)
	}
	return min(max(delay, 0), maxRetryAfter)
}
