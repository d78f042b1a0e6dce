package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A failoverPolicy moves the messages of every channel after 30 seconds. The channel has two senders, 0 and 1, or three, and reports come.
type failoverPolicy struct{ reportsNeverCome, threeSenders bool }

func (p failoverPolicy) ReportTimeout(d watchword.Delivery) time.Duration {
	if len(d.Tried) == 0 || len(d.Tried) == 1 && p.threeSenders {
		return 30 * time.Second
	}
	return 0
}
func (p failoverPolicy) ReportsCome(string, string) bool     { return !p.reportsNeverCome }
func (failoverPolicy) CountSent(string, string, time.Time)   {}
func (failoverPolicy) CountReport(string, string, time.Time) {}
func withFailover(c *watchword.Config)                       { c.Failover = failoverPolicy{} }
func withSilentPrefixes(c *watchword.Config)                 { c.Failover = failoverPolicy{reportsNeverCome: true} }
func sentBy(sender int) watchword.Delivery {
	d := deliveryOf(watchword.DeliverySent, sender)
	if sender == 1 {
		d.Tried = firstTried
	}
	return d
}
func deliveryOf(status string, sender int) watchword.Delivery {
	return watchword.Delivery{Status: status, Provider: fmt.Sprint("provider ", sender), Channel: "sms", Sender: fmt.Sprint("sender ", sender)}
}

// firstTried are the tried senders of a message that the first one has not delivered.
var firstTried = []string{"sender 0"}

// A limiterSpy notes the buckets of the last charge.
type limiterSpy struct {
	refuse bool
	last   []watchword.Bucket
}

func (l *limiterSpy) Take(_ context.Context, buckets ...watchword.Bucket) error {
	if l.last = buckets; l.refuse {
		return &watchword.LimitError{Rule: "prefix_hour", RetryAfter: time.Hour}
	}
	return nil
}

// onEachOutbox runs a test with an outbox in the process, and with a store that is the outbox.
func onEachOutbox(t *testing.T, test func(t *testing.T, outbox func(*watchword.Config))) {
	t.Run("queue", func(t *testing.T) { test(t, func(*watchword.Config) {}) })
	t.Run("store", func(t *testing.T) { test(t, withStoreAsOutbox) })
}

// startSentBy starts a challenge by SMS and lets the first sender accept its message. It returns the message.
func (k *kit) startSentBySMS() (id string, m watchword.Message) {
	k.t.Helper()
	id = k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject}).ID
	o := k.outbox.last(id)
	m = k.compose(o)
	k.record(o.Composed(m), sentBy(0))
	return id, m
}

func (k *kit) compose(o watchword.Outgoing) watchword.Message {
	k.t.Helper()
	m, err := k.ComposeMessage(context.Background(), o)
	if err != nil {
		k.t.Fatalf("compose: %v", err)
	}
	return m
}

func (k *kit) record(o watchword.Outgoing, d watchword.Delivery) {
	k.t.Helper()
	if err := k.RecordDelivery(context.Background(), o, d); err != nil {
		k.t.Fatalf("record: %v", err)
	}
}

func (k *kit) report(id string, d watchword.Delivery) {
	k.t.Helper()
	if err := k.RecordReport(context.Background(), watchword.Outgoing{ChallengeID: id, Send: 1}, d); err != nil {
		k.t.Fatalf("report: %v", err)
	}
}

func failoverOf(id string) watchword.Outgoing {
	return watchword.Outgoing{Kind: watchword.KindFailover, ChallengeID: id, Send: 1}
}

