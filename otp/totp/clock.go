package totp

import "time"

const (
	// farSteps is how far off a device's clock is still noticed, either way; the window moves no further than that.
	farSteps = 10
	// sameOffset is by how much the offsets of two codes may differ that one clock made: it ticks within a step.
	sameOffset = 1
)

// acceptStep spends the code if it belongs to the window of steps around where the device's clock is thought to be, and
// learns from it where that is. The window moves; it never grows.
func (k *key) acceptStep(code string, present, window int64) bool {
	centre := present + k.Drift
	at, ok := k.find(code, centre-window, centre+window)
	if !ok {
		return false
	}
	k.Next, k.Far = at+1, nil
	k.Drift = min(max(at-present, -farSteps), farSteps)
	return true
}

// noticeStep learns from a code that was not accepted. A code that is right by our own clock belongs to a device that was
// set right: the window moves back, for the next one. Two in a row that are off by the same number of steps tell how far
// (negative: the device is behind).
func (k *key) noticeStep(code string, now time.Time, window int64) (offset *time.Duration) {
	present, before := k.step(now), k.Far
	k.Far = nil
	if _, ok := k.find(code, present-window, present+window); ok {
		k.Drift = 0
		return nil
	}
	at, ok := k.find(code, present-farSteps, present+farSteps)
	if !ok {
		return nil
	}
	k.Far = &far{At: at, Off: at - present}
	if before == nil || at <= before.At || max(k.Far.Off-before.Off, before.Off-k.Far.Off) > sameOffset {
		return nil
	}
	middle := time.Unix(at*k.Period+k.Period/2, 0).Sub(now)
	return &middle
}
