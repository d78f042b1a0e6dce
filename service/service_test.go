package service_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// sentBy is a sender that keeps what it gets.
type sentBy struct {
	mu   sync.Mutex
	sent []watchword.Message
}

func (s *sentBy) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, m)
	return watchword.Sent{Provider: "test"}, nil
}

func validConfig(t *testing.T) service.Config {
	t.Helper()
	keys, errKeys := service.NewKeys()
	codes, errCodes := otp.New(otp.Config{})
	if err := errors.Join(errKeys, errCodes); err != nil {
		t.Fatal(err)
	}
	return service.Config{App: "shop", URL: "https://shop.example.com", Keys: keys, Store: memory.New(memory.Config{}), Strategies: []watchword.Strategy{codes},
		Senders: map[string][]delivery.Provider{"email": {{Name: "test", Sender: &sentBy{}}}}}
}

func TestNewRefusesWhatCannotWorkLater(t *testing.T) {
	t.Parallel()
	byTime, err := totp.New(totp.Config{Issuer: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	sharedStore := func() watchword.Store {
		client, err := redisstore.Open("redis://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		o, err := redisstore.NewOutbox(redisstore.New(client, redisstore.Config{Timeout: 10 * time.Second}), redisstore.OutboxConfig{App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for name, c := range map[string]struct {
		change func(*service.Config)
		want   string
	}{
		"no keys":                    {func(c *service.Config) { c.Keys = service.Keys{} }, "Keys: missing"},
		"no store":                   {func(c *service.Config) { c.Store = nil }, "Store: missing"},
		"no strategies":              {func(c *service.Config) { c.Strategies, c.Senders = nil, nil }, "Strategies: at least one is needed"},
		"no URL":                     {func(c *service.Config) { c.URL = "" }, "cannot start: URL: missing"},
		"no app":                     {func(c *service.Config) { c.App = "" }, "App: missing"},
		"a URL without TLS":          {func(c *service.Config) { c.URL = "http://shop.example.com" }, "cannot start: URL: must be https"},
		"no channels":                {func(c *service.Config) { c.Senders = nil }, `Senders: missing: strategy "otp" sends messages`},
		"a channel without a sender": {func(c *service.Config) { c.Senders["sms"] = nil }, `Senders: channel "sms" has none`},
		"senders for nobody":         {func(c *service.Config) { c.Strategies = []watchword.Strategy{byTime} }, "Senders: no strategy sends messages"},
		"no factors":                 {func(c *service.Config) { c.Strategies = append(c.Strategies, byTime) }, "needs Factors"},
		"a bad limit":                {func(c *service.Config) { c.Limits = []ratelimit.Rule{{Name: "x"}} }, "ratelimit"},
		"a country":                  {func(c *service.Config) { c.Addresses.Countries = []string{"XX"} }, "Addresses"},
		"limits of one process":      {func(c *service.Config) { c.Store = sharedStore() }, "LimitStore: missing"},
		"counts of one process": {func(c *service.Config) {
			c.Store, c.Senders["sms"] = sharedStore(), c.Senders["email"]
		}, "Counters: missing"},
		"events fail": {func(c *service.Config) {
			c.Events = func(*watchword.Engine) (service.EventPublisher, error) { return nil, errors.New("no endpoint") }
		}, "no endpoint"},
		"an adjustment": {func(c *service.Config) { c.Adjust = func(e *watchword.Config) { e.Tries = -1 } }, "Tries: must be positive"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := validConfig(t)
			c.change(&cfg)
			s, err := service.New(cfg)
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant: %s", err, c.want)
			}
		})
	}
}

// A publisher counts events, and notes whether it was run to its end.
type publisher struct {
	mu    sync.Mutex
	types []string
	ended bool
}

func (p *publisher) HandleEvent(_ context.Context, e watchword.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.types = append(p.types, e.Type)
}
func (p *publisher) Subscribes(string) bool { return true }
func (p *publisher) Run(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	return errors.New("one event was left")
}

func TestCloseSendsWhatWaitsAndReportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	sender, events := &sentBy{}, &publisher{}
	c := validConfig(t)
	c.Senders = map[string][]delivery.Provider{"email": {{Name: "test", Sender: sender}}}
	c.Events = func(*watchword.Engine) (service.EventPublisher, error) { return events, nil }
	s, err := service.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Engine.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ada@example.com", Purpose: watchword.PurposeSignIn}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "one event was left") {
		t.Errorf("Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if len(sender.sent) != 3 || !events.ended || len(events.types) == 0 {
		t.Errorf("%d messages, events %v, ended %t", len(sender.sent), events.types, events.ended)
	}
}

