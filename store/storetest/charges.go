package storetest

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// A clockReading bounds the time at which the store read its clock during a call.
type clockReading struct{ earliest, latest time.Time }

// A chargeLog is a budget's log as the caller knows it, the oldest charge first.
type chargeLog []clockReading

// waitBounds returns the bounds of the time to wait for a call between before and after. If least is positive, the budget must
// refuse. If most is not positive, it must not.
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

// clockTolerance returns the tolerance for times: 0 with a Clock.
func (h *harness) clockTolerance() time.Duration {
	if h.clock != nil {
		return 0
	}
	return 2 * precision
}

// checkCharge fails the test if a charge should have been refused.
func (h *harness) checkCharge(log chargeLog, b watchword.Budget, before, after time.Time) {
	h.Helper()
	if least, _ := log.waitBounds(b.Limits, before, after); least > h.clockTolerance() {
		h.Fatalf("charge %d came %s too early and was not refused", len(log)+1, least)
	}
}

// checkRefusal fails the test if a refusal should have been a charge, or if its time to wait is wrong.
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
