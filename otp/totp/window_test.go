package totp

import (
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"pgregory.net/rapid"
)

// tryCode gives the key the code of a step, by its offset from the present step, with a window of one step.
func tryCode(k *key, d *device, now time.Time, offset int64) (passes bool) {
	code := d.codeOfCounter(k.stepAt(now) + offset)
	if k.acceptStep(code, k.stepAt(now), 1) {
		return true
	}
	k.trackRefusedStep(code, now, 1)
	return false
}

// An stepAnswer is the code of a step by its offset, an hour after the previous one, and whether it is accepted.
type stepAnswer struct {
	offset int64
	passes bool
}

// checkAnswers gives a new device's codes to its key and compares which are accepted, and the final centre.
func checkAnswers(t *testing.T, drift int64, answers ...stepAnswer) {
	t.Helper()
	k, d, now := newDevice()
	for n, a := range answers {
		if got := tryCode(k, d, now, a.offset); got != a.passes {
			t.Errorf("code %d, %d steps off: passes %t, with the centre at %d", n, a.offset, got, k.Drift)
		}
		now = now.Add(time.Hour)
	}
	if k.Drift != drift {
		t.Errorf("the centre is at %d, want %d", k.Drift, drift)
	}
}

func TestAcceptStepRefusesCodeTwoStepsOldAfterOneLateCode(t *testing.T) {
	checkAnswers(t, 0, stepAnswer{-1, true}, stepAnswer{-2, false})
	checkAnswers(t, 0, stepAnswer{1, true}, stepAnswer{2, false})
}

// A code that is two steps old by the server's clock is one step old by the device's, and accepted.
func TestAcceptStepMovesCentreAfterTwoCodesWithTheSameOffset(t *testing.T) {
	checkAnswers(t, -1, stepAnswer{-1, true}, stepAnswer{-1, true}, stepAnswer{-2, true}, stepAnswer{-3, false}, stepAnswer{1, false}, stepAnswer{0, true})
	checkAnswers(t, 1, stepAnswer{1, true}, stepAnswer{1, true}, stepAnswer{2, true}, stepAnswer{3, false}, stepAnswer{-1, false}, stepAnswer{0, true})
	checkAnswers(t, -2, stepAnswer{-1, true}, stepAnswer{-1, true}, stepAnswer{-2, true}, stepAnswer{-2, true}, stepAnswer{-3, true}, stepAnswer{0, false})
}

func TestAcceptStepForgetsOffsetAfterCodeWithAnotherOffset(t *testing.T) {
	checkAnswers(t, 0, stepAnswer{-1, true}, stepAnswer{0, true}, stepAnswer{-1, true}, stepAnswer{1, true}, stepAnswer{-1, true}, stepAnswer{-2, false})
}

func TestAcceptStepResetsCentreAfterTwoCodesWithoutOffset(t *testing.T) {
	checkAnswers(t, -1, stepAnswer{-1, true}, stepAnswer{-1, true}, stepAnswer{0, true}, stepAnswer{1, false})
	checkAnswers(t, 0, stepAnswer{-1, true}, stepAnswer{-1, true}, stepAnswer{0, true}, stepAnswer{0, true}, stepAnswer{1, true}, stepAnswer{-2, false})
}

// Codes within one step of the server's clock cannot move the window further.
func TestAcceptStepAcceptsThreeStepsAtOneMomentAtMost(t *testing.T) {
	for _, history := range [][]stepAnswer{nil, {{-1, true}}, {{1, true}}, {{-1, true}, {-1, true}}, {{1, true}, {1, true}}} {
		k, d, now := newDevice()
		for _, a := range history {
			tryCode(k, d, now, a.offset)
			now = now.Add(time.Hour)
		}
		passing := 0
		for offset := int64(-maxDriftSteps); offset <= maxDriftSteps; offset++ {
			if tryCode(k, d, now, offset) {
				passing++
			}
		}
		if passing > 3 {
			t.Errorf("after %v codes of %d steps pass one after another", history, passing)
		}
	}
}

func TestAcceptStepMovesCentreTenStepsAtMost(t *testing.T) {
	k, d, now := newDevice()
	for offset := int64(1); offset <= maxDriftSteps+2; offset++ {
		for range 2 {
			now = now.Add(time.Hour)
			if got, want := tryCode(k, d, now, offset), offset <= maxDriftSteps+1; got != want {
				t.Errorf("%d steps off: passes %t, with the centre at %d", offset, got, k.Drift)
			}
		}
	}
	if k.Drift != maxDriftSteps {
		t.Errorf("the centre is at %d", k.Drift)
	}
}

