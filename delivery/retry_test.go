package delivery_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// halfJitter makes each wait exactly as long as the schedule names it.
func halfJitter(limit time.Duration) time.Duration { return limit / 2 }

// runSchedule sends one message by a worker until its code is dead, and returns when the sender was called and what was recorded.
func runSchedule(t *testing.T, lifetime time.Duration, jitter func(time.Duration) time.Duration, answers ...error) (calls []time.Duration, recorded []watchword.Delivery, recordedAfter time.Duration) {
	t.Helper()
	start := time.Now()
	q, sender := delivery.NewQueue(1, nil), &scriptedSender{errors: answers}
	engine := &fakeEngine{compose: func(watchword.Outgoing) (watchword.Message, error) {
		if time.Since(start) >= lifetime {
			return watchword.Message{}, watchword.ErrExpired
		}
		return watchword.Message{ID: "msg_1", Channel: "sms", RequestedAt: start, ExpiresAt: start.Add(lifetime)}, nil
	}}
	stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender, Jitter: jitter})
	putMessages(t, q, 1)
	for len(engine.deliveriesOf("0")) == 0 && time.Since(start) < lifetime+time.Hour {
		time.Sleep(lifetime / 600)
		synctest.Wait()
	}
	recordedAfter = time.Since(start)
	recorded = engine.deliveriesOf("0")
	_ = stop()
	for _, at := range sender.times {
		calls = append(calls, at.Sub(start))
	}
	return calls, recorded, recordedAfter
}

// seconds converts seconds to durations.
func seconds(all ...float64) (out []time.Duration) {
	for _, s := range all {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return out
}

func TestWorkerRetriesOverTheCodesLife(t *testing.T) {
	// Near its end a code is tried after half of what is left of its life.
	minute := seconds(0, 1, 3, 8, 18, 38, 49, 54.5)
	for _, c := range []struct {
		name     string
		lifetime time.Duration
		answers  []error
		calls    []time.Duration
		status   string
		after    time.Duration
	}{
		{"recovers", time.Minute, repeat(4, errDown), minute[:5], watchword.DeliverySent, 18 * time.Second},
		{"greylisted", 10 * time.Minute, repeat(6, faultOf(watchword.FaultRecipient, false)), seconds(0, 1, 3, 8, 18, 38, 78), watchword.DeliverySent, 78 * time.Second},
		{"never recovers", time.Minute, repeat(99, errDown), minute, watchword.DeliveryFailed, time.Minute},
		{"refused for good", time.Minute, repeat(1, permanentError()), minute[:1], watchword.DeliveryFailed, 0},
		{"refused for good later", time.Minute, append(repeat(2, errDown), permanentError()), minute[:3], watchword.DeliveryFailed, 3 * time.Second},
		{"RetryAfter", time.Minute, repeat(1, retryAfterError(20*time.Second)), seconds(0, 20), watchword.DeliverySent, 20 * time.Second},
		{"RetryAfter is after the expiry", time.Minute, repeat(1, retryAfterError(2*time.Minute)), minute[:1], watchword.DeliveryFailed, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, recorded, after := runSchedule(t, c.lifetime, halfJitter, c.answers...)
				if !slices.Equal(calls, c.calls) {
					t.Errorf("tried after %v, want %v", calls, c.calls)
				}
				if len(recorded) != 1 || recorded[0].Status != c.status || (after-c.after).Abs() > c.lifetime/300 {
					t.Errorf("recorded %v after %s; want %s after %s", recorded, after, c.status, c.after)
				}
			})
		})
	}
}

