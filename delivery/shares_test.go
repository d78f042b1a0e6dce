package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// fillQueue adds messages of a channel until the queue is full, and returns how many those were.
func fillQueue(t *testing.T, q *delivery.Queue, channel string) (n int) {
	t.Helper()
	for ; ; n++ {
		err := q.Put(t.Context(), watchword.Outgoing{ChallengeID: fmt.Sprint(channel, n), Channel: channel})
		if errors.Is(err, delivery.ErrQueueFull) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Mail that nobody sends leaves places for SMS, and that leaves places for calls.
func TestQueueLeavesPlacesForOtherChannelsWhenOneIsFull(t *testing.T) {
	q := delivery.NewQueue(120, nil)
	if n := fillQueue(t, q, "email"); n != 120 {
		t.Errorf("%d messages of the first channel, want 120", n)
	}
	sms, voice := fillQueue(t, q, "sms"), fillQueue(t, q, "voice")
	if sms < 40 || voice < 20 {
		t.Errorf("%d messages of the second channel, %d of the third", sms, voice)
	}
	if due, later, oldest := q.Backlog(); due != 120+sms+voice || later != 0 || oldest.IsZero() {
		t.Errorf("backlog %d, %d, %s", due, later, oldest)
	}
	if due, _, _ := q.Backlog(); due > 240 {
		t.Errorf("%d messages in all", due)
	}
	one, _ := claimOne(t.Context(), q)
	_ = q.Done(t.Context(), one)
	if err := q.Put(t.Context(), watchword.Outgoing{Channel: "whatsapp"}); err != nil {
		t.Errorf("a fourth channel: %v", err)
	}
}

func TestQueueClaimTakesChannelsInTurn(t *testing.T) {
	q := delivery.NewQueue(120, nil)
	fillQueue(t, q, "email")
	if err := q.Put(t.Context(), watchword.Outgoing{ChallengeID: "code", Channel: "sms"}); err != nil {
		t.Fatal(err)
	}
	out, err := q.Claim(t.Context(), 3)
	if err != nil || len(out) != 3 || out[0].ChallengeID != "email0" || out[1].ChallengeID != "code" || out[2].ChallengeID != "email1" {
		t.Errorf("claimed %+v, %v", out, err)
	}
}

func TestQueueBacklogFollowsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, began := delivery.NewQueue(10, nil), time.Now()
		check := func(step string, wantDue, wantLater int, wantOldest time.Time) {
			t.Helper()
			if due, later, oldest := q.Backlog(); due != wantDue || later != wantLater || !oldest.Equal(wantOldest) {
				t.Errorf("%s: %d due, %d later, the oldest since %s", step, due, later, oldest)
			}
		}
		check("empty", 0, 0, time.Time{})
		_ = q.Put(t.Context(), watchword.Outgoing{ChallengeID: "a"})
		time.Sleep(time.Second)
		_ = q.Put(t.Context(), watchword.Outgoing{ChallengeID: "b", Channel: "sms"})
		check("two wait", 2, 0, began)
		a, _ := claimOne(t.Context(), q)
		check("one is being sent", 2, 0, began.Add(time.Second))
		_ = q.Retry(t.Context(), a, time.Now().Add(time.Minute))
		check("it is sent later", 1, 1, began.Add(time.Second))
		time.Sleep(2 * time.Minute)
		b, _ := claimOne(t.Context(), q)
		_ = q.Done(t.Context(), b)
		check("the other one is done", 1, 0, began.Add(time.Second+time.Minute))
	})
}

// The outbox does not know the channels of its messages, as one that processes share.
func TestWorkerSendsSMSWhileProviderOfMailHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := delivery.NewQueue(1000, nil)
		engine := &fakeEngine{compose: func(o watchword.Outgoing) (watchword.Message, error) {
			channel := "email"
			if strings.HasPrefix(o.ChallengeID, "sms") {
				channel = "sms"
			}
			return watchword.Message{ID: "msg_" + o.ChallengeID, ChallengeID: o.ChallengeID, Channel: channel}, nil
		}}
		var hanging, most atomic.Int64
		sender := senderFunc(func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
			if m.Channel == "sms" {
				return watchword.Sent{}, nil
			}
			most.Store(max(most.Load(), hanging.Add(1)))
			defer hanging.Add(-1)
			time.Sleep(20 * time.Second)
			return watchword.Sent{}, nil
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender, Concurrency: 4, DrainTimeout: time.Hour})
		putMessages(t, q, 20)
		synctest.Wait()
		if err := q.Put(t.Context(), watchword.Outgoing{ChallengeID: "sms1", Send: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if d := engine.deliveriesOf("sms1"); len(d) != 1 || d[0].Status != watchword.DeliverySent {
			t.Errorf("while mail hangs, the SMS is %v", d)
		}
		time.Sleep(5 * time.Minute)
		if n := engine.countRecorded(watchword.DeliverySent); n != 21 || most.Load() != 4 {
			t.Errorf("%d of 21 sent, at most %d mails at the same time", n, most.Load())
		}
		for id, attempt := range engine.lastAttempts() {
			if attempt != 0 {
				t.Errorf("%s: the wait for the channel counts as %d tries", id, attempt)
			}
		}
		_ = stop()
	})
}

// As many messages of one channel as may be sent at the same time are sent, also where far more wait: those take their turns.
func TestWorkerLosesNoTimeToTurnsOfOneChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine, began := delivery.NewQueue(10_000, nil), &fakeEngine{}, time.Now()
		const messages, took = 3200, 200 * time.Millisecond
		sender := senderFunc(func(context.Context, watchword.Message) (watchword.Sent, error) {
			time.Sleep(took)
			return watchword.Sent{}, nil
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender})
		putMessages(t, q, messages)
		for engine.countRecorded(watchword.DeliverySent) < messages {
			time.Sleep(took)
		}
		if ideal := messages / 32 * took; time.Since(began) > ideal+time.Second {
			t.Errorf("sent in %s instead of %s", time.Since(began), ideal)
		}
		_ = stop()
	})
}
