package watchword

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// workerDelay is how long after the first message a worker may call Claim for the first time.
const workerDelay = 10 * time.Second

// A WorkerReporter is an Outbox that knows whether a worker of this process takes its messages.
//
// If none has called Claim ten seconds after the first message was queued, the engine logs it. If no other process can take the messages
// either, because the outbox is Config.Outbox, starts and resends are refused with ErrUnavailable from then on, and Ping fails, until a
// worker calls Claim.
type WorkerReporter interface {
	Outbox
	// HasWorker reports whether Claim was called.
	HasWorker() bool
}

// workerWatch finds out that nobody sends the messages of an engine.
type workerWatch struct {
	outbox  WorkerReporter // nil: it is not known who takes its messages
	private bool           // the outbox belongs to this process alone
	begin   sync.Once
	overdue atomic.Bool // workerDelay has passed without a worker
	log     *slog.Logger
}

func newWorkerWatch(cfg Config) *workerWatch {
	w := &workerWatch{private: cfg.Outbox != nil, log: cfg.Logger}
	if w.private {
		w.outbox, _ = cfg.Outbox.(WorkerReporter)
	} else {
		w.outbox, _ = cfg.Store.(WorkerReporter)
	}
	return w
}

// expectMessage is called before a message is queued. It refuses those that nobody would send.
func (w *workerWatch) expectMessage() error {
	if w.outbox == nil || w.outbox.HasWorker() {
		return nil
	}
	w.begin.Do(func() { time.AfterFunc(workerDelay, w.logMissing) })
	return w.check()
}

// logMissing runs once, when a worker should have begun.
func (w *workerWatch) logMissing() {
	if w.outbox.HasWorker() {
		return
	}
	w.overdue.Store(true)
	if w.private {
		w.log.Error("messages are not sent: nobody runs a delivery.Worker for the engine's outbox. Run one, or use package service")
		return
	}
	w.log.Warn("messages are not sent by this process: it runs no delivery.Worker. They wait until another process sends them")
}

// check returns an error if messages wait that nobody can send.
func (w *workerWatch) check() error {
	if w.private && w.overdue.Load() && !w.outbox.HasWorker() {
		return errNoWorker{errors.New("nobody runs a delivery.Worker for the engine's outbox")}
	}
	return nil
}

// ping is check for Engine.Ping.
func (w *workerWatch) ping(context.Context) error { return w.check() }

// errNoWorker means that messages wait that nobody can send.
type errNoWorker struct{ error }

// Reason returns the text for readiness responses.
func (errNoWorker) Reason() string { return "no worker sends messages" }
