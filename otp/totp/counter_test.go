package totp

import (
	"errors"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestAcceptCounterAcceptsNextThreeCounters(t *testing.T) {
	for ahead := range int64(14) {
		k, d, _ := newDevice()
		k.Period, k.NextCounter = 0, 100
		passes := k.acceptCounter(d.codeOfCounter(100 + ahead))
		if passes != (ahead < 3) {
			t.Errorf("%d ahead: passes %t", ahead, passes)
		}
		if remembered := k.LastRefused != nil; remembered != (ahead >= 3 && ahead < 10) {
			t.Errorf("%d ahead: remembered %t", ahead, remembered)
		}
	}
}

// A token up to ten counters ahead is accepted after two consecutive codes. Skipped counters are spent.
func TestCheckAcceptsSecondOfTwoConsecutiveCounters(t *testing.T) {
	k := newKit(t)
	d := k.enrol("hotp", "user_42") // spends 0
	wrong := func(why string, n int64) {
		t.Helper()
		if err := k.checkCode("hotp", "user_42", d.codeOfCounter(n)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Errorf("%s: %v", why, err)
		}
	}
	right := func(why string, n int64) {
		t.Helper()
		if err := k.checkCode("hotp", "user_42", d.codeOfCounter(n)); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
	wrong("the code that enrolled", 0)
	wrong("one that is far ahead", 10)
	wrong("the same again", 10)
	wrong("not the next one", 9)
	if err := k.checkCode("hotp", "user_42", "12345x"); err == nil {
		t.Error("a code that is none passes")
	}
	right("the one after it", 10)
	wrong("one that was skipped", 5)
	wrong("spent", 10)
	wrong("far ahead", 20)
	wrong("something else in between", 2)
	wrong("the second, too late", 21+10)
	wrong("far ahead again", 15)
	right("and the next", 16)
	right("two codes skipped", 19)
	if got := k.onlyFactor("user_42"); got.Failures != 0 {
		t.Errorf("%d failures after a right code", got.Failures)
	}
}

// The second code may belong to the counter after the tenth.
func TestAcceptCounterAcceptsCounterAfterTheTenth(t *testing.T) {
	k, d, _ := newDevice()
	k.Period, k.NextCounter = 0, 100
	if k.acceptCounter(d.codeOfCounter(109)) || !k.acceptCounter(d.codeOfCounter(110)) || k.NextCounter != 111 {
		t.Errorf("the tenth counter and the next do not pass: next %d", k.NextCounter)
	}
	if k.acceptCounter(d.codeOfCounter(110 + 11)) {
		t.Error("the eleventh passes")
	}
	if k.acceptCounter(d.codeOfCounter(110 + 12)) {
		t.Error("two codes farther than the ten pass")
	}
}
