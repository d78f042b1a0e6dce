package wait

import (
	"syscall"
	"time"
)

// sleep blocks the thread for the given duration.
func sleep(left time.Duration) {
	for until := time.Now().Add(left); left > 0; left = time.Until(until) {
		t := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&t, nil) // may return early because of a signal
	}
}
