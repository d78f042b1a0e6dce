package webhook_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/redistest"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// A watchedQueue records whether the log has a line before what it reports is stored.
type watchedQueue struct {
	*redisstore.EventQueue
	running  atomic.Pointer[runningDispatcher]
	tooEarly atomic.Int32
}

func (q *watchedQueue) Bury(ctx context.Context, endpoint string, e watchword.QueuedEvent) error {
	q.look("event refused by endpoint")
	return q.EventQueue.Bury(ctx, endpoint, e)
}

func (q *watchedQueue) TurnOff(ctx context.Context, endpoint string, note []byte) error {
	q.look("endpoint answered 410")
	return q.EventQueue.TurnOff(ctx, endpoint, note)
}

func (q *watchedQueue) look(line string) {
	if strings.Contains(q.running.Load().log.String(), line) {
		q.tooEarly.Add(1)
	}
}

// Who reads in the log that an event was refused finds it in the list, and an endpoint that the log calls off is off in every process.
func TestQueueStoresBeforeItLogs(t *testing.T) {
	l := newListener(t, func(w http.ResponseWriter, n int) {
		w.WriteHeader(map[bool]int{true: http.StatusBadRequest, false: http.StatusGone}[n == 1])
	})
	p := startProcess(t, redistest.Start(t))
	watched := &watchedQueue{EventQueue: p.events}
	queue := p.queue()
	queue.Events, queue.Switch = watched, watched
	watched.running.Store(startDispatcher(t, webhook.DispatcherConfig{Queue: queue}, l.endpoint(watchword.EventStarted)))
	for _, line := range []string{"event refused by endpoint", "endpoint answered 410"} {
		p.start()
		await(t, func() bool { return strings.Contains(watched.running.Load().log.String(), line) })
	}
	if n := watched.tooEarly.Load(); n != 0 {
		t.Errorf("%d lines were logged before what they report was stored", n)
	}
}
