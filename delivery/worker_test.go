package delivery_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// startWorker starts a worker. stop ends its context and returns the result of Run.
func startWorker(t *testing.T, cfg delivery.WorkerConfig) (stop func() error) {
	t.Helper()
	w, err := delivery.NewWorker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func putMessages(t *testing.T, q watchword.Outbox, n int) {
	t.Helper()
	for i := range n {
		if err := q.Put(t.Context(), watchword.Outgoing{ChallengeID: strconv.Itoa(i), Send: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWorkerSendsMessagesAndRecordsDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine, sender := delivery.NewQueue(100, nil), &fakeEngine{}, &scriptedSender{}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender})
		putMessages(t, q, 50)
		awaitOutcomes()
		if n := engine.countRecorded(watchword.DeliverySent); n != 50 || len(sender.messages) != 50 {
			t.Errorf("recorded %d, sent %d", n, len(sender.messages))
		}
		if d := engine.recorded["7"][0]; d.Channel != "sms" {
			t.Errorf("recorded %+v", d)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkerDropsClosedAndUnknownMessages(t *testing.T) {
	for _, why := range []error{watchword.ErrClosed, watchword.ErrNotFound} {
		synctest.Test(t, func(t *testing.T) {
			q, sender := delivery.NewQueue(1, nil), &scriptedSender{}
			engine := &fakeEngine{compose: func(watchword.Outgoing) (watchword.Message, error) { return watchword.Message{}, why }}
			stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender})
			putMessages(t, q, 1)
			synctest.Wait()
			putMessages(t, q, 1) // the queue has capacity again
			_ = stop()
			if len(sender.messages) != 0 || len(engine.recorded) != 0 {
				t.Errorf("%v: sent %d, recorded %v", why, len(sender.messages), engine.recorded)
			}
		})
	}
}

func TestWorkerRetriesWhenStoreIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, sender, calls := delivery.NewQueue(1, nil), &scriptedSender{}, 0
		engine := &fakeEngine{compose: func(watchword.Outgoing) (watchword.Message, error) {
			if calls++; calls < 3 {
				return watchword.Message{}, watchword.ErrUnavailable
			}
			return watchword.Message{ID: "msg_1", Channel: "sms"}, nil
		}}
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender})
		putMessages(t, q, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(sender.messages) != 1 || engine.countRecorded(watchword.DeliverySent) != 1 {
			t.Errorf("sent %d, recorded %v", len(sender.messages), engine.recorded)
		}
		_ = stop()
	})
}

func TestWorkerDrainsQueueAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := delivery.NewQueue(100, nil), &fakeEngine{}
		var tried sync.Map
		slow := senderFunc(func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
			switch m.ChallengeID {
			case "0", "1":
				if _, repeated := tried.LoadOrStore(m.ChallengeID, true); !repeated {
					return watchword.Sent{}, retryAfterError(map[string]time.Duration{"0": time.Second, "1": time.Minute}[m.ChallengeID])
				}
			default:
				time.Sleep(time.Second)
			}
			return watchword.Sent{Provider: "slow"}, ctx.Err()
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: slow, Concurrency: 2, Jitter: func(time.Duration) time.Duration { return 0 }})
		putMessages(t, q, 10)
		synctest.Wait() // two are being sent, two wait for a retry, the others for a worker
		start := time.Now()
		err := stop()
		if time.Since(start) > 6*time.Second {
			t.Errorf("drained in %s", time.Since(start))
		}
		if engine.countRecorded(watchword.DeliverySent) != 9 || engine.recorded["1"][0].Status != watchword.DeliveryFailed || err == nil {
			t.Errorf("recorded %v, %v", engine.recorded, err)
		}
	})
}

func TestWorkerDrainWaitsForRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := delivery.NewQueue(1, nil), &fakeEngine{}
		atOnce := func(time.Duration) time.Duration { return 0 }
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: &scriptedSender{errors: repeat(1, retryAfterError(3*time.Second))}, Jitter: atOnce})
		putMessages(t, q, 1)
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil || engine.countRecorded(watchword.DeliverySent) != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %s: %v", err, time.Since(start), engine.recorded)
		}
	})
}

func TestWorkerDrainEndsAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := delivery.NewQueue(100, nil), &fakeEngine{}
		hanging := senderFunc(func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
			<-ctx.Done()
			return watchword.Sent{}, ctx.Err()
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: hanging, Concurrency: 3, DrainTimeout: 5 * time.Second})
		putMessages(t, q, 10)
		start := time.Now()
		if err := stop(); err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if n := engine.countRecorded(watchword.DeliveryFailed); n != 10 {
			t.Errorf("recorded %d of 10 as failed: %v", n, engine.recorded)
		}
	})
}

// A durableOutbox is not lost with the process, so it has no Drain method of a drainer.
type durableOutbox struct{ *delivery.Queue }

func (durableOutbox) Drain() {}

func TestWorkerDoesNotDrainDurableOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, engine := durableOutbox{delivery.NewQueue(100, nil)}, &fakeEngine{}
		slow := senderFunc(func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
			time.Sleep(time.Second)
			return watchword.Sent{}, ctx.Err()
		})
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: claimsUntilDone{q}, Sender: slow, Concurrency: 2})
		putMessages(t, q, 10)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if engine.countRecorded(watchword.DeliverySent) != 2 || len(engine.recorded) != 2 {
			t.Errorf("what was being sent is finished, and nothing else begun: %v", engine.recorded)
		}
	})
}

// claimsUntilDone is an outbox whose Claim fails after the context has ended.
type claimsUntilDone struct{ durableOutbox }

func (c claimsUntilDone) Claim(ctx context.Context, limit int) ([]watchword.Outgoing, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return c.durableOutbox.Claim(ctx, limit)
}

func TestWorkerContinuesAfterOutboxOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var claims atomic.Int32
		q := unavailableOutbox{claimsUntilDone{durableOutbox{delivery.NewQueue(10, nil)}}, &claims}
		engine := &fakeEngine{}
		sender, start := &scriptedSender{}, time.Now()
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: sender, Concurrency: 1})
		putMessages(t, q, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if engine.countRecorded(watchword.DeliverySent) != 1 || sender.times[0].Sub(start) != 5*time.Second {
			t.Errorf("recorded %v after five claims in %s", engine.recorded, sender.times[0].Sub(start))
		}
		_ = stop()
	})
}

// An unavailableOutbox fails the first five claims.
type unavailableOutbox struct {
	claimsUntilDone
	claims *atomic.Int32
}

func (o unavailableOutbox) Claim(ctx context.Context, limit int) ([]watchword.Outgoing, error) {
	if o.claims.Add(1) <= 5 {
		return nil, errors.New("connection refused")
	}
	return o.claimsUntilDone.Claim(ctx, limit)
}

func TestNewWorkerRequiresEngineOutboxAndSender(t *testing.T) {
	if _, err := delivery.NewWorker(delivery.WorkerConfig{}); err == nil {
		t.Error("a worker without parts")
	}
}

// BenchmarkQueue measures one message through the queue and a worker.
func BenchmarkQueue(b *testing.B) {
	q := delivery.NewQueue(1<<16, nil)
	done := make(chan struct{}, 1)
	sender := senderFunc(func(context.Context, watchword.Message) (watchword.Sent, error) {
		done <- struct{}{}
		return watchword.Sent{}, nil
	})
	w, err := delivery.NewWorker(delivery.WorkerConfig{Engine: noopEngine{}, Outbox: q, Sender: sender})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = w.Run(b.Context()) }()
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Put(context.Background(), watchword.Outgoing{ChallengeID: "ch"}); err != nil {
			b.Fatal(err)
		}
		<-done
	}
}

type noopEngine struct{}

func (noopEngine) ComposeMessage(context.Context, watchword.Outgoing) (watchword.Message, error) {
	return watchword.Message{Channel: "sms"}, nil
}
func (noopEngine) RecordDelivery(context.Context, watchword.Outgoing, watchword.Delivery) error {
	return nil
}
func (noopEngine) FinishSend(context.Context, watchword.Outgoing, watchword.Delivery) error {
	return errors.ErrUnsupported
}
func (noopEngine) AllowRetry(context.Context, watchword.Outgoing, time.Time) error { return nil }

// awaitOutcomes waits until the outcomes of sent messages are recorded.
func awaitOutcomes() {
	synctest.Wait()
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}