func TestFailoverAsksNextSenderOnceWithTheSameMessage(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		limits := &limiterSpy{}
		k := newKit(t, withFailover, outbox, func(c *watchword.Config) { c.Starts = limits })
		id, first := k.startSentBySMS()
		k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
		o := k.outbox.last(id)
		if o.Kind != watchword.KindFailover || o.Send != 1 || !o.Due.IsZero() {
			t.Fatalf("queued %+v", o)
		}
		m := k.compose(o)
		if !slices.Equal(m.Tried, firstTried) || m.ID != first.ID || m.Code.Reveal() != first.Code.Reveal() {
			t.Errorf("after %v the next sender gets %s", m.Tried, m.ID)
		}
		by := map[string]bool{}
		for _, b := range limits.last {
			by[b.By] = true
		}
		if len(by) != 4 || !by["prefix"] || !by["country"] || !by["app"] || !by["all"] {
			t.Errorf("charged %v", by)
		}
		if got := k.deliveryStatus(id); got != watchword.DeliverySent {
			t.Errorf("the status went back to %s", got)
		}
		k.record(o.Composed(m), sentBy(1))
		for range 3 {
			if _, err := k.ComposeMessage(context.Background(), o); !errors.Is(err, watchword.ErrClosed) {
				t.Errorf("a second move: %v", err)
			}
		}
		k.report(id, deliveryOf(watchword.DeliveryFailed, 0)) // of the sender that the message has left
		if got := k.deliveryStatus(id); got != watchword.DeliverySent {
			t.Errorf("a report of the first sender made it %s", got)
		}
		k.report(id, deliveryOf(watchword.DeliveryFailed, 1))
		if got := k.deliveryStatus(id); got != watchword.DeliveryFailed {
			t.Errorf("both senders have failed, and the status is %s", got)
		}
		k.report(id, deliveryOf(watchword.DeliveryDelivered, 0))
		if got := k.deliveryStatus(id); got != watchword.DeliveryDelivered {
			t.Errorf("a later report of the first sender does not show: %s", got)
		}
		k.report(id, deliveryOf(watchword.DeliveryFailed, 1))
		k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
		if got := k.deliveryStatus(id); got != watchword.DeliveryDelivered {
			t.Errorf("the status went back to %s", got)
		}
	})
}

// A sender that was given up by the try reports its failure before the try has ended. The message moves once: by the try, or after it.
func TestReportBeforeOutcomeMovesMessageOnce(t *testing.T) {
	for accepted := range 2 {
		t.Run(fmt.Sprint("accepted by sender ", accepted), func(t *testing.T) {
			onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
				k := newKit(t, withFailover, outbox)
				id := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject}).ID
				o := k.outbox.last(id)
				m := k.compose(o)
				k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
				var early *watchword.ClaimedError
				if _, err := k.ComposeMessage(context.Background(), failoverOf(id)); !errors.As(err, &early) {
					t.Errorf("the message moves beside the try: %v", err)
				}
				k.record(o.Composed(m), sentBy(accepted))
				moved, err := k.ComposeMessage(context.Background(), failoverOf(id))
				if accepted == 1 && !errors.Is(err, watchword.ErrClosed) || accepted == 0 && (err != nil || !slices.Equal(moved.Tried, firstTried)) {
					t.Errorf("after the try the message moves on from %v: %v", moved.Tried, err)
				}
				if last := k.outbox.last(id); accepted == 0 && (last.Kind != watchword.KindFailover || !last.Due.IsZero()) {
					t.Errorf("queued %+v", last)
				}
				k.report(id, deliveryOf(watchword.DeliveryFailed, 1-accepted)) // of the sender that is not asked any more, or not yet
				if got := k.deliveryStatus(id); got != watchword.DeliverySent {
					t.Errorf("the status is %s", got)
				}
			})
		})
	}
}

// If the process dies before the outcome is known, a message that was reported as not delivered moves when the try has ended.
func TestReportedMessageMovesAlthoughOutcomeIsLost(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		k := newKit(t, withFailover, outbox)
		id := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject}).ID
		k.compose(k.outbox.last(id))
		k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
		k.clock.advance(watchword.SendLease)
		if m := k.compose(failoverOf(id)); !slices.Equal(m.Tried, firstTried) {
			t.Errorf("tried are %v", m.Tried)
		}
	})
}

