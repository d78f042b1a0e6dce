//go:build !linux

package wait

import "time"

func sleep(left time.Duration) { time.Sleep(left) }
