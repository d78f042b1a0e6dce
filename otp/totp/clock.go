package totp

import "time"

const (
	// maxDriftSteps is the largest offset of a device's clock that is recognized, and of the window's centre, in steps.
	maxDriftSteps = 10
	// maxOffsetDifference is by how many steps the offsets of two codes from one clock may differ, because steps are rounded.
	maxOffsetDifference = 1
)

// windowCentre returns the centre of the window, in steps from the present step. A window of 0 (Config.Exact) is always
// centred on the present step, even if Drift was set under another configuration.
func (k *key) windowCentre(window int64) int64 {
	if window == 0 {
		return 0
	}
	return k.Drift
}

// acceptStep spends the code if its step is at most window steps from the centre, and stores its offset from the present step.
// If the previous accepted code had the same offset, the centre moves to that offset, for later codes. Two codes with the
// same offset belong to different steps of the server's clock, so within one step at most 2*window+1 codes are accepted.
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

// trackRefusedStep evaluates a code that was not accepted. If the previous answer was refused too and had about the same
// offset, it returns by how much the device's clock is off (negative: behind). The window does not move there. But if both
// offsets are equal and within the window around the present step, the device's clock was corrected, and the centre moves
// back to the present step: accepted codes could not bring it back if it is further away than the window is wide.
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