// A failingSender refuses every message for good.
type failingSender struct{}

func (failingSender) Send(context.Context, watchword.Message) (watchword.Sent, error) {
	return watchword.Sent{}, &watchword.SendError{Fault: watchword.FaultRecipient, Permanent: true, Cause: errors.New("no such mailbox")}
}

// A program with several services has one log: every line names the app, once.
func TestLogLinesNameTheApp(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := validConfig(t)
	c.Senders = map[string][]delivery.Provider{"email": {{Name: "test", Sender: failingSender{}}}}
	c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	s, err := service.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Engine.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ada@example.com", Purpose: watchword.PurposeSignIn}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close() // sends what waits
	lines := slices.Collect(strings.Lines(log.String()))
	if len(lines) < 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		if strings.Count(line, `"app":"shop"`) != 1 {
			t.Errorf("%s", line)
		}
	}
}

// The service of the example: a code by mail over the hosted page's routes, and readiness.
func TestServiceOfExampleMountsPagesAndIsReady(t *testing.T) {
	t.Parallel()
	mux, box := http.NewServeMux(), &inbox.Inbox{}
	s, err := newService(t.Context(), "http://localhost:8080", mux, box)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Engine.Ping(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	for path, want := range map[string]int{"/c/ch_x": 200, "/v/vf_x": 200, "/l/ch_x": 200, "/webauthn.js": 200, "/element.js": 200, "/v1/challenges": 404, "/": 404, "/readyz": 404} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if err := server.MountPages(mux, server.Config{Apps: []server.App{{Engine: s.Engine, PublicURL: "http://localhost:8080"}}}); err == nil {
		t.Error("the pages were mounted twice")
	}
}

// What several processes share: messages of a service that is closed are sent by another.
func TestServicesShareMessagesOnRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sender := &sentBy{}
	shared := validConfig(t)
	shared.Strategies = append(shared.Strategies, links)
	shared.Senders = map[string][]delivery.Provider{"email": {{Name: "test", Sender: sender}}}
	shared.LimitStore = ratelimit.NewMemory(ratelimit.MemoryConfig{}) // shared by the two services of this process
	newNode := func() *service.Service {
		c := shared
		o, err := redisstore.NewOutbox(redisstore.New(redis.Client(t), redisstore.Config{Timeout: 10 * time.Second}), redisstore.OutboxConfig{App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		c.Store = o
		s, err := service.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := newNode(), newNode()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	started, err := first.Engine.Start(t.Context(), watchword.StartRequest{Strategy: "magiclink", Channel: "email", To: "ada@example.com", Purpose: watchword.PurposeSignIn})
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(90 * time.Second)
	for status := ""; status != watchword.DeliverySent; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the message is %q", status)
		}
		view, err := second.Engine.Status(t.Context(), started.ID)
		if err != nil {
			t.Fatal(err)
		}
		status = view.Delivery.Status
	}
	if err := second.Close(); err != nil || len(sender.sent) != 1 {
		t.Errorf("%v, %d messages", err, len(sender.sent))
	}
}

// An unwritableStore creates no entries, so that starts are refunded.
type unwritableStore struct{ watchword.Store }

func (unwritableStore) Create(context.Context, watchword.Entry, ...watchword.Outgoing) error {
	return errors.New("connection refused")
}

// A slowRefunder takes a while to refund, and notes that it has.
type slowRefunder struct{ refunded atomic.Bool }

func (*slowRefunder) Take(context.Context, ...watchword.Bucket) error              { return nil }
func (*slowRefunder) TakeNamed(context.Context, string, ...watchword.Bucket) error { return nil }
func (r *slowRefunder) Refund(context.Context, string, ...watchword.Bucket) error {
	time.Sleep(300 * time.Millisecond)
	r.refunded.Store(true)
	return nil
}

func TestCloseAwaitsWhatTheEngineDoesAfterAnswers(t *testing.T) {
	t.Parallel()
	limits := &slowRefunder{}
	c := validConfig(t)
	c.Store = unwritableStore{c.Store}
	c.Adjust = func(e *watchword.Config) { e.Starts = limits }
	s, err := service.New(c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Engine.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ada@example.com", Purpose: watchword.PurposeSignIn})
	if !errors.Is(err, watchword.ErrUnavailable) {
		t.Fatalf("start: %v", err)
	}
	if err := s.Close(); err != nil || !limits.refunded.Load() {
		t.Errorf("%v, refunded: %t", err, limits.refunded.Load())
	}
}
