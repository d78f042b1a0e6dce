package delivery_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A finishingEngine finishes messages that were sent, or fails to.
type finishingEngine struct {
	*fakeEngine
	err error

	mu       sync.Mutex
	finished []watchword.Delivery
}

func (e *finishingEngine) FinishSend(_ context.Context, _ watchword.Outgoing, d watchword.Delivery) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finished = append(e.finished, d)
	return e.err
}

// A doneCounter is an outbox that counts the messages that are done.
type doneCounter struct {
	*delivery.Queue
	mu   sync.Mutex
	done int
}

func (c *doneCounter) Done(ctx context.Context, o watchword.Outgoing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	return c.Queue.Done(ctx, o)
}

// A message that the engine has finished is neither removed nor recorded again. After any error the worker does both.
func TestWorkerFinishesSentMessagesInOneStepWhereTheEngineCan(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error
		done     int
		recorded int
	}{{"finished", nil, 0, 0}, {"unsupported", errors.ErrUnsupported, 1, 1}, {"outcome unknown", watchword.ErrOutcomeUnknown, 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &doneCounter{Queue: delivery.NewQueue(10, nil)}
				engine := &finishingEngine{fakeEngine: &fakeEngine{}, err: c.err}
				stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: &scriptedSender{}})
				putMessages(t, q, 1)
				awaitOutcomes()
				if len(engine.finished) != 1 || engine.finished[0].Status != watchword.DeliverySent {
					t.Errorf("finished %v", engine.finished)
				}
				if n := engine.countRecorded(watchword.DeliverySent); q.done != c.done || n != c.recorded {
					t.Errorf("%d done and %d recorded by the worker, want %d and %d", q.done, n, c.done, c.recorded)
				}
				_ = stop()
			})
		})
	}
}
