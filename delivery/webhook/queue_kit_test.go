package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/otp"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// A process is an engine with a Redis, whose events wait there.
type process struct {
	*watchword.Engine
	t      *testing.T
	store  *redisstore.Outbox
	events *redisstore.EventQueue
	sealer *watchword.EventSealer
	types  func(string) bool // to which there are subscriptions
}

func newTestKey(t *testing.T, id string) watchword.Key {
	t.Helper()
	k, err := watchword.NewKey(id, []byte(strings.Repeat(id, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func startProcess(t *testing.T, redis *redistest.Server, options ...func(*watchword.Config)) *process {
	t.Helper()
	client, err := redisstore.Open(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	p := &process{t: t, types: func(string) bool { return true }}
	p.store, err = redisstore.NewOutbox(redisstore.New(client, redisstore.Config{Timeout: 10 * time.Second}), redisstore.OutboxConfig{App: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if p.events, err = redisstore.NewEventQueue(p.store.Store, redisstore.EventQueueConfig{App: "shop"}); err != nil {
		t.Fatal(err)
	}
	if p.sealer, err = watchword.NewEventSealer(newTestKey(t, "identity"), "shop"); err != nil {
		t.Fatal(err)
	}
	codes, err := otp.New(otp.Config{TestAddresses: []otp.TestIdentity{{Address: "test@example.com", Code: "123456", Purposes: []string{"sign_in"}, Until: time.Now().Add(time.Hour)}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := watchword.Config{App: "shop", Issuer: "https://verify.example.com", Keys: []watchword.Key{newTestKey(t, "k1")}, Identity: newTestKey(t, "identity"),
		Store: p.store, Strategies: []watchword.Strategy{codes}, Channels: []string{"email"}, Subscribed: func(eventType string) bool { return p.types(eventType) },
		Addresses: func(_, address string) (watchword.Address, error) {
			return watchword.Address{Value: address, Masked: address[:1] + "•••", Kind: "email"}, nil
		}}
	for _, o := range options {
		o(&cfg)
	}
	if p.Engine, err = watchword.New(cfg); err != nil {
		t.Fatal(err)
	}
	return p
}

// start starts a challenge of a test identity, whose code is 123456.
func (p *process) start() string {
	p.t.Helper()
	started, err := p.Start(p.t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: "test@example.com", Subject: "user_42",
		Metadata: map[string]string{"order": "17"}})
	if err != nil {
		p.t.Fatal(err)
	}
	return started.ID
}

func (p *process) check(id, code string) error {
	_, err := p.Check(p.t.Context(), id, watchword.CheckRequest{Purpose: "sign_in", Subject: "user_42", Answer: watchword.Answer{Text: code}})
	return err
}

func (p *process) queue() *webhook.Queue {
	return &webhook.Queue{Engine: p.Engine, Happened: p.store.Events(), Events: p.events, Switch: p.events, Sealer: p.sealer}
}

// startDispatcher starts a dispatcher of the process, which also gets its other events.
func (p *process) startDispatcher(endpoints ...webhook.Endpoint) *runningDispatcher {
	p.t.Helper()
	return startDispatcher(p.t, webhook.DispatcherConfig{Queue: p.queue()}, endpoints...)
}

// nextOf returns the next event of a type.
func (l *listener) nextOf(t *testing.T, eventType string) receivedEvent {
	t.Helper()
	for {
		if h := l.next(t); h.doc.Type == eventType {
			return h
		}
	}
}

// requireNothing fails if an event comes within a moment.
func (l *listener) requireNothing(t *testing.T) {
	t.Helper()
	select {
	case h := <-l.received:
		t.Errorf("got %s", h.body)
	case <-time.After(1500 * time.Millisecond):
	}
}
