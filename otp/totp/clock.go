package totp

import "time"

const (
	// maxDriftSteps is how far off a device's clock is still noticed, either way; the window's centre moves no further than that.
	maxDriftSteps = 10
	// maxOffsetDifference is by how much the offsets of two codes may differ that one clock made: it ticks within a step.
	maxOffsetDifference = 1
)

// windowCentre is the middle of the window, in steps from the present one. Where only the present step may pass it is that one,
// whatever an earlier setting has learned.
func (k *key) windowCentre(window int64) int64 {
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
	middle := present + k.windowCentre(window)
	at, ok := k.findCode(code, middle-window, middle+window)
	if !ok {
		return false
	}
	offset := at - present
	if offset == k.LastOffset {
		k.Drift = min(max(offset, -maxDriftSteps), maxDriftSteps)
	}
	k.NextCounter, k.LastOffset, k.LastRefused = at+1, offset, nil
	return true
}

// trackRefusedStep learns from a code that was not accepted. Two consecutive ones that are off by the same number of steps tell
// how far the device's clock is off (negative: it is behind); they do not move the window there. Only where both are right
// by our own clock the device was set right, and the centre goes back to the present step: nothing else could bring it back
// from further away than the window is wide.
func (k *key) trackRefusedStep(code string, now time.Time, window int64) (offset *time.Duration) {
	present, before := k.stepAt(now), k.LastRefused
	k.LastRefused = nil
	at, ok := k.findCode(code, present-maxDriftSteps, present+maxDriftSteps)
	if !ok {
		return nil
	}
	k.LastRefused = &refusedCode{Counter: at, Offset: at - present}
	if before == nil || at <= before.Counter {
		return nil
	}
	if max(k.LastRefused.Offset, -k.LastRefused.Offset) <= window {
		if k.LastRefused.Offset == before.Offset {
			k.Drift, k.LastOffset, k.LastRefused = 0, 0, nil
		}
		return nil
	}
	if max(k.LastRefused.Offset-before.Offset, before.Offset-k.LastRefused.Offset) > maxOffsetDifference {
		return nil
	}
	middle := time.Unix(at*k.Period+k.Period/2, 0).Sub(now)
	return &middle
}
