package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

// waitLimit is how long a test waits for something before it fails.
const waitLimit = 20 * time.Second

// A listener is an endpoint of events. It verifies and records events, and answers with the given function.
type listener struct {
	*httptest.Server
	received chan receivedEvent
	verify   func(body []byte, h http.Header) error // of the Standard Webhooks library
}

type receivedEvent struct {
	id   string
	body string
	doc  struct {
		Type string
		Data map[string]any
	}
}

func newListener(t *testing.T, answer func(w http.ResponseWriter, n int)) *listener {
	t.Helper()
	l := newUnstartedListener(t, secretA, answer)
	l.Start()
	return l
}

// newListenerAt stops a listener, and starts one in its place that verifies with another secret and accepts everything.
func newListenerAt(t *testing.T, stopped *listener, secret string) *listener {
	t.Helper()
	l := newUnstartedListener(t, secret, acceptEvent) // before the port is free, which it could get
	stopped.Close()
	address, err := net.Listen("tcp", stopped.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	l.Listener = address
	l.Start()
	return l
}

func newUnstartedListener(t *testing.T, secret string, answer func(w http.ResponseWriter, n int)) *listener {
	t.Helper()
	oracle, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{received: make(chan receivedEvent, 1000), verify: oracle.Verify}
	var n atomic.Int64
	l.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := l.verify(body, r.Header); err != nil {
			t.Errorf("the library refuses the request: %v", err)
		}
		h := receivedEvent{id: r.Header.Get("Webhook-Id"), body: string(body)}
		if err := json.Unmarshal(body, &h.doc); err != nil {
			t.Error(err)
		}
		l.received <- h
		answer(w, int(n.Add(1)))
	}))
	t.Cleanup(l.Close)
	return l
}

func acceptEvent(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusNoContent) }

func (l *listener) endpoint(types ...string) webhook.Endpoint {
	return webhook.Endpoint{URL: watchword.NewCode(l.URL + "/events?secret=" + secretA), Types: types}
}

func (l *listener) next(t *testing.T) receivedEvent {
	t.Helper()
	select {
	case h := <-l.received:
		return h
	case <-time.After(waitLimit):
		t.Fatal("no event came")
		return receivedEvent{}
	}
}

// requireChallenges checks the challenge ids of the next events, in this order.
func (l *listener) requireChallenges(t *testing.T, ids ...string) {
	t.Helper()
	for _, want := range ids {
		if h := l.next(t); h.doc.Data["challenge_id"] != want {
			t.Fatalf("got the event of %v, want that of %s", h.doc.Data["challenge_id"], want)
		}
	}
}

// A runningDispatcher is a Dispatcher that runs, with a clock that can be advanced.
type runningDispatcher struct {
	*webhook.Dispatcher
	log         *lockedLog
	clockOffset atomic.Int64 // added to the real time
	stop        context.CancelFunc
	ended       chan error
}

type lockedLog struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedLog) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedLog) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// startDispatcher starts a Dispatcher. Unless cfg sets a Backoff, retries have nearly no delay.
func startDispatcher(t *testing.T, cfg webhook.DispatcherConfig, endpoints ...webhook.Endpoint) *runningDispatcher {
	t.Helper()
	s := &runningDispatcher{log: &lockedLog{}, ended: make(chan error, 1)}
	cfg.Endpoints = endpoints
	cfg.Environment = delivery.Environment{Development: true, Logger: slog.New(slog.NewTextHandler(s.log, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(s.clockOffset.Load())) }}
	if cfg.Backoff == 0 {
		cfg.Backoff = time.Millisecond
	}
	var err error
	if s.Dispatcher, err = webhook.NewDispatcher(cfg); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go func() { s.ended <- s.Run(ctx) }()
	t.Cleanup(s.stop)
	return s
}

func (s *runningDispatcher) shutDown(t *testing.T) error {
	t.Helper()
	s.stop()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(waitLimit):
		t.Fatal("Run does not return")
		return nil
	}
}

func approvedEvent(challenge string) watchword.Event {
	return watchword.Event{Type: watchword.EventApproved, At: time.Date(2026, 8, 1, 12, 0, 0, 123456789, time.FixedZone("", 7200)), App: "shop",
		ChallengeID: challenge}
}

func developmentEnvironment() delivery.Environment { return delivery.Environment{Development: true} }