// A question that comes too early, as an attacker may queue it, waits. Silence moves a message at its time.
func TestSilenceMovesMessageNotBeforeItsTime(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		k := newKit(t, withFailover, outbox)
		id, _ := k.startSentBySMS()
		due := k.outbox.last(id)
		if due.Kind != watchword.KindFailover || !due.Due.Equal(k.clock.Now().Add(30*time.Second)) {
			t.Fatalf("queued %+v", due)
		}
		k.clock.advance(28 * time.Second)
		var early *watchword.ClaimedError
		for range 100 {
			if _, err := k.ComposeMessage(context.Background(), failoverOf(id)); !errors.As(err, &early) || !early.Until.Equal(due.Due) {
				t.Fatalf("after 28 seconds: %v", err)
			}
		}
		k.clock.advance(2 * time.Second)
		if m := k.compose(due); !slices.Equal(m.Tried, firstTried) {
			t.Errorf("tried are %v", m.Tried)
		}
	})
}

func TestMessageDoesNotMove(t *testing.T) {
	for name, c := range map[string]struct {
		options []func(*watchword.Config)
		refuse  bool // by limits
		before  func(k *kit, id string)
	}{
		"reports of the prefix never come": {options: []func(*watchword.Config){withSilentPrefixes}},
		"limits refuse":                    {options: []func(*watchword.Config){withFailover}, refuse: true},
		"no failover":                      {},
		"delivered": {options: []func(*watchword.Config){withFailover}, before: func(k *kit, id string) {
			k.report(id, deliveryOf(watchword.DeliveryDelivered, 0))
		}},
		"canceled": {options: []func(*watchword.Config){withFailover}, before: func(k *kit, id string) {
			_, _ = k.Cancel(context.Background(), id)
		}},
		"sent by the last sender": {options: []func(*watchword.Config){withFailover}, before: func(k *kit, id string) {
			k.clock.advance(time.Minute)
			_, _ = k.Resend(context.Background(), id, watchword.ResendRequest{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			limits := &limiterSpy{}
			k := newKit(t, append(c.options, withStoreAsOutbox, func(cfg *watchword.Config) { cfg.Starts = limits })...)
			id, _ := k.startSentBySMS()
			limits.refuse = c.refuse
			if c.before != nil {
				c.before(k, id)
			}
			k.clock.advance(30 * time.Second)
			if m, err := k.ComposeMessage(context.Background(), failoverOf(id)); !errors.Is(err, watchword.ErrClosed) {
				t.Errorf("composed after %v, %v", m.Tried, err)
			}
		})
	}
}

// Limits that refuse the move leave a message as failed if its sender has reported that.
func TestMoveRefusedByLimitsIsFailure(t *testing.T) {
	onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
		limits := &limiterSpy{}
		k := newKit(t, withFailover, outbox, func(c *watchword.Config) { c.Starts = limits })
		id, _ := k.startSentBySMS()
		k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
		limits.refuse = true
		if _, err := k.ComposeMessage(context.Background(), failoverOf(id)); !errors.Is(err, watchword.ErrClosed) {
			t.Errorf("composed: %v", err)
		}
		if got := k.deliveryStatus(id); got != watchword.DeliveryFailed {
			t.Errorf("the status is %s", got)
		}
	})
}

// A decoy's message moves to nobody, and takes no limit for it.
func TestDecoyDoesNotMove(t *testing.T) {
	limits := &limiterSpy{}
	k := newKit(t, withFailover, func(c *watchword.Config) { c.Starts = limits })
	id := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject, Decoy: true}).ID
	if _, err := k.ComposeMessage(context.Background(), k.outbox.last(id)); !errors.Is(err, watchword.ErrClosed) {
		t.Fatal(err)
	}
	limits.last = nil
	k.clock.advance(time.Minute)
	if _, err := k.ComposeMessage(context.Background(), failoverOf(id)); !errors.Is(err, watchword.ErrClosed) || limits.last != nil {
		t.Errorf("%v, charged %v", err, limits.last)
	}
}

// Whoever can write to the outbox may repeat the question a thousand times, at two nodes: the bound of a send holds.
func TestRepeatedFailoverIsSentAtMostTwice(t *testing.T) {
	k := newKit(t, withFailover, withStoreAsOutbox)
	id, _ := k.startSentBySMS()
	k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
	other := k.newNode()
	total := 0
	for range 5 {
		total += composeAll(200, failoverOf(id), k.Engine, other).composed
		k.clock.advance(watchword.SendLease + time.Second)
	}
	if total != 2 {
		t.Errorf("composed %d times", total)
	}
}
