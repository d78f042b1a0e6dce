package webhook_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/redistest"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// The lines that report what is stored, in the order of TestQueueStoresBeforeItLogs.
var reportLines = []string{"event refused by endpoint", "event delivery given up", "endpoint answered 410"}

// A watchedQueue counts what is stored when the log has its line already.
type watchedQueue struct {
	*redisstore.EventQueue
	running          atomic.Pointer[runningDispatcher]
	stored, tooEarly atomic.Int32
}

func (q *watchedQueue) Bury(ctx context.Context, endpoint string, e watchword.QueuedEvent) error {
	q.look()
	return q.EventQueue.Bury(ctx, endpoint, e)
}

func (q *watchedQueue) TurnOff(ctx context.Context, endpoint string, note []byte) error {
	q.look()
	return q.EventQueue.TurnOff(ctx, endpoint, note)
}

func (q *watchedQueue) look() {
	if strings.Contains(q.running.Load().log.String(), reportLines[q.stored.Add(1)-1]) {
		q.tooEarly.Add(1)
	}
}

// When the log reports that an event was refused or given up, the event is in the list; when it reports that an endpoint is off, the
// endpoint is off in every process.
func TestQueueStoresBeforeItLogs(t *testing.T) {
	p := startProcess(t, redistest.Start(t))
	watched, queue := &watchedQueue{EventQueue: p.events}, p.queue()
	l := newListener(t, func(w http.ResponseWriter, n int) {
		if n == 2 {
			watched.running.Load().clockOffset.Store(int64(4 * 24 * time.Hour)) // after which an event is not tried again
		}
		w.WriteHeader(map[int]int{1: http.StatusBadRequest, 2: http.StatusServiceUnavailable, 3: http.StatusGone}[n])
	})
	queue.Events, queue.Switch = watched, watched
	s := startDispatcher(t, webhook.DispatcherConfig{Queue: queue}, l.endpoint(watchword.EventStarted))
	watched.running.Store(s)
	for _, line := range reportLines {
		s.clockOffset.Store(0)
		p.start()
		await(t, func() bool { return strings.Contains(s.log.String(), line) })
	}
	if stored, tooEarly := watched.stored.Load(), watched.tooEarly.Load(); stored != 3 || tooEarly != 0 {
		t.Errorf("%d of %d lines were logged before what they report was stored", tooEarly, stored)
	}
}
