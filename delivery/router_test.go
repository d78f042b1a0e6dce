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

func router(t *testing.T, cfg delivery.RouterConfig, senders ...watchword.Sender) *delivery.Router {
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

func message(lifetime time.Duration) watchword.Message {
	return watchword.Message{ID: "msg_1", Channel: "sms", To: "+14155550123", Code: watchword.NewCode("492039"), ExpiresAt: time.Now().Add(lifetime)}
}

func TestRouterFailsOverInOrder(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second []error
		asked         [2]int
		provider      string
	}{
		{"the first takes it", nil, nil, [2]int{1, 0}, "a"},
		{"the first takes it on the second try", times(1, errDown), nil, [2]int{2, 0}, "a"},
		{"the first is down", times(2, errDown), nil, [2]int{2, 1}, "b"},
		{"the first refuses for good", times(1, permanent()), nil, [2]int{1, 1}, "b"},
		{"the first wants to be asked later", times(1, later(time.Second)), nil, [2]int{1, 1}, "b"},
		{"the second needs two tries", times(1, permanent()), times(1, errDown), [2]int{1, 2}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := &script{answers: c.first}, &script{answers: c.second}
				sent, err := router(t, delivery.RouterConfig{}, first, second).Send(t.Context(), message(time.Minute))
				if err != nil || sent.Provider != c.provider {
					t.Errorf("%+v, %v; want %s", sent, err, c.provider)
				}
				if got := [2]int{len(first.asked), len(second.asked)}; got != c.asked {
					t.Errorf("asked %v, want %v", got, c.asked)
				}
				for _, m := range append(first.asked, second.asked...) {
					if m.ID != "msg_1" {
						t.Errorf("the id became %q", m.ID)
					}
				}
			})
		})
	}
}

func TestRouterSumsUpFailures(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second []error
		permanent     bool
		retryAfter    time.Duration
	}{
		{"all refuse for good", times(1, permanent()), times(1, permanent()), true, 0},
		{"the second may pass", times(1, permanent()), times(2, errDown), false, 0},
		{"the first may pass", times(2, errDown), times(1, permanent()), false, 0},
		{"one wants to be asked later", times(1, later(time.Hour)), times(2, errDown), false, time.Hour},
		{"both want to be asked later", times(1, later(time.Minute)), times(1, later(time.Second)), false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := router(t, delivery.RouterConfig{}, &script{answers: c.first}, &script{answers: c.second}).Send(t.Context(), message(time.Minute))
				var failed *watchword.SendError
				if !errors.As(err, &failed) || failed.Permanent != c.permanent || failed.RetryAfter != c.retryAfter {
					t.Errorf("got %#v, %v", failed, err)
				}
			})
		})
	}
}

func TestRouterWaitsWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limits []time.Duration
		s := &script{answers: times(3, errDown)}
		r := router(t, delivery.RouterConfig{Tries: 4, Backoff: time.Second, Jitter: func(limit time.Duration) time.Duration {
			limits = append(limits, limit)
			return limit / 2
		}}, s)
		if _, err := r.Send(t.Context(), message(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}; !slices.Equal(limits, want) {
			t.Errorf("limits %v, want %v", limits, want)
		}
		if waited := s.at[3].Sub(s.at[0]); waited != 3500*time.Millisecond {
			t.Errorf("waited %s in all", waited)
		}
	})
}

func TestRouterSendsNothingAfterTheCodeHasDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		_, err := router(t, delivery.RouterConfig{}, s).Send(t.Context(), message(0))
		if !errors.Is(err, watchword.ErrExpired) || len(s.asked) != 0 {
			t.Errorf("%v, asked %d times", err, len(s.asked))
		}
		// A provider that hangs is left when the code dies, and the next one is not asked any more.
		start := time.Now()
		hanging := senderFunc(func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
			<-ctx.Done()
			return watchword.Sent{}, ctx.Err()
		})
		atOnce := func(time.Duration) time.Duration { return 0 }
		_, err = router(t, delivery.RouterConfig{Jitter: atOnce}, hanging, s).Send(t.Context(), message(3*time.Second))
		if time.Since(start) != 3*time.Second || !errors.Is(err, watchword.ErrExpired) || len(s.asked) != 0 {
			t.Errorf("after %s: %v, the next was asked %d times", time.Since(start), err, len(s.asked))
		}
	})
}

func TestRouterSkipsTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, living := &script{answers: times(6, errDown)}, &script{}
		r := router(t, delivery.RouterConfig{Tries: 1}, dead, living)
		send := func(n int) {
			for range n {
				if _, err := r.Send(t.Context(), message(time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
		}
		send(20)
		if len(dead.asked) != 5 || len(living.asked) != 20 {
			t.Errorf("asked the dead %d, the living %d times", len(dead.asked), len(living.asked))
		}
		time.Sleep(11 * time.Second)
		send(5)
		if len(dead.asked) != 6 {
			t.Errorf("after the pause it was asked %d more times, want once", len(dead.asked)-5)
		}
		time.Sleep(11 * time.Second)
		send(5)
		if len(dead.asked) != 11 {
			t.Errorf("it came back, but was asked %d times", len(dead.asked)-6)
		}
	})
}

// Who refuses messages for good, or is interrupted, is not dead.
func TestRouterBreakerCountsOnlyFailures(t *testing.T) {
	s := &script{answers: append(times(10, permanent()), times(10, error(context.Canceled))...)}
	r := router(t, delivery.RouterConfig{Tries: 1}, s)
	for range 21 {
		_, _ = r.Send(context.Background(), message(time.Minute))
	}
	if len(s.asked) != 21 {
		t.Errorf("asked %d times", len(s.asked))
	}
}

func TestRouterConfiguration(t *testing.T) {
	_, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"sms": {}, "email": {{Name: "", Sender: &script{}}}, "voice": {{Name: "x"}}}})
	for _, want := range []string{`"sms"`, `"email"`, `"voice"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	r := router(t, delivery.RouterConfig{}, &script{})
	if !slices.Equal(r.Channels(), []string{"sms"}) {
		t.Errorf("channels %v", r.Channels())
	}
	var failed *watchword.SendError
	if _, err := r.Send(context.Background(), watchword.Message{Channel: "pigeon"}); !errors.As(err, &failed) || !failed.Permanent {
		t.Errorf("a channel without provider: %v", err)
	}
}

func TestRouterLogsNoSecretNorAddress(t *testing.T) {
	var log bytes.Buffer
	r := router(t, delivery.RouterConfig{Tries: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, &script{answers: times(1, permanent())})
	_, err := r.Send(context.Background(), message(time.Minute))
	for _, secret := range []string{"492039", "4155550123"} {
		if strings.Contains(log.String(), secret) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s is in %s or %v", secret, log.String(), err)
		}
	}
	if !strings.Contains(log.String(), "msg_1") {
		t.Errorf("the log does not name the message: %s", log.String())
	}
}

// choosy is a Sender that checks messages.
type choosy struct {
	script
	refusal error
}

func (c *choosy) CheckMessage(watchword.Message) error { return c.refusal }

func TestRouterChecksMessageWithEveryProvider(t *testing.T) {
	no := delivery.RefuseTransaction("no")
	for name, tt := range map[string]struct {
		route   []watchword.Sender
		refuses bool
	}{
		"one that takes all":          {[]watchword.Sender{&script{}}, false},
		"one that refuses":            {[]watchword.Sender{&choosy{refusal: no}}, true},
		"all refuse":                  {[]watchword.Sender{&choosy{refusal: no}, &choosy{refusal: no}}, true},
		"the second takes it":         {[]watchword.Sender{&choosy{refusal: no}, &choosy{}}, false},
		"the second takes everything": {[]watchword.Sender{&choosy{refusal: no}, &script{}}, false},
	} {
		var route []delivery.Provider
		for _, s := range tt.route {
			route = append(route, delivery.Provider{Name: "p", Sender: s})
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
