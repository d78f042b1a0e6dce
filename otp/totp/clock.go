package totp

import "time"

const (
	// farSteps is how far off a device's clock is still noticed, either way; the window's centre moves no further than that.
	farSteps = 10
	// sameOffset is by how much the offsets of two codes may differ that one clock made: it ticks within a step.
	sameOffset = 1
)

// centre is the middle of the window, in steps from the present one. Where only the present step may pass it is that one,
// whatever an earlier setting has learned.
func (k *key) centre(window int64) int64 {
	if window == 0 {
		return 0
	}
	return k.Drift
}

// acceptStep spends the code if it is of the window's centre or at most window steps from it, and keeps its offset from the
// present. The second of two consecutive accepted codes that have the same offset moves the centre there, for the codes
// that follow. They belong to different steps of our own clock, so within one of its steps no more codes pass than the
// window has steps.
func (k *key) acceptStep(code string, present, window int64) bool {
	middle := present + k.centre(window)
	at, ok := k.find(code, middle-window, middle+window)
	if !ok {
		return false
	}
	offset := at - present
	if offset == k.Last {
		k.Drift = min(max(offset, -farSteps), farSteps)
	}
	k.Next, k.Last, k.Far = at+1, offset, nil
	return true
}

// noticeStep learns from a code that was not accepted. Two consecutive ones that are off by the same number of steps tell
// how far the device's clock is off (negative: it is behind); they do not move the window there. Only where both are right
// by our own clock the device was set right, and the centre goes back to the present step: nothing else could bring it back
// from further away than the window is wide.
func (k *key) noticeStep(code string, now time.Time, window int64) (offset *time.Duration) {
	present, before := k.step(now), k.Far
	k.Far = nil
	at, ok := k.find(code, present-farSteps, present+farSteps)
	if !ok {
		return nil
	}
	k.Far = &far{At: at, Off: at - present}
	if before == nil || at <= before.At {
		return nil
	}
	if max(k.Far.Off, -k.Far.Off) <= window {
		if k.Far.Off == before.Off {
			k.Drift, k.Last, k.Far = 0, 0, nil
		}
		return nil
	}
	if max(k.Far.Off-before.Off, before.Off-k.Far.Off) > sameOffset {
		return nil
	}
	middle := time.Unix(at*k.Period+k.Period/2, 0).Sub(now)
	return &middle
}
