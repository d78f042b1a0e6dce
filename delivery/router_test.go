package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func newRouter(t *testing.T, cfg delivery.RouterConfig, senders ...watchword.Sender) *delivery.Router {
	t.Helper()
	cfg.Routes = map[string][]delivery.Provider{}
	for i, s := range senders {
		cfg.Routes["sms"] = append(cfg.Routes["sms"], delivery.Provider{Name: string(rune('a' + i)), Sender: s})
	}
	r, err := delivery.NewRouter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newMessage(lifetime time.Duration) watchword.Message {
	return watchword.Message{ID: "msg_1", Channel: "sms", To: "+14155550123", Code: watchword.NewCode("492039"), ExpiresAt: time.Now().Add(lifetime)}
}

func TestRouterFailsOverInOrder(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second []error
		calls         [2]int
		provider      string
	}{
		{"the first accepts", nil, nil, [2]int{1, 0}, "a"},
		{"the first accepts at the second try", repeat(1, errDown), nil, [2]int{2, 0}, "a"},
		{"the first is down", repeat(2, errDown), nil, [2]int{2, 1}, "b"},
		{"the first refuses permanently", repeat(1, permanentError()), nil, [2]int{1, 1}, "b"},
		{"the first sets RetryAfter", repeat(1, retryAfterError(time.Second)), nil, [2]int{1, 1}, "b"},
		{"the second needs two tries", repeat(1, permanentError()), repeat(1, errDown), [2]int{1, 2}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := &scriptedSender{errors: c.first}, &scriptedSender{errors: c.second}
				sent, err := newRouter(t, delivery.RouterConfig{}, first, second).Send(t.Context(), newMessage(time.Minute))
				if err != nil || sent.Provider != c.provider {
					t.Errorf("%+v, %v; want %s", sent, err, c.provider)
				}
				if got := [2]int{len(first.messages), len(second.messages)}; got != c.calls {
					t.Errorf("calls %v, want %v", got, c.calls)
				}
				for _, m := range append(first.messages, second.messages...) {
					if m.ID != "msg_1" {
						t.Errorf("the id became %q", m.ID)
					}
				}
			})
		})
	}
}

func TestRouterMergesFailuresOfAllProviders(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second []error
		permanent     bool
		retryAfter    time.Duration
	}{
		{"all refuse permanently", repeat(1, permanentError()), repeat(1, permanentError()), true, 0},
		{"the second fails temporarily", repeat(1, permanentError()), repeat(2, errDown), false, 0},
		{"the first fails temporarily", repeat(2, errDown), repeat(1, permanentError()), false, 0},
		{"one sets RetryAfter", repeat(1, retryAfterError(time.Hour)), repeat(2, errDown), false, time.Hour},
		{"both set RetryAfter", repeat(1, retryAfterError(time.Minute)), repeat(1, retryAfterError(time.Second)), false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := newRouter(t, delivery.RouterConfig{}, &scriptedSender{errors: c.first}, &scriptedSender{errors: c.second}).Send(t.Context(), newMessage(time.Minute))
				var failed *watchword.SendError
				if !errors.As(err, &failed) || failed.Permanent != c.permanent || failed.RetryAfter != c.retryAfter {
					t.Errorf("got %#v, %v", failed, err)
				}
			})
		})
	}
}

func TestRouterBacksOffWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limits []time.Duration
		s := &scriptedSender{errors: repeat(3, errDown)}
		r := newRouter(t, delivery.RouterConfig{Tries: 4, Backoff: time.Second, Jitter: func(limit time.Duration) time.Duration {
			limits = append(limits, limit)
			return limit / 2
		}}, s)
		if _, err := r.Send(t.Context(), newMessage(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}; !slices.Equal(limits, want) {
			t.Errorf("limits %v, want %v", limits, want)
		}
		if waited := s.times[3].Sub(s.times[0]); waited != 3500*time.Millisecond {
			t.Errorf("waited %s in all", waited)
		}
	})
}

func TestRouterSendsNothingAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedSender{}
		_, err := newRouter(t, delivery.RouterConfig{}, s).Send(t.Context(), newMessage(0))
		if !errors.Is(err, watchword.ErrExpired) || len(s.messages) != 0 {
			t.Errorf("%v after %d calls", err, len(s.messages))
		}
		// A provider that hangs is canceled when the message expires, and the next one is not tried.
		start := time.Now()
		hanging := senderFunc(func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
			<-ctx.Done()
			return watchword.Sent{}, ctx.Err()
		})
		atOnce := func(time.Duration) time.Duration { return 0 }
		_, err = newRouter(t, delivery.RouterConfig{Jitter: atOnce}, hanging, s).Send(t.Context(), newMessage(3*time.Second))
		if time.Since(start) != 3*time.Second || !errors.Is(err, watchword.ErrExpired) || len(s.messages) != 0 {
			t.Errorf("after %s: %v, %d calls of the next provider", time.Since(start), err, len(s.messages))
		}
	})
}