// Waits grow to a minute, and for what lives longer to 15 minutes; after 24 hours the message is given up.
func TestRetryWaitsGrowTo15MinutesAndEndAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, recorded, after := runSchedule(t, 7*24*time.Hour, halfJitter, repeat(999, errDown)...)
		waits := make([]time.Duration, len(calls)-1)
		for i := range waits {
			waits[i] = calls[i+1] - calls[i]
		}
		if want := seconds(1, 2, 5, 10, 20, 40, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 90, 135); !slices.Equal(waits[:len(want)], want) {
			t.Errorf("waits %v", waits[:20])
		}
		if longest := slices.Max(waits); longest != 15*time.Minute || waits[len(waits)-1] != longest {
			t.Errorf("the longest wait is %s, the last one %s", longest, waits[len(waits)-1])
		}
		if len(recorded) != 1 || recorded[0].Status != watchword.DeliveryFailed || after < 24*time.Hour || after > 24*time.Hour+15*time.Minute+7*24*time.Hour/600 {
			t.Errorf("recorded %v after %s", recorded, after)
		}
	})
}

func TestRetryWaitsHaveJitterOfAQuarter(t *testing.T) {
	for _, c := range []struct {
		jitter func(time.Duration) time.Duration
		want   []time.Duration
	}{
		{func(time.Duration) time.Duration { return 0 }, seconds(0, 0.75, 2.25)},
		{func(limit time.Duration) time.Duration { return limit }, seconds(0, 1.25, 3.75)},
	} {
		synctest.Test(t, func(t *testing.T) {
			if calls, _, _ := runSchedule(t, time.Minute, c.jitter, repeat(2, errDown)...); !slices.Equal(calls, c.want) {
				t.Errorf("tried after %v, want %v", calls, c.want)
			}
		})
	}
}

// While the breaker is open a message waits for the next probe, is not composed before, and does not move on in its schedule.
func TestMessagesSkippedByBreakerUseUpNoTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sender := &outage{until: start.Add(60 * time.Second)}
		r := newRouter(t, delivery.RouterConfig{}, sender)
		var composed atomic.Int64
		q, engine := delivery.NewQueue(10, nil), &fakeEngine{compose: func(o watchword.Outgoing) (watchword.Message, error) {
			composed.Add(1)
			return watchword.Message{ID: o.ChallengeID, Channel: "sms", To: o.ChallengeID, RequestedAt: start, ExpiresAt: start.Add(10 * time.Minute)}, nil
		}}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: r})
		putMessages(t, q, 10)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := engine.countRecorded(watchword.DeliveryFailed); n != 0 || sender.callCount() > 40 {
			t.Errorf("after %d calls of the provider, %d are recorded as failed", sender.callCount(), n)
		}
		if n := composed.Load(); n > 140 { // a pause of the breaker is at least 5 seconds
			t.Errorf("10 messages are composed %d times in a minute", n)
		}
		for id, last := range engine.lastAttempts() {
			if last > 5 {
				t.Errorf("message %s has used %d tries", id, last)
			}
		}
		time.Sleep(21 * time.Second) // a pause of the breaker, and once more the wait for a probe in progress
		synctest.Wait()
		if n := engine.countRecorded(watchword.DeliverySent); n != 10 {
			t.Errorf("%d of 10 are sent %s after the provider came back: %v", n, time.Since(start)-time.Minute, engine.lastAttempts())
		}
		_ = stop()
	})
}

// A message that would wait for a minute by its schedule is sent when the breaker lets it through.
func TestMessageIsSentSoonAfterBreakerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := newRouter(t, delivery.RouterConfig{Tries: 1, Jitter: halfJitter}, &outage{until: start.Add(262 * time.Second)})
		q, engine := delivery.NewQueue(10, nil), &fakeEngine{compose: func(o watchword.Outgoing) (watchword.Message, error) {
			return watchword.Message{ID: o.ChallengeID, Channel: "sms", To: o.ChallengeID, RequestedAt: start, ExpiresAt: start.Add(time.Hour)}, nil
		}}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: r, Jitter: halfJitter})
		putMessages(t, q, 2) // two recipients open no breaker; they are tried after 258 and 318 seconds
		time.Sleep(257 * time.Second)
		if err := q.Put(t.Context(), watchword.Outgoing{ChallengeID: "third"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := engine.countRecorded(watchword.DeliverySent); n != 3 {
			t.Errorf("%d of 3 are sent 15 seconds after the provider came back", n)
		}
		_ = stop()
	})
}
