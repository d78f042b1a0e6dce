package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/watchword-auth/watchword"
)

// If the sender that reports a failure before the outcome is known was the last one of the try, the message does not move back.
func TestReportOfLastSenderBeforeOutcomeIsFailure(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		k := newKit(t, withFailover, outbox)
		id := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject}).ID
		o := k.outbox.last(id)
		m := k.compose(o)
		k.report(id, deliveryOf(watchword.DeliveryFailed, 1))
		k.record(o.Composed(m), sentBy(1))
		if got := k.deliveryStatus(id); got != watchword.DeliveryFailed {
			t.Errorf("the status is %s", got)
		}
		if m, err := k.ComposeMessage(context.Background(), failoverOf(id)); !errors.Is(err, watchword.ErrClosed) {
			t.Errorf("composed after %v, %v", m.Tried, err)
		}
	})
}

// A report that names no sender is about the one that has the message.
func TestReportWithoutSenderIsAboutTheOneThatHasTheMessage(t *testing.T) {
	k := newKit(t, withFailover)
	id, _ := k.startSentBySMS()
	k.report(id, watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "sms"})
	if m := k.compose(k.outbox.last(id)); !slices.Equal(m.Tried, firstTried) {
		t.Errorf("tried are %v", m.Tried)
	}
}

// A message that the second sender of a try has accepted does not go back to the first, which the try has asked in vain.
func TestFailoverSkipsSendersThatTheTryAskedInVain(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		for name, reportsFirst := range map[string]bool{"the outcome is known first": false, "the report comes first": true} {
			k := newKit(t, func(c *watchword.Config) { c.Failover = failoverPolicy{threeSenders: true} }, outbox)
			id := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject}).ID
			o := k.outbox.last(id)
			m := k.compose(o)
			if reportsFirst {
				k.report(id, deliveryOf(watchword.DeliveryFailed, 1))
			}
			k.record(o.Composed(m), sentBy(1))
			if !reportsFirst {
				k.report(id, deliveryOf(watchword.DeliveryFailed, 1))
			}
			if moved := k.compose(failoverOf(id)); !slices.Equal(moved.Tried, []string{"sender 0", "sender 1"}) {
				t.Errorf("%s: tried are %v", name, moved.Tried)
			}
		}
	})
}
