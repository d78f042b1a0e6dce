package enginetest_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/store/memory"
)

// An outbox in this process that nobody works on is noticed: by the log, by starts and by Ping, until a worker runs.
func TestEngineReportsOutboxWithoutWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := delivery.NewQueue(10, nil)
		k := newKit(t, func(c *watchword.Config) { c.Store, c.Outbox, c.Clock = memory.New(memory.Config{}), queue, time.Now })
		start := func() error { _, err := k.Start(t.Context(), startByEmail()); return err }
		if err := errors.Join(start(), start(), k.Ping(t.Context())); err != nil {
			t.Errorf("before the worker had to run: %v", err)
		}
		waiting := k.start(startByEmail())
		time.Sleep(31 * time.Second) // as long as a resend is too soon
		synctest.Wait()
		const want = "nobody runs a delivery.Worker"
		if n := strings.Count(k.log.String(), want); n != 1 {
			t.Errorf("%d log lines, want one: %s", n, k.log)
		}
		decoy := startByEmail()
		decoy.Decoy = true
		if _, err := k.Start(t.Context(), decoy); !errors.Is(err, watchword.ErrUnavailable) {
			t.Errorf("a decoy is started where a real challenge is not: %v", err)
		}
		if err := start(); !errors.Is(err, watchword.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("start: %v", err)
		}
		if _, err := k.Resend(t.Context(), waiting.ID, watchword.ResendRequest{}); !errors.Is(err, watchword.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("resend: %v", err)
		}
		if faults := faultsOf(k.Ping(t.Context())); len(faults) != 1 || faults[0] != (watchword.Fault{Part: "messages", Reason: "no worker sends messages"}) {
			t.Errorf("ping: %v", faults)
		}
		stop := runWorker(t, k, queue)
		synctest.Wait()
		if err := errors.Join(start(), k.Ping(t.Context())); err != nil {
			t.Errorf("with a worker: %v", err)
		}
		stop()
	})
}

func faultsOf(err error) []watchword.Fault {
	var e *watchword.Error
	errors.As(err, &e)
	if e == nil {
		return nil
	}
	return e.Faults
}

type acceptingSender struct{}

func (acceptingSender) Send(context.Context, watchword.Message) (watchword.Sent, error) {
	return watchword.Sent{Provider: "test"}, nil
}

// runWorker runs a worker until stop is called.
func runWorker(t *testing.T, k *kit, outbox watchword.Outbox) (stop func()) {
	t.Helper()
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: k.Engine, Outbox: outbox, Sender: acceptingSender{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- worker.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A worker that runs in time is no cause for a line in the log.
func TestEngineWithWorkerReportsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := delivery.NewQueue(10, nil)
		k := newKit(t, func(c *watchword.Config) { c.Store, c.Outbox, c.Clock = memory.New(memory.Config{}), queue, time.Now })
		if _, err := k.Start(t.Context(), startByEmail()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		stop := runWorker(t, k, queue)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if _, err := k.Start(t.Context(), startByEmail()); err != nil || strings.Contains(k.log.String(), "Worker") {
			t.Errorf("%v, log: %s", err, k.log)
		}
		stop()
	})
}

// A sharedOutbox is a store and an outbox that another process may work on.
type sharedOutbox struct {
	watchword.Store
	*delivery.Queue
	worker atomic.Bool
}

func (s *sharedOutbox) HasWorker() bool { return s.worker.Load() }

// Messages of an outbox that processes share may be sent by another process, so nothing is refused; the log has one line.
func TestEngineReportsThatAnotherProcessMustSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(c *watchword.Config) {
			c.Store, c.Outbox, c.Clock = &sharedOutbox{Store: c.Store, Queue: delivery.NewQueue(10, nil)}, nil, time.Now
		})
		for range 3 {
			if _, err := k.Start(t.Context(), startByEmail()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(11 * time.Second)
			synctest.Wait()
		}
		if err := k.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(k.log.String(), "They wait until another process sends them"); n != 1 {
			t.Errorf("%d log lines, want one: %s", n, k.log)
		}
	})
}
