// Package wait waits for a moment more exactly than a timer does. On Linux the runtime rounds what is left of a timer up to
// a millisecond, so a timer that is started a little later fires a little later too, and would tell what was done before.
package wait

import (
	"context"
	"time"
)

const (
	// exactWait is how long before the moment the exact wait begins, which takes a thread.
	exactWait = 1500 * time.Microsecond
	// maxThreads threads that wait at a time. Whoever finds none waits by the timer alone.
	maxThreads = 64
)

var threads = make(chan struct{}, maxThreads)

// Until returns at a moment, or when the context ends.
func Until(ctx context.Context, moment time.Time) {
	if left := time.Until(moment); left > exactWait {
		timer := time.NewTimer(left - exactWait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	select {
	case threads <- struct{}{}:
		sleep(time.Until(moment))
		<-threads
	case <-ctx.Done():
	default:
		time.Sleep(time.Until(moment))
	}
}
