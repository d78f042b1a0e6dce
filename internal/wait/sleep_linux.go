package wait

import (
	"syscall"
	"time"
)

// sleep blocks a thread until the time has passed.
func sleep(left time.Duration) {
	for until := time.Now().Add(left); left > 0; left = time.Until(until) {
		t := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&t, nil) // a signal ends it early, and it goes on
	}
}