func TestNewRouterReportsEveryProblem(t *testing.T) {
	_, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"sms": {}, "email": {{Name: "", Sender: &scriptedSender{}}}, "voice": {{Name: "x"}}}})
	for _, want := range []string{`"sms"`, `"email"`, `"voice"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	r := newRouter(t, delivery.RouterConfig{}, &scriptedSender{})
	if !slices.Equal(r.Channels(), []string{"sms"}) {
		t.Errorf("channels %v", r.Channels())
	}
	var failed *watchword.SendError
	if _, err := r.Send(context.Background(), watchword.Message{Channel: "pigeon"}); !errors.As(err, &failed) || !failed.Permanent {
		t.Errorf("a channel without provider: %v", err)
	}
}

func TestRouterLogsNeitherCodeNorAddress(t *testing.T) {
	var log bytes.Buffer
	r := newRouter(t, delivery.RouterConfig{Tries: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, &scriptedSender{errors: repeat(1, permanentError())})
	_, err := r.Send(context.Background(), newMessage(time.Minute))
	for _, secret := range []string{"492039", "4155550123"} {
		if strings.Contains(log.String(), secret) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s is in %s or %v", secret, log.String(), err)
		}
	}
	if !strings.Contains(log.String(), "msg_1") {
		t.Errorf("the log does not name the message: %s", log.String())
	}
}

// A checkingSender is a MessageChecker.
type checkingSender struct {
	scriptedSender
	refusal error
}

func (c *checkingSender) CheckMessage(watchword.Message) error { return c.refusal }

// A message that moves goes to the senders that were not tried, in the order of the route, and the next move knows them all.
func TestRouterAsksOnlySendersThatWereNotTried(t *testing.T) {
	down := func() watchword.Sender { return &scriptedSender{errors: repeat(9, permanentError())} }
	for _, c := range []struct {
		tried  []string
		sender string
		after  []string
	}{
		{nil, "b", []string{"a"}},
		{[]string{"a"}, "b", []string{"a"}},
		{[]string{"b"}, "d", []string{"b", "a", "c"}},
		{[]string{"removed", "a"}, "b", []string{"removed", "a"}},
		{[]string{"b", "d"}, "", nil},
		{[]string{"a", "b", "c", "d"}, "", nil},
	} {
		m := newMessage(time.Minute)
		m.Tried = c.tried
		sent, err := newRouter(t, delivery.RouterConfig{}, down(), &scriptedSender{}, down(), &scriptedSender{}).Send(t.Context(), m)
		if sent.Sender != c.sender || !slices.Equal(sent.Tried, c.after) || (err != nil) != (c.sender == "") || err != nil && !isPermanent(err) {
			t.Errorf("after %v: %+v, %v", c.tried, sent, err)
		}
	}
}

func TestNewRouterRefusesSendersThatCannotBeToldApart(t *testing.T) {
	one, other := delivery.Provider{Name: "twilio", Sender: &scriptedSender{}}, delivery.Provider{Name: "twilio", Sender: &scriptedSender{}, ID: "backup"}
	if _, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"sms": {one, other}, "voice": {one}}}); err != nil {
		t.Error(err)
	}
	_, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"sms": {one, one}}})
	if err == nil || !strings.Contains(err.Error(), `two providers of channel "sms" are named "twilio"`) {
		t.Errorf("two of the same name: %v", err)
	}
}

func TestRouterCheckMessageFailsOnlyIfEveryProviderRefuses(t *testing.T) {
	no := delivery.RefuseTransaction("no")
	for name, tt := range map[string]struct {
		route   []watchword.Sender
		refuses bool
	}{
		"a sender without checks":  {[]watchword.Sender{&scriptedSender{}}, false},
		"one that refuses":         {[]watchword.Sender{&checkingSender{refusal: no}}, true},
		"all refuse":               {[]watchword.Sender{&checkingSender{refusal: no}, &checkingSender{refusal: no}}, true},
		"the second accepts":       {[]watchword.Sender{&checkingSender{refusal: no}, &checkingSender{}}, false},
		"the second has no checks": {[]watchword.Sender{&checkingSender{refusal: no}, &scriptedSender{}}, false},
	} {
		var route []delivery.Provider
		for i, s := range tt.route {
			route = append(route, delivery.Provider{Name: "p", Sender: s, ID: string(rune('a' + i))})
		}
		r, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"sms": route}})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CheckMessage(watchword.Message{Channel: "sms"}); errors.Is(err, watchword.ErrInvalidRequest) != tt.refuses {
			t.Errorf("%s: %v", name, err)
		}
	}
}
