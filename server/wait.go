package server

import (
	"context"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// maxWaitSeconds is the longest time that a caller may wait for the end of a challenge or verification, in seconds.
const maxWaitSeconds = 25

// waitParameter returns the query parameter wait. The subject is what ends.
func waitParameter(subject string) parameter {
	return parameter{in: inQuery, name: "wait", schema: &huma.Schema{Type: huma.TypeInteger, Minimum: new(0.0), Maximum: new(float64(maxWaitSeconds))},
		description: "Respond as soon as the " + subject + " is no longer pending, or after this many seconds."}
}

// waitForStatus returns what the path names when it has ended, when the time of the parameter wait has passed or when the caller
// disconnects. If too many callers of the app are waiting, it returns at once.
func waitForStatus[View any](ctx context.Context, c *call, read, wait func(ctx context.Context, id string) (View, error)) (view View, err error) {
	seconds := 0
	if text, given := c.query["wait"]; given {
		if seconds, err = strconv.Atoi(text); err != nil || strconv.Itoa(seconds) != text || seconds < 0 || seconds > maxWaitSeconds {
			return view, invalidField("wait", "must be 0 to 25 seconds")
		}
	}
	id := c.request.PathValue("id")
	if seconds == 0 {
		return read(ctx, id)
	}
	select {
	case c.waiters <- struct{}{}:
		defer func() { <-c.waiters }()
	default:
		return read(ctx, id)
	}
	waitCtx, cancel := context.WithTimeout(c.request.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	return wait(waitCtx, id)
}
