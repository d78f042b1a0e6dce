package delivery_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A message that was sent is removed from the outbox at once. The status that people look at is recorded at most 100 ms later.
func TestWorkerRecordsOutcomesAtMost100MillisecondsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := delivery.NewQueue(1, nil), &fakeEngine{}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: &scriptedSender{}})
		putMessages(t, q, 1)
		synctest.Wait()
		if len(engine.recorded) != 0 {
			t.Errorf("recorded at once: %v", engine.recorded)
		}
		putMessages(t, q, 1) // the queue has capacity again
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if engine.countRecorded(watchword.DeliverySent) != 1 {
			t.Errorf("after 100 ms: %v", engine.recorded)
		}
		_ = stop()
	})
}

// Of several outcomes of one challenge the last one is recorded, once.
func TestWorkerRecordsLastOfSeveralOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := delivery.NewQueue(10, nil), &fakeEngine{}
		sender := &scriptedSender{errors: []error{permanentError()}}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender, Concurrency: 1})
		for send := range 3 {
			if err := q.Put(t.Context(), watchword.Outgoing{ChallengeID: "ch", Send: send + 1}); err != nil {
				t.Fatal(err)
			}
		}
		awaitOutcomes()
		if got := engine.recorded["ch"]; len(got) != 1 || got[0].Status != watchword.DeliverySent {
			t.Errorf("recorded %v", got)
		}
		_ = stop()
	})
}

func TestWorkerRecordsOutcomesBeforeRunReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := delivery.NewQueue(100, nil), &fakeEngine{}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: &scriptedSender{}})
		putMessages(t, q, 50)
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if n := engine.countRecorded(watchword.DeliverySent); n != 50 {
			t.Errorf("%d of 50 recorded", n)
		}
	})
}

// A claimedEngine refuses to compose a message while another process has claimed its send.
type claimedEngine struct {
	*fakeEngine
	until time.Time
}

func (e claimedEngine) ComposeMessage(ctx context.Context, o watchword.Outgoing) (watchword.Message, error) {
	if time.Now().Before(e.until) {
		return watchword.Message{}, &watchword.ClaimedError{Until: e.until}
	}
	return e.fakeEngine.ComposeMessage(ctx, o)
}

func TestWorkerWaitsUntilClaimOfAnotherProcessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		q, engine, sender := delivery.NewQueue(10, nil), &fakeEngine{}, &scriptedSender{}
		stop := startWorker(t, delivery.WorkerConfig{Engine: claimedEngine{engine, start.Add(20 * time.Second)}, Outbox: q, Sender: sender})
		putMessages(t, q, 3)
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, at := range sender.times {
			if at.Sub(start) != 20*time.Second {
				t.Errorf("sent after %s", at.Sub(start))
			}
		}
		if engine.countRecorded(watchword.DeliverySent) != 3 {
			t.Errorf("recorded %v", engine.recorded)
		}
		_ = stop()
	})
}

// A sender that never returns is ended before the lease of its send, after which another process would try.
func TestWorkerEndsSendBeforeItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, start := delivery.NewQueue(1, nil), time.Now()
		var ended []time.Duration
		hanging := senderFunc(func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
			<-ctx.Done()
			ended = append(ended, time.Since(start))
			return watchword.Sent{}, permanentError()
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: &fakeEngine{}, Outbox: q, Sender: hanging})
		putMessages(t, q, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(ended, []time.Duration{watchword.SendTimeout}) || watchword.SendTimeout >= watchword.SendLease {
			t.Errorf("ended after %v", ended)
		}
		_ = stop()
	})
}

// A lateOutbox returns what it claims after the context has ended.
type lateOutbox struct{ durableOutbox }

func (o lateOutbox) Claim(ctx context.Context, limit int) ([]watchword.Outgoing, error) {
	<-ctx.Done()
	time.Sleep(time.Minute)
	short, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return o.durableOutbox.Claim(short, limit)
}

func (o lateOutbox) Bury(context.Context, watchword.Outgoing) error { panic("buried") }

// What a durable outbox returns after the time of the shutdown is not sent, and not taken for failed.
func TestWorkerLeavesMessagesThatAreClaimedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine, sender := delivery.NewQueue(10, nil), &fakeEngine{}, &scriptedSender{}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: lateOutbox{durableOutbox{q}}, Sender: sender})
		putMessages(t, q, 3)
		if err := stop(); err != nil || len(engine.recorded) != 0 || len(sender.messages) != 0 {
			t.Errorf("%v, recorded %v, sent %v", err, engine.recorded, sender.messages)
		}
	})
}

// What is claimed and not begun when the time of the shutdown is over is left to other processes.
func TestWorkerLeavesClaimedMessagesOfDurableOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := claimsUntilDone{durableOutbox{delivery.NewQueue(100, nil)}}, &fakeEngine{}
		hanging := senderFunc(func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
			<-ctx.Done()
			return watchword.Sent{}, ctx.Err()
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: hanging, Concurrency: 2, DrainTimeout: time.Second})
		putMessages(t, q, 5)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if len(engine.recorded) != 0 {
			t.Errorf("recorded %v", engine.recorded)
		}
		time.Sleep(time.Minute)
		if out, err := q.Claim(t.Context(), 10); err != nil || len(out) != 5 {
			t.Errorf("%d of 5 messages are left, %v", len(out), err)
		}
	})
}
