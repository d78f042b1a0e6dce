// Package wait waits until a point in time more precisely than a timer. On Linux the runtime rounds the rest of a timer up to a
// millisecond. The end of such a wait therefore depends on when it started, which would reveal how long earlier work took.
package wait

import (
	"context"
	"time"
)

const (
	// exactWait is the last part of a wait, which blocks a thread.
	exactWait = 1500 * time.Microsecond
	// maxThreads is the largest number of blocked threads. Further waits use the timer only.
	maxThreads = 64
)

var threads = make(chan struct{}, maxThreads)

// Until returns at the given time, or when the context ends. It never returns early otherwise.
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