// Drift was set under another configuration.
func TestAcceptStepIgnoresLearnedOffsetWhenExact(t *testing.T) {
	for offset := int64(-2); offset <= 2; offset++ {
		k, d, now := newDevice()
		k.Drift, k.LastOffset = -1, -1
		if got := k.acceptStep(d.codeOfCounter(k.stepAt(now)+offset), k.stepAt(now), 0); got != (offset == 0) {
			t.Errorf("%d steps off: passes %t", offset, got)
		}
	}
}

// Only accepted codes move the window away from the server's clock.
func TestTrackRefusedStepKeepsCentreWhenClockIsFarOff(t *testing.T) {
	checkAnswers(t, 0, stepAnswer{-2, false}, stepAnswer{-2, false}, stepAnswer{-2, false}, stepAnswer{0, true}, stepAnswer{-1, true})
}

func TestTrackRefusedStepResetsCentreAfterTwoCodesOfThePresentStep(t *testing.T) {
	followed := []stepAnswer{{1, true}, {1, true}, {2, true}, {2, true}, {3, true}, {3, true}}
	checkAnswers(t, 3, append(followed, stepAnswer{0, false})...)
	checkAnswers(t, 3, append(followed, stepAnswer{0, false}, stepAnswer{1, false}, stepAnswer{0, false})...)
	checkAnswers(t, 3, append(followed, stepAnswer{0, false}, stepAnswer{-8, false}, stepAnswer{0, false})...)
	checkAnswers(t, 0, append(followed, stepAnswer{0, false}, stepAnswer{0, false}, stepAnswer{0, true}, stepAnswer{2, false})...)
}

// The same by the engine: after two wrong answers the device works again.
func TestCheckAcceptsDeviceTwoCodesAfterItsClockWasCorrected(t *testing.T) {
	k := newKit(t)
	d := k.enrol("totp", "user_42")
	for _, d.clockOffset = range []time.Duration{-step, -step, -2 * step, -2 * step, -3 * step} {
		k.advance(time.Hour)
		if err := k.checkCode("totp", "user_42", d.codeAt(k.time())); err != nil {
			t.Fatalf("%s off: %v", d.clockOffset, err)
		}
	}
	d.clockOffset = 0
	for _, wait := range []time.Duration{step, 0, step} { // a repeated code does not count
		k.advance(wait)
		if err := k.checkCode("totp", "user_42", d.codeAt(k.time())); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Fatalf("a step outside of the window that has moved: %v", err)
		}
	}
	k.advance(step)
	if err := k.checkCode("totp", "user_42", d.codeAt(k.time())); err != nil {
		t.Fatalf("after the clock was seen to be right: %v", err)
	}
}

// For random sequences of codes: an accepted code is at most one step from the centre and later than the last accepted one;
// at most three codes are accepted within a step; and the centre moves only to the offset of two consecutive accepted codes,
// by one step at a time, or back to the present step after two consecutive refused codes of it. The device's secret is
// fixed, and no two possible steps have the same code.
func TestCentreMovesOnlyAfterTwoCodesWithTheSameOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, d, now := newDevice()
		var lastOffset *int64
		passed := 0
		for range rapid.IntRange(1, 60).Draw(t, "codes") {
			if wait := rapid.Int64Range(0, 3).Draw(t, "steps until it comes"); wait > 0 {
				now, passed = now.Add(time.Duration(wait)*step), 0
			}
			before, offset := *k, rapid.Int64Range(-1, 1).Draw(t, "from the centre")+rapid.SampledFrom([]int64{0, 0, 0, 2, -2, -k.Drift}).Draw(t, "more")+k.Drift
			passes := tryCode(k, d, now, offset)
			at, inside := k.stepAt(now)+offset, offset >= before.Drift-1 && offset <= before.Drift+1
			if passes != (inside && at >= before.NextCounter) {
				t.Fatalf("%d steps off with the centre at %d, %d the first that is not spent: passes %t", offset, before.Drift, before.NextCounter-k.stepAt(now), passes)
			}
			if passes {
				passed++
			}
			agreed := passes && lastOffset != nil && *lastOffset == offset
			back := !passes && before.LastRefused != nil && before.LastRefused.Offset == offset && offset >= -1 && offset <= 1
			want := before.Drift
			switch {
			case agreed:
				want = min(max(offset, -maxDriftSteps), maxDriftSteps)
			case back && at > before.LastRefused.Counter:
				want = 0
			}
			if k.Drift != want {
				t.Fatalf("%d steps off: the centre moved from %d to %d, want %d", offset, before.Drift, k.Drift, want)
			}
			if passed > 3 {
				t.Fatalf("%d codes pass within a step", passed)
			}
			switch {
			case passes:
				lastOffset = &offset
			case k.Drift != before.Drift:
				lastOffset = nil
			}
		}
	})
}
