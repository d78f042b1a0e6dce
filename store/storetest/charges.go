package storetest

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// A clockReading is when the store looked at its clock, as closely as the caller knows: between the two.
type clockReading struct{ earliest, latest time.Time }

// chargeLog is a budget's log as its caller knows it, the oldest first.
type chargeLog []clockReading

// waitBounds says between which bounds a budget must ask to wait at a moment between before and after. If the least is
// positive it must refuse; if the most is not, it must not.
func (log chargeLog) waitBounds(limits []watchword.Window, before, after time.Time) (least, most time.Duration) {
	for _, w := range limits {
		if len(log) < w.Max {
			continue
		}
		c := log[len(log)-w.Max]
		least = max(least, w.Per-after.Sub(c.earliest))
		most = max(most, w.Per-before.Sub(c.latest))
	}
	return least, most
}

// clockTolerance is what a real clock's times may be off.
func (h *harness) clockTolerance() time.Duration {
	if h.clock != nil {
		return 0
	}
	return 2 * precision
}

// checkCharge fails if a charge should have been refused.
func (h *harness) checkCharge(log chargeLog, b watchword.Budget, before, after time.Time) {
	h.Helper()
	if least, _ := log.waitBounds(b.Limits, before, after); least > h.clockTolerance() {
		h.Fatalf("charge %d came %s too early and was not refused", len(log)+1, least)
	}
}

// checkRefusal fails if a refusal should have been a charge, or asks to wait for another time than is needed.
func (h *harness) checkRefusal(log chargeLog, b watchword.Budget, before, after time.Time, asked time.Duration) {
	h.Helper()
	least, most := log.waitBounds(b.Limits, before, after)
	if asked <= 0 || most+h.clockTolerance() <= 0 {
		h.Fatalf("refused though no limit holds after %d charges; asked to wait for %s", len(log), asked)
	}
	if asked < least-h.clockTolerance() || asked > most+h.clockTolerance() {
		h.Fatalf("asked to wait for %s after %d charges; it should be %s to %s", asked, len(log), least, most)
	}
}
