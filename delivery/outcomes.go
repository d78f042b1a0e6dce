package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	outcomeDelay    = 100 * time.Millisecond // longest time until an outcome is recorded
	outcomeParallel = 64                     // outcomes that are recorded at the same time, so that a store can batch them
)

// An outcomeRecorder records the outcomes of messages that Engine.FinishSend has not recorded, in batches. People look at them. An
// outcome replaces an earlier one of the same challenge that was not recorded yet.
type outcomeRecorder struct {
	ctx    context.Context
	engine Engine
	log    *slog.Logger

	mu        sync.Mutex
	waiting   map[string]outcome // by challenge
	timer     *time.Timer        // of the next batch; nil: no outcome is waiting
	recording sync.WaitGroup     // batches
}

type outcome struct {
	out      watchword.Outgoing
	delivery watchword.Delivery
}

func newOutcomeRecorder(ctx context.Context, engine Engine, log *slog.Logger) *outcomeRecorder {
	return &outcomeRecorder{ctx: ctx, engine: engine, log: log, waiting: map[string]outcome{}}
}

// add records an outcome at most outcomeDelay later.
func (r *outcomeRecorder) add(o watchword.Outgoing, d watchword.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[o.ChallengeID] = outcome{o, d}
	if r.timer == nil {
		r.timer = time.AfterFunc(outcomeDelay, r.recordWaiting)
	}
}

// flush records everything that waits, and returns when that is done.
func (r *outcomeRecorder) flush() {
	r.recordWaiting()
	r.recording.Wait()
}

func (r *outcomeRecorder) recordWaiting() {
	r.mu.Lock()
	batch := r.waiting
	r.waiting = map[string]outcome{}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	r.recording.Add(1)
	r.mu.Unlock()
	defer r.recording.Done()
	slots := make(chan struct{}, outcomeParallel)
	var all sync.WaitGroup
	for _, o := range batch {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			r.record(o)
		})
	}
	all.Wait()
}

func (r *outcomeRecorder) record(o outcome) {
	if err := r.engine.RecordDelivery(r.ctx, o.out, o.delivery); err != nil {
		r.log.Error("delivery status not recorded", "challenge", o.out.ChallengeID, "status", o.delivery.Status, "error", err)
	}
}
